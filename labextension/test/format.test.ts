import { describe, expect, test } from 'vitest';
import {
  formatAgo,
  formatBytes,
  formatCost,
  formatDay,
  formatDuration,
  formatMoney,
  formatNumber,
  formatPercent
} from '../src/format.js';
import { trans } from './helpers.js';

const plain = (text: string): string => text.replaceAll('\u202f', ' ');

test.each([
  [0, '0'],
  [999, '999'],
  [1204, '1 204'],
  [1_000_000, '1 000 000'],
  [12.6, '13']
])('the number %d reads %s', (value, text) => expect(plain(formatNumber(value))).toBe(text));

test.each([
  [0, '0 ms'],
  [-5, '0 ms'],
  [850, '850 ms'],
  [3249, '3.2 s'],
  [9999, '9.9 s'],
  [59_999, '59 s'],
  [252_000, '4 m 12 s'],
  [7_500_000, '2 h 05 m']
])('%d milliseconds read %s', (value, text) => expect(plain(formatDuration(value))).toBe(text));

test.each([
  [0, '$0.00'],
  [0.0041, '$0.0041'],
  [0.00000012, '$0.00000012'],
  [0.05, '$0.050'],
  [0.42, '$0.42'],
  [12, '$12.00']
])('%d dollars read %s', (value, text) => expect(formatMoney(value)).toBe(text));

test('a cost says what is not in it', () => {
  expect(formatCost(null, 2, trans)).toBe('unpriced');
  expect(plain(formatCost(0.12, 3, trans))).toBe('≥ $0.12');
  expect(formatCost(0.12, 0, trans)).toBe('$0.12');
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1500, '1.5 kB'],
  [61_000_000, '61 MB'],
  [999_999, '1 MB']
])('%d bytes read %s', (value, text) => expect(plain(formatBytes(value))).toBe(text));

test('a share reads in percent', () => {
  expect(plain(formatPercent(0.935))).toBe('93.5 %');
  expect(plain(formatPercent(1))).toBe('100 %');
});

describe('times', () => {
  const now = new Date(2026, 0, 15, 12, 0, 0).getTime();
  const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

  test.each([
    [0, 'just now'],
    [12, '12 s ago'],
    [250, '4 min ago'],
    [3 * 3600, '3 h ago'],
    [2 * 86_400, '2 d ago']
  ])('%d seconds ago read %s', (seconds, text) =>
    expect(formatAgo(before(seconds), now, trans)).toBe(text)
  );

  test('days are local ones', () => {
    expect(formatDay(before(11 * 3600), now, trans)).toBe('Today');
    expect(formatDay(before(13 * 3600), now, trans)).toBe('Yesterday');
    expect(formatDay(before(60 * 3600), now, trans)).toMatch(/2026/);
  });
});
