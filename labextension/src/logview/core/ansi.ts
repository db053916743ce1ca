// From the raw text of a log line to spans of plain text with classes. Never to HTML.

import Anser from 'anser';

/** A stretch of text drawn the same way. */
export interface ISpan {
  text: string;
  className: string;
  /** Set by `markMatches`: this is a search hit. */
  isMatch?: boolean;
}

/** Longest text of a line that is drawn, in UTF-16 units. */
export const SHOWN_LENGTH = 8192;

const ESC = '\u001b';
// Operating-system commands (titles, links) end with BEL or ESC \; control sequences but SGR (…m)
// move a cursor we do not have; other two-character escapes.
const OSC = new RegExp(`${ESC}\\][^\\u0007${ESC}]*(?:\\u0007|${ESC}\\\\)?`, 'g');
const CSI_NOT_SGR = new RegExp(`${ESC}\\[[0-?]*[ -/]*[@-ln-~]`, 'g');
const OTHER_ESCAPE = new RegExp(`${ESC}(?:[()*+][0-9A-Za-z]|[^[\\]])`, 'g');
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f]/g;

/** What a terminal shows of a line with carriage returns: the last thing that was written over it. */
export function foldCarriageReturns(text: string): string {
  if (!text.includes('\r')) {
    return text;
  }
  const parts = text.split('\r');
  for (let index = parts.length - 1; index >= 0; index--) {
    if (parts[index]) {
      return parts[index] as string;
    }
  }
  return '';
}

/** Remove every escape sequence but colours, and control characters. */
export function stripControls(text: string): string {
  const kept = text.includes(ESC)
    ? text.replace(OSC, '').replace(CSI_NOT_SGR, '').replace(OTHER_ESCAPE, '')
    : text;
  return kept.replace(CONTROLS, '');
}

/** The spans of a line, cut at `SHOWN_LENGTH`; an empty line has none. */
export function parseLine(message: string): { spans: ISpan[]; hidden: number } {
  const whole = stripControls(foldCarriageReturns(message));
  const text = whole.slice(0, SHOWN_LENGTH);
  const hidden = whole.length - text.length;
  if (!text.includes(ESC)) {
    return { spans: text ? [{ text, className: '' }] : [], hidden };
  }
  const spans = Anser.ansiToJson(text, { use_classes: true, remove_empty: true }).map(part => ({
    text: part.content.replaceAll(ESC, ''),
    className: classesOf(part)
  }));
  return { spans: spans.filter(span => span.text), hidden };
}

/** Split spans where `query` occurs, in any case, also across their borders. */
export function markMatches(spans: ISpan[], query: string): ISpan[] {
  if (!query) {
    return spans;
  }
  const text = spans.map(span => span.text).join('');
  const haystack = text.toLowerCase();
  const needle = query.toLowerCase();
  if (haystack.length !== text.length || !haystack.includes(needle)) {
    return spans; // lower-casing changed the length: offsets would not fit
  }
  const edges: [number, number][] = [];
  for (
    let at = haystack.indexOf(needle);
    at >= 0;
    at = haystack.indexOf(needle, at + needle.length)
  ) {
    edges.push([at, at + needle.length]);
  }
  const marked: ISpan[] = [];
  let offset = 0;
  for (const span of spans) {
    let from = 0;
    for (const [start, end] of edges) {
      const a = Math.max(start - offset, from);
      const b = Math.min(end - offset, span.text.length);
      if (a < b) {
        if (a > from) {
          marked.push({ ...span, text: span.text.slice(from, a) });
        }
        marked.push({ ...span, text: span.text.slice(a, b), isMatch: true });
        from = b;
      }
    }
    if (from < span.text.length) {
      marked.push({ ...span, text: span.text.slice(from) });
    }
    offset += span.text.length;
  }
  return marked;
}

function classesOf(part: Anser.AnserJsonEntry): string {
  const names: string[] = [];
  if (part.fg) {
    names.push(`jp-MelleaAnsi-fg-${colourName(part.fg)}`);
  }
  if (part.bg) {
    names.push(`jp-MelleaAnsi-bg-${colourName(part.bg)}`);
  }
  for (const decoration of part.decorations ?? []) {
    names.push(`jp-MelleaAnsi-${decoration}`);
  }
  return names.join(' ');
}

/** One of the 16 named colours: `red`, `bright-red`. Others are drawn as the nearest of them. */
function colourName(anserClass: string): string {
  const named = /^ansi-(bright-)?(black|red|green|yellow|blue|magenta|cyan|white)$/.exec(
    anserClass
  );
  if (named) {
    return anserClass.slice('ansi-'.length);
  }
  const palette = /^ansi-palette-(\d+)$/.exec(anserClass);
  return palette ? nearest(Number(palette[1])) : 'white';
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;

/** The nearest name of a colour of the 256-colour palette: a cube of 6³ from 16, greys from 232. */
function nearest(index: number): string {
  if (index >= 232) {
    return index < 240 ? 'bright-black' : 'white';
  }
  const cube = index - 16;
  const levels = [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6];
  const bits = levels.reduce((sum, level, bit) => sum + (level >= 3 ? 1 << bit : 0), 0);
  const isBright = Math.max(...levels) === 5;
  return `${isBright ? 'bright-' : ''}${NAMES[bits] ?? 'white'}`;
}
