// What a run used, on one line.

import type { ReactElement } from 'react';
import type { Run } from '../api/schema.js';
import {
  formatCost,
  formatDuration,
  formatNumber,
  formatTokens,
  type ITranslation
} from '../format.js';
import { isTerminal } from '../models/statuses.js';
import { useNow } from './hooks.js';

/** One line of what the run used; it ticks while the run runs. */
export function Numbers({ run, trans }: { run: Run; trans: ITranslation }): ReactElement | null {
  useNow(isTerminal(run) ? 60_000 : 1000);
  const used = run.metrics;
  const parts: string[] = [];
  if (used.llm_calls > 0) {
    parts.push(
      trans._n('%2 call', '%2 calls', used.llm_calls, formatNumber(used.llm_calls)),
      `${formatNumber(used.input_tokens)} → ${formatTokens(used.output_tokens, trans)}`,
      formatCost(used.estimated_cost_usd, used.unpriced_calls, trans)
    );
  }
  if (used.samples_generated > 0) {
    const count = used.samples_generated;
    parts.push(trans._n('%2 sample', '%2 samples', count, formatNumber(count)));
  }
  if (used.repair_attempts > 0) {
    const count = used.repair_attempts;
    parts.push(trans._n('%2 repair', '%2 repairs', count, formatNumber(count)));
  }
  if (used.peak_memory_mb > 0) {
    parts.push(trans.__('%1 MB', formatNumber(used.peak_memory_mb)));
  }
  if (used.cpu_seconds > 0) {
    parts.push(trans.__('%1 CPU', formatDuration(used.cpu_seconds * 1000)));
  }
  return parts.length > 0 ? <p className="jp-MelleaRun-numbers">{parts.join(' · ')}</p> : null;
}
