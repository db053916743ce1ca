// Lines of a log that pass a filter: a list that grows at both ends as it is looked at.

import type { GetRunsRunIdLogsQuery, LogFrame, LogPage } from '../../api/schema.js';
import { joinLine, type ILine } from './buffer.js';

const PAGE = 500;

/** Streams and levels to show; empty means all. */
export interface ILogFilter {
  streams: readonly LogFrame['stream'][];
  levels: readonly LogFrame['level'][];
}

/** Whether a filter lets everything pass. */
export function isOpen(filter: ILogFilter): boolean {
  return filter.streams.length === 0 && filter.levels.length === 0;
}

function passes(filter: ILogFilter, frame: LogFrame): boolean {
  return (
    (filter.streams.length === 0 || filter.streams.includes(frame.stream)) &&
    (filter.levels.length === 0 || filter.levels.includes(frame.level))
  );
}

/** The loaded part of a filtered log, in order. */
export class FilteredLines {
  private lines: ILine[] = [];
  private isAtStart = false;
  private isAtEnd = false;
  private isReading = false;

  constructor(
    readonly filter: ILogFilter,
    private readonly read: (query: GetRunsRunIdLogsQuery) => Promise<LogPage>
  ) {}

  get count(): number {
    return this.lines.length;
  }

  get(index: number): ILine | undefined {
    return this.lines[index];
  }

  /** Lines that the filter hides between a row and the one before it. */
  hiddenBefore(index: number): number {
    const line = this.lines[index];
    const before = this.lines[index - 1];
    if (!line || (!before && !this.isAtStart)) {
      return 0;
    }
    return line.line - (before?.line ?? 0) - 1;
  }

  /** The row of a line, or of the next one that is shown; null when it is not loaded. */
  indexOf(line: number): number | null {
    const index = this.lines.findIndex(each => each.line >= line);
    if (index < 0 || (index === 0 && !this.isAtStart && this.lines[0]?.line !== line)) {
      return null;
    }
    return index;
  }

  /** Load the end of the log. */
  async openTail(): Promise<LogPage> {
    const page = await this.read({ ...this.query, tail: PAGE });
    this.lines = [];
    this.append(page.frames);
    this.isAtStart = page.frames.length < PAGE;
    this.isAtEnd = true;
    return page;
  }

  /** Load a stretch that begins at a line. */
  async openAt(line: number): Promise<void> {
    const page = await this.read({ ...this.query, line, limit: PAGE });
    this.lines = [];
    this.append(page.frames);
    this.isAtStart = line <= 1;
    this.isAtEnd = page.frames.length < PAGE;
  }

  /** Load what rows `from` to `to` need. Returns how many rows were put before the first. */
  async want(from: number, to: number): Promise<number> {
    if (this.isReading || this.lines.length === 0) {
      return 0;
    }
    this.isReading = true;
    try {
      if (from <= 0 && !this.isAtStart) {
        return await this.readBefore();
      }
      if (to >= this.lines.length - 1 && !this.isAtEnd) {
        await this.readAfter();
      }
      return 0;
    } finally {
      this.isReading = false;
    }
  }

  /** Take lines that came live. */
  receive(frames: readonly LogFrame[]): void {
    if (this.isAtEnd) {
      this.append(frames.filter(frame => passes(this.filter, frame)));
    }
  }

  private get query(): GetRunsRunIdLogsQuery {
    return { stream: [...this.filter.streams], level: [...this.filter.levels] };
  }

  private async readBefore(): Promise<number> {
    const before = this.lines[0]?.cursors[0];
    const page = await this.read({ ...this.query, before, limit: PAGE });
    const count = this.lines.length;
    const kept = this.lines;
    this.lines = [];
    this.append(page.frames);
    this.lines = [...this.lines, ...kept];
    this.isAtStart = page.frames.length < PAGE;
    return this.lines.length - count;
  }

  private async readAfter(): Promise<void> {
    const after = this.lines.at(-1)?.cursors.at(-1);
    const page = await this.read({ ...this.query, after, limit: PAGE });
    this.append(page.frames);
    this.isAtEnd = page.frames.length < PAGE;
  }

  private append(frames: readonly LogFrame[]): void {
    for (const frame of frames) {
      const index = this.lines.findLastIndex(line => line.line <= frame.line);
      const found = this.lines[index];
      if (found?.line === frame.line) {
        this.lines[index] = joinLine(found, frame); // also when lines of others came in between
      } else {
        this.lines.splice(index + 1, 0, joinLine(undefined, frame));
      }
    }
  }
}
