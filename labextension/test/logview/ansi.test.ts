import { expect, test } from 'vitest';
import {
  foldCarriageReturns,
  markMatches,
  parseLine,
  SHOWN_LENGTH,
  stripControls
} from '../../src/logview/core/ansi.js';

const ESC = '\u001b';

test('a progress bar folds to what was written last', () => {
  expect(foldCarriageReturns('10 %\r20 %\r30 %')).toBe('30 %');
  expect(foldCarriageReturns('\r50 %\r')).toBe('50 %');
  expect(foldCarriageReturns('text\r')).toBe('text');
  expect(foldCarriageReturns('\r\r')).toBe('');
});

test('colours become classes, markup stays text', () => {
  const { spans } = parseLine(`${ESC}[1;32mok${ESC}[0m <img src=x onerror=alert(1)>`);
  expect(spans).toEqual([
    { text: 'ok', className: 'jp-MelleaAnsi-fg-green jp-MelleaAnsi-bold' },
    { text: ' <img src=x onerror=alert(1)>', className: '' }
  ]);
});

test('a colour of the palette of 256 becomes the nearest named one', () => {
  expect(parseLine(`${ESC}[38;5;196mx`).spans[0]?.className).toBe('jp-MelleaAnsi-fg-bright-red');
  expect(parseLine(`${ESC}[48;5;22mx`).spans[0]?.className).toContain('jp-MelleaAnsi-bg-');
});

test('links, titles, cursor movements and control characters are dropped', () => {
  const link = `${ESC}]8;;https://example.org${ESC}\\name${ESC}]8;;${ESC}\\`;
  expect(stripControls(`${link}${ESC}[2K${ESC}[1A${ESC}]0;title\u0007\u0000\u0007a\tb`)).toBe(
    'namea\tb'
  );
});

test('an escape that is not closed does not swallow the line', () => {
  expect(
    parseLine(`a${ESC}[`)
      .spans.map(span => span.text)
      .join('')
  ).toContain('a');
});

test('a long line is cut and says how much is hidden', () => {
  const { spans, hidden } = parseLine('x'.repeat(SHOWN_LENGTH + 10));
  expect(spans[0]?.text).toHaveLength(SHOWN_LENGTH);
  expect(hidden).toBe(10);
});

test('a search hit is marked across the borders of colours', () => {
  const { spans } = parseLine(`Nee${ESC}[31mdle${ESC}[0m and NEEDLE`);
  const marked = markMatches(spans, 'needle');
  expect(marked.filter(span => span.isMatch).map(span => span.text)).toEqual([
    'Nee',
    'dle',
    'NEEDLE'
  ]);
  expect(marked.map(span => span.text).join('')).toBe('Needle and NEEDLE');
});

test('nothing is marked where there is nothing to find', () => {
  const { spans } = parseLine('text');
  expect(markMatches(spans, '')).toBe(spans);
  expect(markMatches(spans, 'other')).toBe(spans);
});
