import { expect, test } from 'vitest';
import { HELD_PAGES, LineBuffer, PAGE_LINES } from '../../src/logview/core/buffer.js';
import { frame, frames } from '../helpers.js';

test('only the pages that are not there are missing', () => {
  const buffer = new LineBuffer();
  buffer.put(frames(1501, 2000));
  expect(buffer.lastLine).toBe(2000);
  expect(buffer.missing(1600, 1700)).toEqual([]);
  expect(buffer.missing(990, 1510)).toEqual([501, 1001]);
  expect(buffer.missing(1990, 5000)).toEqual([]);
});

test('the rest of a page is read from the first line that is missing', () => {
  const buffer = new LineBuffer();
  buffer.put(frames(1, 100));
  buffer.put(frames(400, 600));
  expect(buffer.missing(50, 450)).toEqual([101]);
});

test('parts of a line are put together once, whatever order they come in', () => {
  const first = frame(1, { message: 'ab', cursor: '1.1', partial: true });
  const second = frame(1, { message: 'cd', cursor: '2.1', continues: true });
  for (const order of [
    [first, second, second],
    [second, first],
    [first, second, first]
  ]) {
    const buffer = new LineBuffer();
    buffer.put(order);
    expect(buffer.get(1)?.message).toBe('abcd');
  }
});

test('a part of an older line between newer ones is no gap', () => {
  const buffer = new LineBuffer();
  const gaps = buffer.putRead(1, [
    frame(1, { partial: true }),
    frame(2),
    frame(3),
    frame(1, { cursor: '4.1', continues: true }),
    frame(4)
  ]);
  expect(gaps).toEqual([]);
});

test('numbers that were cut out are absent and never asked for again', () => {
  const buffer = new LineBuffer();
  expect(buffer.putRead(1, [...frames(1, 10), ...frames(5000, 5010)])).toEqual([[11, 4999]]);
  expect(buffer.isAbsent(3000)).toBe(true);
  expect(buffer.missing(1, 5010)).toEqual([]);
});

test('a page that comes back empty is not asked for again', () => {
  const buffer = new LineBuffer();
  buffer.put([frame(2000)]);
  buffer.putRead(1, []);
  expect(buffer.missing(1, 500)).toEqual([]);
  expect(buffer.missing(1, 501)).toEqual([501]);
});

test('a progress bar without end does not grow without end', () => {
  const buffer = new LineBuffer();
  for (let part = 0; part < 5000; part++) {
    const message = `\r${'#'.repeat(100)} ${part}`;
    buffer.put([frame(1, { message, cursor: `${part}.1`, continues: part > 0 })]);
  }
  expect(buffer.get(1)?.message.length).toBeLessThan(70_000);
  expect(buffer.get(1)?.message.endsWith(' 4999')).toBe(true);
});

test('a million lines hold only what was looked at last', () => {
  const buffer = new LineBuffer();
  for (let page = 0; page < 2000; page++) {
    buffer.put(frames(page * PAGE_LINES + 1, (page + 1) * PAGE_LINES));
    buffer.trim(buffer.lastLine);
  }
  expect(buffer.lastLine).toBe(1_000_000);
  expect(buffer.heldLines).toBe(HELD_PAGES * PAGE_LINES);
  expect(buffer.get(1_000_000)).toBeDefined();
  expect(buffer.get(1)).toBeUndefined();
});
