import { expect, test } from 'vitest';
import type { SummaryGroup } from '../../src/api/schema.js';
import { daysOf } from '../../src/panels/dashboard/days.js';

const groups = (...keys: string[]): SummaryGroup[] =>
  keys.map(key => ({ key, summary: { total_runs: 1 } as SummaryGroup['summary'] }));

test('days without runs are days too, without a value', () => {
  const days = daysOf(groups('2026-02-27', '2026-03-02'), 30);
  expect(days.map(day => [day.key, day.summary?.total_runs ?? null])).toEqual([
    ['2026-02-27', 1],
    ['2026-02-28', null],
    ['2026-03-01', null],
    ['2026-03-02', 1]
  ]);
});

test('only the last days are kept', () => {
  const days = daysOf(groups('2026-01-01', '2026-03-31'), 3);
  expect(days.map(day => day.key)).toEqual(['2026-03-29', '2026-03-30', '2026-03-31']);
});

test('nothing has no days', () => expect(daysOf([], 30)).toEqual([]));
