// What a run used, each figure with its meaning.

import type { ReactElement, ReactNode } from 'react';
import type { Run, RunMetrics } from '../../api/schema.js';
import {
  formatCost,
  formatDuration,
  formatMoney,
  formatNumber,
  type ITranslation
} from '../../format.js';

type Row = [field: keyof RunMetrics, label: string, meaning: string];

/** The tab, with charts where there is room for them. */
export function MetricsTab(props: {
  run: Run;
  charts?: ReactNode;
  trans: ITranslation;
}): ReactElement {
  const { run, trans } = props;
  return (
    <div className="jp-MelleaRun-tab" tabIndex={0}>
      {props.charts}
      {metricGroups(trans).map(({ title, rows }) => (
        <section key={title}>
          <h3>{title}</h3>
          <table className="jp-MelleaTable jp-MelleaRun-metrics">
            <tbody>
              {rows.map(([field, label, meaning]) => (
                <tr key={field}>
                  <th scope="row">{label}</th>
                  <td className="jp-mod-number">{metricText(run.metrics, field, trans)}</td>
                  <td className="jp-MelleaRun-meaning">{meaning}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ))}
    </div>
  );
}

/** A metric with its unit. */
export function metricText(
  metrics: RunMetrics,
  field: keyof RunMetrics,
  trans: ITranslation
): string {
  const value = metrics[field];
  if (field === 'estimated_cost_usd') {
    return formatCost(value, metrics.unpriced_calls, trans);
  }
  if (field.endsWith('_usd')) {
    // not told apart in older runs, or nothing to divide by
    return value === null ? '–' : formatMoney(value);
  }
  if (field === 'cpu_seconds') {
    return formatDuration((value ?? 0) * 1000);
  }
  if (field === 'peak_memory_mb') {
    return trans.__('%1 MB', formatNumber(value ?? 0));
  }
  return field.endsWith('_ms') ? formatDuration(value ?? 0) : formatNumber(value ?? 0);
}

/** All metrics by subject, each with its name and what it means. */
export function metricGroups(trans: ITranslation): { title: string; rows: Row[] }[] {
  return [
    {
      title: trans.__('Time'),
      rows: [
        ['queue_duration_ms', trans.__('Queue'), trans.__('time in the queue')],
        [
          'startup_duration_ms',
          trans.__('Start'),
          trans.__('from leaving the queue to the program')
        ],
        ['execution_duration_ms', trans.__('Execution'), trans.__("the program's own runtime")],
        ['total_duration_ms', trans.__('Total'), trans.__('sum of the above')]
      ]
    },
    {
      title: trans.__('LLM usage'),
      rows: [
        ['llm_calls', trans.__('Calls'), trans.__('failed and cancelled ones included')],
        ['input_tokens', trans.__('Input tokens'), trans.__('as the backends reported them')],
        ['output_tokens', trans.__('Output tokens'), trans.__('as the backends reported them')],
        ['estimated_cost_usd', trans.__('Cost'), trans.__('of the priced calls')],
        ['useful_cost_usd', trans.__('· answers'), trans.__('of it, also those that did not pass')],
        ['repair_cost_usd', trans.__('· repairs'), trans.__('of it, for generating again')],
        ['judge_cost_usd', trans.__('· judge calls'), trans.__('of it, for checking')],
        ['wasted_cost_usd', trans.__('· wasted'), trans.__('of it, on cancelled calls')],
        [
          'cost_per_accepted_output_usd',
          trans.__('Cost per accepted output'),
          trans.__('the whole cost over the accepted outputs')
        ],
        [
          'accepted_outputs',
          trans.__('Accepted outputs'),
          trans.__('loops that were met, and answers outside of loops')
        ],
        ['unpriced_calls', trans.__('Unpriced calls'), trans.__('of models without a known price')],
        [
          'calls_without_usage',
          trans.__('Calls without usage'),
          trans.__('the backend did not say their tokens')
        ],
        ['failed_calls', trans.__('Failed calls'), trans.__('raised an error')],
        ['cancelled_calls', trans.__('Cancelled calls'), trans.__('given up before they answered')],
        ['judge_calls', trans.__('Judge calls'), trans.__('made to check a requirement')]
      ]
    },
    {
      title: trans.__('Sampling'),
      rows: [
        ['samples_generated', trans.__('Samples'), trans.__('answers generated')],
        [
          'repair_attempts',
          trans.__('Repairs'),
          trans.__('generations after the first of a chain')
        ],
        ['loop_iterations', trans.__('Iterations'), trans.__('generations in loops, ReAct turns')],
        [
          'loops_exhausted',
          trans.__('Loops exhausted'),
          trans.__('ended before their requirements were met')
        ]
      ]
    },
    {
      title: trans.__('Resources'),
      rows: [
        ['peak_memory_mb', trans.__('Peak memory'), trans.__('of the whole process tree')],
        ['cpu_seconds', trans.__('CPU time'), trans.__('of the whole process tree')]
      ]
    }
  ];
}
