// Search in a log: the server finds the lines, this walks through them.

import type { GetRunsRunIdLogsQuery, LogPage } from '../../api/schema.js';

/** Hits on a page of the search. */
const PAGE = 1000;

/** A search under way. Line numbers are ascending. */
export class LogSearch {
  private found: number[] = [];
  private after: string | null = null;
  private complete = false;
  private at = -1;
  private isCancelled = false;

  constructor(
    readonly text: string,
    private readonly read: (query: GetRunsRunIdLogsQuery) => Promise<LogPage>
  ) {}

  /** Number of hits that are known. */
  get count(): number {
    return this.found.length;
  }

  /** Whether there are no more than `count`. */
  get isComplete(): boolean {
    return this.complete;
  }

  /** Position of the present hit, from 0; -1 when there is none. */
  get position(): number {
    return this.at;
  }

  /** Line of the present hit. */
  get line(): number | null {
    return this.found[this.at] ?? null;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  /** Find the first hits; the present one becomes the first at or after `fromLine`. */
  async start(fromLine: number): Promise<void> {
    await this.readMore();
    let index = this.found.findIndex(line => line >= fromLine);
    while (index < 0 && !this.complete && !this.isCancelled) {
      await this.readMore();
      index = this.found.findIndex(line => line >= fromLine);
    }
    this.at = index >= 0 ? index : this.found.length - 1;
  }

  /** Go to the next hit; after the last one comes the first. */
  async next(): Promise<number | null> {
    if (this.at + 1 >= this.found.length && !this.complete) {
      await this.readMore();
    }
    if (this.found.length > 0) {
      this.at = (this.at + 1) % this.found.length;
    }
    return this.line;
  }

  /** Go to the hit before; before the first one comes the last that is known. */
  previous(): number | null {
    if (this.found.length > 0) {
      this.at = (this.at - 1 + this.found.length) % this.found.length;
    }
    return this.line;
  }

  private async readMore(): Promise<void> {
    const place = this.after === null ? {} : { after: this.after };
    const page = await this.read({ search: this.text, limit: PAGE, ...place });
    const last = this.found.at(-1) ?? 0;
    this.found.push(...new Set(page.frames.map(frame => frame.line).filter(line => line > last)));
    this.complete = page.next === null || page.next === this.after || page.frames.length < PAGE;
    this.after = page.next;
  }
}
