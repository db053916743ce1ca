// The columns of the runs table.

import type { ReactNode } from 'react';
import type { Run } from '../../api/schema.js';
import { StatusBadge } from '../../components/status.js';
import { Ago } from '../../components/time.js';
import { formatCost, formatDuration, formatNumber, type ITranslation } from '../../format.js';
import { elapsedMs, runModel } from '../../models/statuses.js';

/** One column. `id` is also the name of the order the server sorts by. */
export interface IColumn {
  id: string;
  label: string;
  isNumber?: boolean;
  isOptional?: boolean;
  cell: (run: Run, now: number) => ReactNode;
}

/** Columns that are shown at first. */
export const DEFAULT_COLUMNS = ['status', 'asset', 'owner', 'created_at', 'duration', 'cost'];

/** All columns, in their order. */
export function columnsOf(trans: ITranslation): IColumn[] {
  return [
    {
      id: 'status',
      label: trans.__('Status'),
      cell: run => <StatusBadge run={run} trans={trans} />
    },
    { id: 'asset', label: trans.__('Asset'), cell: run => run.name || run.asset_name },
    { id: 'model', label: trans.__('Model'), isOptional: true, cell: runModel },
    { id: 'owner', label: trans.__('Owner'), cell: run => run.owner_id },
    {
      id: 'created_at',
      label: trans.__('Started'),
      cell: (run, now) => <Ago iso={run.started_at ?? run.created_at} now={now} trans={trans} />
    },
    {
      id: 'duration',
      label: trans.__('Duration'),
      isNumber: true,
      cell: (run, now) => (run.status === 'queued' ? '' : formatDuration(elapsedMs(run, now)))
    },
    {
      id: 'llm_calls',
      label: trans.__('Calls'),
      isNumber: true,
      isOptional: true,
      cell: run => formatNumber(run.metrics.llm_calls)
    },
    {
      id: 'tokens',
      label: trans.__('Tokens'),
      isNumber: true,
      isOptional: true,
      cell: run => formatNumber(run.metrics.input_tokens + run.metrics.output_tokens)
    },
    {
      id: 'cost',
      label: trans.__('Cost'),
      isNumber: true,
      cell: run => formatCost(run.metrics.estimated_cost_usd, run.metrics.unpriced_calls, trans)
    }
  ];
}
