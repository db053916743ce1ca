import { expect, test } from 'vitest';
import type { UsagePoint } from '../../src/api/schema.js';
import { coresOf, costOf, memoryOf, nearest, pathOf } from '../../src/panels/charts/series.js';

const points: UsagePoint[] = [
  { t: 100, memory_mb: 40, cpu_seconds: 1, cost_usd: null },
  { t: 101, memory_mb: 80, cpu_seconds: 1.5, cost_usd: 0.25 },
  { t: 104, memory_mb: 60, cpu_seconds: 7.5, cost_usd: 1 }
];

test('a series is told with its highest and its last value', () => {
  expect(memoryOf(points)).toEqual({
    seconds: [0, 1, 4],
    values: [40, 80, 60],
    highest: 80,
    last: 60
  });
});

test('processor time is shown as cores, and a clock that steps back as none', () => {
  expect(coresOf(points).values).toEqual([0, 0.5, 2]);
  const stepped = [points[1], { ...points[2], t: 90 }] as UsagePoint[];
  expect(coresOf(stepped).values).toEqual([0, 0]);
});

test('there is no cost where nothing has a price', () => {
  expect(costOf(points)?.values).toEqual([0, 0.25, 1]);
  expect(costOf(points.slice(0, 1))).toBeNull();
});

test('a path goes from corner to corner', () => {
  expect(pathOf(memoryOf(points), 400, 80)).toBe('M0.0 40.0L100.0 0.0L400.0 20.0');
  expect(pathOf(memoryOf([]), 400, 80)).toBe('');
});

test('the point below the pointer is the nearest in time', () => {
  const series = memoryOf(points);
  expect([0, 0.2, 0.6, 0.7, 1].map(part => nearest(series, part))).toEqual([0, 1, 1, 2, 2]);
});
