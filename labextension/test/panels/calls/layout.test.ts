import { describe, expect, test } from 'vitest';
import type { SamplingLoop } from '../../../src/api/schema.js';
import { listOf } from '../../../src/panels/calls/groups.js';
import { barOf, spanOf, ticksOf } from '../../../src/panels/calls/timeline.js';
import { indexAt, offsetsOf, seenOf } from '../../../src/panels/calls/window.js';
import { makeCall, makeLoop } from '../../helpers.js';

const open = { isOpen: () => true, hasCalls: () => true };
const keys = (...args: Parameters<typeof listOf>): string[] =>
  listOf(...args).items.map(item => `${'  '.repeat(item.depth)}${item.key}`);

describe('the list', () => {
  const loops = [
    makeLoop(1, { started_at: 1002 }),
    makeLoop(2, { started_at: 1003, parent: 1 }),
    makeLoop(3, { started_at: 1010 })
  ];
  const calls = [
    makeCall(1),
    makeCall(2, { loop: 1 }),
    makeCall(3, { loop: 2 }),
    makeCall(5),
    makeCall(11, { loop: 3 }),
    makeCall(20)
  ];

  test('has calls outside of loops between the loops, and inner loops within theirs', () => {
    expect(keys(calls, loops, open)).toEqual([
      'head before 1',
      'call 1',
      'loop 1',
      '  head of 1',
      '  call 2',
      '  loop 2',
      '    head of 2',
      '    call 3',
      'head before 3',
      'call 5',
      'loop 3',
      '  head of 3',
      '  call 11',
      'head end',
      'call 20'
    ]);
  });

  test('folds loops with all that is in them', () => {
    const folded = { isOpen: (loop: SamplingLoop) => loop.loop !== 1, hasCalls: () => false };
    expect(keys(calls, loops, folded)).toEqual([
      'head before 1',
      'call 1',
      'loop 1',
      'head before 3',
      'call 5',
      'loop 3',
      'head end',
      'call 20'
    ]);
  });

  test('shows calls and inner loops by themselves while their loop is not known', () => {
    const [, inner] = loops;
    expect(keys([makeCall(4, { loop: 9 })], [inner as SamplingLoop], open)).toEqual([
      'loop 2',
      'head end',
      'call 4'
    ]);
  });

  test('gives each loop its calls', () => {
    const { callsOf } = listOf(calls, loops, open);
    expect(callsOf.get(1)?.map(call => call.call)).toEqual([2]);
    expect(callsOf.get(9)).toBeUndefined();
  });
});

describe('the window', () => {
  const offsets = offsetsOf([30, 100, 20, 20]);

  test('knows where pieces begin and which is at an offset', () => {
    expect([...offsets]).toEqual([0, 30, 130, 150, 170]);
    expect([0, 29, 30, 129, 130, 169, 500].map(at => indexAt(offsets, at))).toEqual([
      0, 0, 1, 1, 2, 3, 3
    ]);
  });

  test('draws what is seen and a little around it', () => {
    expect(seenOf(offsets, 40, 10, 0)).toEqual({ from: 1, to: 2 });
    expect(seenOf(offsets, 40, 10, 90)).toEqual({ from: 0, to: 3 });
    expect(seenOf(offsets, 1000, 10, 0)).toEqual({ from: 3, to: 4 });
    expect(seenOf(offsetsOf([]), 0, 100, 100)).toEqual({ from: 0, to: 0 });
  });

  test('draws few of very many', () => {
    const many = offsetsOf(Array<number>(100_000).fill(24));
    const { from, to } = seenOf(many, 1_200_000, 600, 300);
    expect([from, to]).toEqual([49_987, 50_038]);
  });
});

describe('the timeline', () => {
  const calls = [
    makeCall(1, { started_at: 100, latency_ms: 2000, ttft_ms: 500 }),
    makeCall(2, { started_at: 101, latency_ms: null, status: 'active' }),
    makeCall(3, { started_at: 102, latency_ms: null, status: 'failed' })
  ];

  test('spans all calls, and those that run up to now', () => {
    expect(spanOf(calls, 105)).toEqual({ start: 100, seconds: 5 });
    expect(spanOf(calls, 90)).toEqual({ start: 100, seconds: 2 }); // a browser whose clock is slow
    expect(spanOf([], 7)).toEqual({ start: 7, seconds: 0.001 });
  });

  test('gives each call its place', () => {
    const span = spanOf(calls, 105);
    const bars = calls.map(call => barOf(call, span, 105));
    expect(bars).toEqual([
      { left: 0, width: 0.4, waited: 0.25, isOpen: false },
      { left: 0.2, width: 0.8, waited: null, isOpen: true },
      { left: 0.4, width: 0, waited: null, isOpen: false }
    ]);
  });

  test('has marks at round times, as exact as they are apart', () => {
    const texts = (seconds: number, pixels: number): string[] =>
      ticksOf({ start: 0, seconds }, pixels, 100).map(tick => tick.text);
    expect(texts(5, 500)).toEqual([
      '0',
      '1\u202fs',
      '2\u202fs',
      '3\u202fs',
      '4\u202fs',
      '5\u202fs'
    ]);
    expect(texts(0.3, 300)).toEqual(['0', '0.1\u202fs', '0.2\u202fs']);
    expect(texts(150, 300)).toEqual(['0', '50\u202fs', '1:40', '2:30']);
  });

  test('has no marks where nobody looks', () => {
    const ticks = ticksOf({ start: 0, seconds: 3600 }, 4_000_000, 100, { from: 0.5, to: 0.5003 });
    expect(ticks.length).toBeLessThan(14);
    expect(ticks[0]?.seconds).toBeCloseTo(1800, 0);
  });
});
