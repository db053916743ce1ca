// The log of a real run, as the API gives it: tests/recorded of the Python tests, which fail when it
// is no longer what the API gives.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { LogFrame } from '../../src/api/schema.js';
import { markMatches, parseLine } from '../../src/logview/core/ansi.js';
import { LineBuffer } from '../../src/logview/core/buffer.js';

const RECORDED = resolve(import.meta.dirname, '../../../tests/recorded/log.ndjson');
const frames = readFileSync(RECORDED, 'utf-8')
  .trimEnd()
  .split('\n')
  .map(line => JSON.parse(line) as LogFrame);
const last = Math.max(...frames.map(frame => frame.line));

function filled(...batches: LogFrame[][]): LineBuffer {
  const buffer = new LineBuffer();
  batches.forEach(batch => buffer.put(batch));
  return buffer;
}

function textOf(buffer: LineBuffer, line: number): string {
  return parseLine(buffer.get(line)?.message ?? '')
    .spans.map(span => span.text)
    .join('');
}

function lineWith(text: string): number {
  return frames.find(frame => frame.message.includes(text))?.line ?? 0;
}

test('every line is there once, however the frames are cut into batches', () => {
  const whole = filled(frames);
  expect(whole.lastLine).toBe(last);
  expect(whole.missing(1, last)).toEqual([]);
  for (const at of frames.keys()) {
    const overlapping = filled(frames.slice(0, at + 1), frames.slice(at));
    for (let line = 1; line <= last; line++) {
      expect(overlapping.get(line)?.message).toBe(whole.get(line)?.message);
    }
  }
});

test('read as a page, the recorded log has no gap', () => {
  expect(new LineBuffer().putRead(1, frames)).toEqual([]);
});

test('a progress bar is one line that shows its last state', () => {
  const buffer = filled(frames);
  expect(textOf(buffer, lineWith('progress 0 %'))).toBe('progress 100 %');
  const bar = textOf(buffer, lineWith('RepairTemplateStrategy:   0%'));
  expect(bar).toMatch(/^RepairTemplateStrategy: 100%/);
});

test('colours are spans, links and markup are text', () => {
  const buffer = filled(frames);
  const coloured = lineWith('\u001b[1;31m');
  expect(textOf(buffer, coloured)).toBe('red, underlined, a link');
  const { spans } = parseLine(buffer.get(coloured)?.message ?? '');
  expect(spans.find(span => span.text === 'red')?.className).toContain('fg-red');
  expect(textOf(buffer, lineWith('<script>'))).toBe("<script>alert('text, not markup')</script>");
});

test('a long line is cut, and says by how much', () => {
  const long = parseLine(filled(frames).get(lineWith('xxxxx'))?.message ?? '');
  const shown = long.spans.map(span => span.text).join('').length;
  expect(long.hidden).toBeGreaterThan(0);
  expect(shown + long.hidden).toBe(20_000);
});

test('a hit is marked also where colours divide it', () => {
  const { spans } = parseLine(filled(frames).get(lineWith('\u001b[1;31m'))?.message ?? '');
  const marked = markMatches(spans, 'red, under').filter(span => span.isMatch);
  expect(marked.map(span => span.text).join('')).toBe('red, under');
});
