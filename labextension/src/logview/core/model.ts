// A log that is looked at: reads the windows the view asks for, follows what comes, filters and
// searches. No DOM. The view draws rows `0 … count - 1` and calls `want` for those it shows.

import type { LogFrame, LogPage, RunStatus } from '../../api/schema.js';
import { LineBuffer, PAGE_LINES, type ILine } from './buffer.js';
import { FilteredLines, isOpen, type ILogFilter } from './filtered.js';
import { LogSearch } from './search.js';
import type { ILogSource } from './source.js';

/** Lines that are read when a log is opened. */
export const OPENING_LINES = 500;
const READS_AT_ONCE = 2;
const RETRY_MS = 2000;

/** Where the log is. `live`: lines may come. */
export type LogState = 'loading' | 'live' | 'ended' | 'failed';

/** A stretch of line numbers for which there are no lines, as row indexes. */
export type AbsentRows = [first: number, last: number];

/** What changes in a way that the view's heights have to follow. */
export interface ILogModelListener {
  /** Something has changed: draw again. Lines that came live may wait for the next frame. */
  onChange(mayWait: boolean): void;
  /** The rows are others now: forget their heights. */
  onReset(): void;
  /** That many rows were put before the first. */
  onPrepend(count: number): void;
  /** These rows have no line. */
  onAbsent(rows: AbsentRows[]): void;
  /** Bring a row into view. */
  onReveal(index: number): void;
}

/** The log of one run. */
export class LogModel {
  private buffer = new LineBuffer();
  private filtered: FilteredLines | null = null;
  private listeners = new Set<ILogModelListener>();
  private reading = new Set<number>();
  private retryAt = 0;
  private unfollow: (() => void) | null = null;
  private currentState: LogState = 'loading';
  private failure: Error | null = null;
  private finalStatus: RunStatus | null = null;
  private activeSearch: LogSearch | null = null;
  private isSearchingNow = false;
  private following = true;
  private countWhenLetGo = 0;
  private isDisposed = false;
  private highlighted: number | null = null;

  constructor(private readonly source: ILogSource) {}

  get state(): LogState {
    return this.currentState;
  }

  get error(): Error | null {
    return this.failure;
  }

  /** The run's final status, once the log is complete and the server said so. */
  get status(): RunStatus | null {
    return this.finalStatus;
  }

  /** Number of rows. */
  get count(): number {
    return this.filtered?.count ?? this.buffer.lastLine;
  }

  /** Number of lines of the log, filtered or not. */
  get lineCount(): number {
    return this.buffer.lastLine;
  }

  get filter(): ILogFilter {
    return this.filtered?.filter ?? { streams: [], levels: [] };
  }

  get search(): LogSearch | null {
    return this.activeSearch;
  }

  get isSearching(): boolean {
    return this.isSearchingNow;
  }

  /** The line a link or a hit points to. */
  get highlightedLine(): number | null {
    return this.highlighted;
  }

  /** Whether the view stays at the end. */
  get isFollowing(): boolean {
    return this.following;
  }

  /** Rows that came since the view let go of the end. */
  get newRows(): number {
    return this.following ? 0 : Math.max(0, this.count - this.countWhenLetGo);
  }

  listen(listener: ILogModelListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The line of a row; undefined while it is not there. */
  row(index: number): ILine | undefined {
    return this.filtered ? this.filtered.get(index) : this.buffer.get(index + 1);
  }

  /** Rows without a line: the log was cut there. */
  get absentRows(): AbsentRows[] {
    return this.filtered ? [] : toRows(this.buffer.absent);
  }

  /** Lines that the filter hides right before a row. */
  hiddenBefore(index: number): number {
    return this.filtered?.hiddenBefore(index) ?? 0;
  }

  /** Read the end of the log, or a line's surroundings, and follow what comes. */
  async open(line: number | null = null): Promise<void> {
    try {
      await this.openTail();
      if (line !== null) {
        await this.reveal(line);
      }
    } catch (error) {
      this.fail(error as Error);
    }
  }

  /** The view shows these rows: read what is missing, drop what is far away. */
  want(from: number, to: number): void {
    if (this.filtered) {
      void this.wantFiltered(this.filtered, from, to);
      return;
    }
    for (const first of this.buffer.missing(from + 1, to + 1)) {
      if (
        this.reading.size < READS_AT_ONCE &&
        !this.reading.has(first) &&
        Date.now() >= this.retryAt
      ) {
        void this.readWindow(first);
      }
    }
    this.buffer.trim(Math.floor((from + to) / 2) + 1);
  }

  setFollowing(isFollowing: boolean): void {
    if (this.following !== isFollowing) {
      this.following = isFollowing;
      this.countWhenLetGo = this.count;
      this.tell('onChange');
    }
  }

  /** Show only some streams and levels. */
  async setFilter(filter: ILogFilter): Promise<void> {
    if (isOpen(filter)) {
      this.filtered = null;
      this.tell('onReset');
      return;
    }
    const filtered = new FilteredLines(filter, query => this.source.read(query));
    try {
      await filtered.openTail();
    } catch (error) {
      this.failure = error as Error;
      this.tell('onChange');
      return;
    }
    this.filtered = filtered;
    this.following = true;
    this.tell('onReset');
  }

  /** Search for text from the line `fromLine` on; an empty text ends the search. */
  async find(text: string, fromLine: number): Promise<void> {
    this.activeSearch?.cancel();
    this.activeSearch = null;
    this.highlighted = null;
    if (text === '') {
      this.isSearchingNow = false;
      this.tell('onChange');
      return;
    }
    const { streams, levels } = this.filter;
    const search = new LogSearch(text, query =>
      this.source.read({ ...query, stream: [...streams], level: [...levels] })
    );
    this.activeSearch = search;
    this.isSearchingNow = true;
    this.tell('onChange');
    try {
      await search.start(fromLine);
    } catch (error) {
      this.failure = error as Error;
    }
    if (this.activeSearch === search) {
      this.isSearchingNow = false;
      await this.revealHit(search.line);
    }
  }

  async findNext(): Promise<void> {
    await this.revealHit((await this.activeSearch?.next()) ?? null);
  }

  async findPrevious(): Promise<void> {
    await this.revealHit(this.activeSearch?.previous() ?? null);
  }

  /** Bring a line into view and mark it. */
  async reveal(line: number): Promise<void> {
    this.highlighted = line;
    this.setFollowing(false);
    if (this.filtered) {
      if (this.filtered.indexOf(line) === null) {
        await this.filtered.openAt(Math.max(1, line));
        this.tell('onReset');
      }
      this.tellReveal(this.filtered.indexOf(line) ?? 0);
    } else {
      this.tellReveal(Math.min(line, Math.max(1, this.buffer.lastLine)) - 1);
    }
    this.tell('onChange');
  }

  dispose(): void {
    this.isDisposed = true;
    this.activeSearch?.cancel();
    this.unfollow?.();
    this.unfollow = null;
    this.listeners.clear();
  }

  private async openTail(): Promise<void> {
    const page = await this.source.read({ tail: OPENING_LINES });
    if (this.isDisposed) {
      return;
    }
    this.take(page);
    if (page.ended) {
      this.currentState = 'ended';
    } else {
      this.currentState = 'live';
      this.unfollow = this.source.follow(page.next, {
        onFrames: frames => this.receive(frames),
        onLagged: () => void this.catchUp(),
        onComplete: status => {
          this.currentState = 'ended';
          this.finalStatus = status as RunStatus;
          this.tell('onChange');
        },
        onError: message => this.fail(new Error(message))
      });
    }
    this.failure = null;
    this.tell('onChange');
  }

  private take(page: LogPage): void {
    const first = page.frames[0];
    if (first) {
      this.tellAbsent(this.buffer.putRead(first.line, page.frames));
    }
  }

  private receive(frames: readonly LogFrame[]): void {
    this.buffer.put(frames);
    this.filtered?.receive(frames);
    if (this.following) {
      this.buffer.trim(this.buffer.lastLine);
    }
    for (const listener of [...this.listeners]) {
      listener.onChange(true);
    }
  }

  /** The server gave up on us: jump to the end; what lies between is read when it is looked at. */
  private async catchUp(): Promise<void> {
    try {
      const page = await this.source.read({ tail: OPENING_LINES });
      this.take(page);
      this.source.followFrom(page.next);
      this.tell('onChange');
    } catch (error) {
      this.fail(error as Error);
    }
  }

  private async readWindow(first: number): Promise<void> {
    this.reading.add(first);
    try {
      const page = await this.source.read({ line: first, limit: PAGE_LINES });
      this.tellAbsent(this.buffer.putRead(first, page.frames));
      this.failure = null;
    } catch (error) {
      this.failure = error as Error;
      this.retryAt = Date.now() + RETRY_MS;
      setTimeout(() => this.tell('onChange'), RETRY_MS);
    } finally {
      this.reading.delete(first);
    }
    this.tell('onChange');
  }

  private async wantFiltered(filtered: FilteredLines, from: number, to: number): Promise<void> {
    if (Date.now() < this.retryAt) {
      return;
    }
    const before = filtered.count;
    try {
      const prepended = await filtered.want(from, to);
      if (filtered !== this.filtered || filtered.count === before) {
        return;
      }
      if (prepended > 0) {
        for (const listener of this.listeners) {
          listener.onPrepend(prepended);
        }
      }
      this.tell('onChange');
    } catch (error) {
      this.failure = error as Error;
      this.retryAt = Date.now() + RETRY_MS;
      this.tell('onChange');
    }
  }

  private async revealHit(line: number | null): Promise<void> {
    if (line === null) {
      this.tell('onChange');
    } else {
      await this.reveal(line);
    }
  }

  private fail(error: Error): void {
    this.failure = error;
    if (this.currentState === 'loading') {
      this.currentState = 'failed';
    }
    this.tell('onChange');
  }

  private tell(what: 'onChange' | 'onReset'): void {
    for (const listener of [...this.listeners]) {
      listener[what](false);
    }
  }

  private tellReveal(index: number): void {
    for (const listener of [...this.listeners]) {
      listener.onReveal(index);
    }
  }

  private tellAbsent(gaps: [number, number][]): void {
    if (gaps.length > 0 && !this.filtered) {
      for (const listener of [...this.listeners]) {
        listener.onAbsent(toRows(gaps));
      }
    }
  }
}

function toRows(gaps: readonly [number, number][]): AbsentRows[] {
  return gaps.map(([first, last]) => [first - 1, last - 1]);
}
