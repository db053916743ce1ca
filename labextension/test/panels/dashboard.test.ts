import { expect, test } from 'vitest';
import type { SummaryGroup } from '../../src/api/schema.js';
import { daysOf } from '../../src/panels/dashboard/days.js';

const group = (
  key: string,
  by_status: Record<string, number> = { succeeded: 1 }
): SummaryGroup => ({
  key,
  summary: {
    total_runs: 1,
    total_cost_usd: 0.5,
    unpriced_calls: 2,
    success_rate: 1,
    by_status
  } as unknown as SummaryGroup['summary']
});

test('days without runs are days too, without a value', () => {
  const days = daysOf([group('2026-02-27'), group('2026-03-02')], 60);
  expect(days.map(day => [day.key, day.last, day.sums?.runs ?? null])).toEqual([
    ['2026-02-27', '2026-02-27', 1],
    ['2026-02-28', '2026-02-28', null],
    ['2026-03-01', '2026-03-01', null],
    ['2026-03-02', '2026-03-02', 1]
  ]);
});

test('a long time is shown whole, in periods of some days', () => {
  const days = daysOf(
    [group('2025-01-01'), group('2025-01-02', { failed: 1 }), group('2026-03-31')],
    60
  );
  expect(days.length).toBeLessThanOrEqual(60);
  expect([days[0]?.key, days.at(-1)?.last]).toEqual(['2025-01-01', '2026-03-31']);
  expect(days[0]?.sums).toEqual({
    runs: 2,
    cost: 1,
    unpriced_calls: 4,
    succeeded: 1,
    ended: 2
  });
  expect(days.at(-1)?.sums?.runs).toBe(1);
});

test('nothing has no days', () => expect(daysOf([], 60)).toEqual([]));
