import { describe, expect, test } from 'vitest';
import { RowHeights } from '../../src/logview/core/rows.js';
import { TALLEST, Viewport } from '../../src/logview/core/viewport.js';

describe('heights', () => {
  test('offsets follow the heights that were measured', () => {
    const heights = new RowHeights(18);
    expect(heights.offset(1_000_000)).toBe(18_000_000);
    expect(heights.set(700, 54)).toBe(36);
    expect(heights.set(700, 54)).toBe(0);
    expect(heights.offset(700)).toBe(700 * 18);
    expect(heights.offset(701)).toBe(701 * 18 + 36);
    expect(heights.offset(1_000_000)).toBe(18_000_036);
  });

  test('the row at an offset is the one that covers it', () => {
    const heights = new RowHeights(10);
    heights.set(1, 30);
    expect([0, 9, 10, 39, 40].map(offset => heights.indexAt(offset, 100))).toEqual([0, 0, 1, 1, 2]);
    expect(heights.indexAt(1e9, 100)).toBe(99);
  });

  test('rows that were cut out take no space and are never at an offset', () => {
    const heights = new RowHeights(10);
    heights.hide(5, 100_000);
    expect(heights.offset(100_001)).toBe(50);
    expect(heights.indexAt(50, 100_100)).toBe(100_001);
  });

  test('rows keep their heights when others are put before them', () => {
    const heights = new RowHeights(10);
    heights.set(3, 25);
    heights.shift(600);
    expect(heights.height(3)).toBe(10);
    expect(heights.height(603)).toBe(25);
    expect(heights.offset(604)).toBe(604 * 10 + 15);
  });
});

describe('viewport', () => {
  const make = (total: number): Viewport => {
    const viewport = new Viewport();
    viewport.height = 500;
    viewport.total = total;
    return viewport;
  };

  test('a list that a browser can draw is scrolled as it is', () => {
    const viewport = make(10_000);
    viewport.scrolled(1234);
    expect(viewport.top).toBe(1234);
    expect(viewport.scrollHeight).toBe(10_000);
    viewport.scrolled(9500);
    expect(viewport.isAtEnd).toBe(true);
  });

  test('a taller one reaches its ends and every place between', () => {
    const viewport = make(36_000_000);
    expect(viewport.scrollHeight).toBe(TALLEST);
    viewport.scrolled(TALLEST - 500);
    expect(viewport.isAtEnd).toBe(true);
    viewport.scrolled(0);
    expect(viewport.top).toBe(0);
    viewport.scrolled(TALLEST / 2);
    expect(viewport.top / viewport.end).toBeCloseTo(0.5, 3);
  });

  test('a small movement of a scaled bar is taken as it is', () => {
    const viewport = make(36_000_000);
    const bar = viewport.moveTo(1_000_000);
    viewport.scrolled(bar + 54);
    expect(viewport.top).toBeCloseTo(1_000_054, 3);
  });

  test('moving to an offset and back to the bar agree', () => {
    const viewport = make(36_000_000);
    viewport.moveTo(12_600_000);
    expect(viewport.top).toBe(12_600_000);
    expect(viewport.scrollTop).toBeCloseTo((12_600_000 / viewport.end) * (TALLEST - 500), 3);
    viewport.moveTo(1e12);
    expect(viewport.isAtEnd).toBe(true);
  });
});
