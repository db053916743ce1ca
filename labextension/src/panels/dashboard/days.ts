// The days of a chart: a summary has only those with runs.

import type { RunSummary, SummaryGroup } from '../../api/schema.js';

/** A day of the chart; null where nothing ran. */
export interface IDay {
  /** `2026-01-15`. */
  key: string;
  summary: RunSummary | null;
}

/** The last `limit` days up to the last one with runs, without gaps between them. */
export function daysOf(groups: readonly SummaryGroup[], limit: number): IDay[] {
  const summaries = new Map(groups.map(group => [group.key, group.summary]));
  const keys = [...summaries.keys()].sort();
  const first = keys[0];
  const last = keys.at(-1);
  const days: IDay[] = [];
  if (first !== undefined && last !== undefined) {
    // at noon, so that no clock change makes a day of 23 hours the same one twice
    for (const day = new Date(`${last}T12:00:00Z`); days.length < limit;) {
      const key = day.toISOString().slice(0, 10);
      days.unshift({ key, summary: summaries.get(key) ?? null });
      if (key <= first) {
        break;
      }
      day.setUTCDate(day.getUTCDate() - 1);
    }
  }
  return days;
}
