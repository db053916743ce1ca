// Lines of a log by their number: the windows that were fetched and the lines that came live.
// Holds a bounded number of pages; what was dropped is fetched again when it is looked at.

import type { LogFrame } from '../../api/schema.js';

/** One line as it is shown. */
export interface ILine {
  readonly line: number;
  readonly timestamp: string;
  readonly stream: LogFrame['stream'];
  readonly level: LogFrame['level'];
  /** The text of all parts that were received, raw. */
  readonly message: string;
  readonly metadata: LogFrame['metadata'];
  /** Cursors of the parts in `message`. */
  readonly cursors: readonly string[];
  /** Whether its beginning is still missing: only continuations were received. */
  readonly isTail: boolean;
}

/** Lines on a page; pages begin at 1, 1 + PAGE_LINES, … */
export const PAGE_LINES = 500;

/** Most pages that are held: 40 000 lines. */
export const HELD_PAGES = 80;

/** A line that grows without end (a progress bar) is cut to this many UTF-16 units of its end. */
const HELD_LENGTH = 65_536;

/** A line and a frame of it put together; the line itself when the frame is known already. */
export function joinLine(line: ILine | undefined, frame: LogFrame): ILine {
  if (!line) {
    return {
      line: frame.line,
      timestamp: frame.timestamp,
      stream: frame.stream,
      level: frame.level,
      message: frame.message,
      metadata: frame.metadata,
      cursors: [frame.cursor],
      isTail: frame.continues
    };
  }
  if (line.cursors.includes(frame.cursor)) {
    return line;
  }
  const message = frame.continues ? line.message + frame.message : frame.message + line.message;
  const isFolded = message.length > HELD_LENGTH && message.includes('\r');
  return {
    ...line,
    timestamp: frame.continues ? line.timestamp : frame.timestamp,
    message: isFolded ? message.slice(message.lastIndexOf('\r', message.length - 2)) : message,
    cursors: [...line.cursors, frame.cursor].slice(-1000),
    isTail: line.isTail && frame.continues
  };
}

/** The held part of a log. */
export class LineBuffer {
  private pages = new Map<number, Map<number, ILine>>();
  /** Stretches of numbers that have no line: the log was cut there. `[first, last]`, ordered. */
  private gaps: [number, number][] = [];
  private last = 0;

  /** The highest line number known to exist. */
  get lastLine(): number {
    return this.last;
  }

  /** Stretches of line numbers that were cut out of the log, as far as they are known. */
  get absent(): readonly [number, number][] {
    return this.gaps;
  }

  get heldLines(): number {
    let count = 0;
    for (const page of this.pages.values()) {
      count += page.size;
    }
    return count;
  }

  get(line: number): ILine | undefined {
    return this.pages.get(pageOf(line))?.get(line);
  }

  /** Whether the number was cut out of the log. */
  isAbsent(line: number): boolean {
    return this.gaps.some(([first, last]) => first <= line && line <= last);
  }

  /** Add frames, in order. */
  put(frames: readonly LogFrame[]): void {
    for (const frame of frames) {
      const number = pageOf(frame.line);
      let page = this.pages.get(number);
      if (!page) {
        page = new Map();
        this.pages.set(number, page);
      }
      page.set(frame.line, joinLine(page.get(frame.line), frame));
      this.last = Math.max(this.last, frame.line);
    }
  }

  /**
   * Add a page that was read without filters from line `from` on: numbers between two of its
   * frames are lines that are no more. Returns the new gaps.
   */
  putRead(from: number, frames: readonly LogFrame[]): [number, number][] {
    this.put(frames);
    const found: [number, number][] = [];
    if (frames.length === 0 && from <= this.last) {
      found.push([from, Math.min(this.last, (pageOf(from) + 1) * PAGE_LINES)]);
    }
    let expected = from;
    for (const frame of frames) {
      if (frame.line > expected) {
        found.push([expected, frame.line - 1]);
      }
      expected = Math.max(expected, frame.line + 1); // parts of an older line may come in between
    }
    const fresh = found.filter(([first]) => !this.isAbsent(first));
    this.gaps = [...this.gaps, ...fresh].sort((a, b) => a[0] - b[0]);
    return fresh;
  }

  /** Lines from which `PAGE_LINES` have to be read to show lines `from` to `to`. */
  missing(from: number, to: number): number[] {
    const wanted: number[] = [];
    const end = Math.min(to, this.last);
    for (let line = Math.max(1, from); line <= end; line++) {
      if (!this.get(line)) {
        const gap = this.gaps.find(([first, last]) => first <= line && line <= last);
        if (gap) {
          line = gap[1];
          continue;
        }
        const begin = pageOf(line) * PAGE_LINES + 1;
        wanted.push(this.get(begin) ? line : begin); // the rest of a page, or all of it
        line = begin + PAGE_LINES - 1;
      }
    }
    return wanted;
  }

  /** Drop the pages farthest from `line` until no more than `HELD_PAGES` are left. */
  trim(line: number): void {
    const excess = this.pages.size - HELD_PAGES;
    if (excess > 0) {
      const here = pageOf(line);
      const farthest = [...this.pages.keys()].sort(
        (a, b) => Math.abs(b - here) - Math.abs(a - here)
      );
      for (const number of farthest.slice(0, excess)) {
        this.pages.delete(number);
      }
    }
  }
}

function pageOf(line: number): number {
  return Math.floor((line - 1) / PAGE_LINES);
}
