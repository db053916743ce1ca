// The periods of a chart: a summary has only the days with runs.

import type { SummaryGroup } from '../../api/schema.js';

/** What a chart draws. */
export interface ISums {
  runs: number;
  cost: number;
  unpriced_calls: number;
  succeeded: number;
  ended: number;
}

/** A day of the chart, or some days where there are many; null where nothing ran. */
export interface IDay {
  /** `2026-01-15`, its first day. */
  key: string;
  /** Its last day. */
  last: string;
  sums: ISums | null;
}

const DAY_MS = 86_400_000;

/** All days from the first to the last with runs, in at most `most` periods of equal length. */
export function daysOf(groups: readonly SummaryGroup[], most: number): IDay[] {
  const numbers = groups.map(({ key }) => Date.parse(key) / DAY_MS);
  const first = Math.min(...numbers);
  const last = Math.max(...numbers);
  const step = Math.ceil((last - first + 1) / most);
  const days: IDay[] = [];
  for (let day = first; day <= last; day += step) {
    days.push({ key: keyOf(day), last: keyOf(Math.min(day + step - 1, last)), sums: null });
  }
  groups.forEach(({ summary }, at) => {
    const day = days[Math.floor(((numbers[at] ?? first) - first) / step)];
    if (day) {
      const sums = (day.sums ??= { runs: 0, cost: 0, unpriced_calls: 0, succeeded: 0, ended: 0 });
      const { succeeded = 0, failed = 0, cancelled = 0 } = summary.by_status;
      sums.runs += summary.total_runs;
      sums.cost += summary.total_cost_usd;
      sums.unpriced_calls += summary.unpriced_calls;
      sums.succeeded += succeeded;
      sums.ended += succeeded + failed + cancelled;
    }
  });
  return days;
}

function keyOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
