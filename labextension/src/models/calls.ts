// The LLM calls and sampling loops of a run: read a page at a time, kept current by their topic.

import { Signal, type ISignal } from '@lumino/signaling';
import type { RunsApi } from '../api/rest.js';
import type { CallsChanged, LlmCall, SamplingLoop } from '../api/schema.js';
import type { RunsStream } from '../api/stream.js';

const FIRST_PAGE = 200; // soon there, and more than a screen shows
const PAGE = 1000;
const DRAW_PAUSE_MS = 100; // what comes live is told of at most this often
const OVERLAP = 100; // ended calls that are read again after a reconnection

/** What is used of the API. */
export type CallsApi = Pick<RunsApi, 'listCalls' | 'listLoops'>;

/** Calls or loops by number; what came live wins over a page that was asked for before. */
export class Numbered<T> {
  private readonly byNumber = new Map<number, T>();
  private readonly liveAt = new Map<number, number>();
  private sorted: T[] | null = [];

  constructor(
    private readonly numberOf: (value: T) => number,
    private readonly isSettled: (value: T) => boolean
  ) {}

  /** In order; the same array until something changes. */
  get values(): readonly T[] {
    this.sorted ??= [...this.byNumber.values()].sort((a, b) => this.numberOf(a) - this.numberOf(b));
    return this.sorted;
  }

  get(number: number): T | undefined {
    return this.byNumber.get(number);
  }

  /** Take what came live at a time. */
  takeLive(values: readonly T[], time: number): void {
    for (const value of values) {
      this.liveAt.set(this.numberOf(value), time);
      this.put(value);
    }
  }

  /** Take a page that was asked for at a time. */
  takePage(values: readonly T[], askedAt: number): void {
    for (const value of values) {
      if ((this.liveAt.get(this.numberOf(value)) ?? -1) < askedAt) {
        this.put(value);
      }
    }
  }

  /** The number after which values may still change or be missing. */
  get settledUpTo(): number {
    const open = this.values.find(value => !this.isSettled(value));
    const last = this.values.at(-1);
    return open ? this.numberOf(open) - 1 : last ? this.numberOf(last) : 0;
  }

  private put(value: T): void {
    this.byNumber.set(this.numberOf(value), value);
    this.sorted = null;
  }
}

/** What one run asked of models. */
export class CallsModel {
  private readonly callsByNumber = new Numbered<LlmCall>(
    call => call.call,
    call => call.status !== 'active'
  );
  private readonly loopsByNumber = new Numbered<SamplingLoop>(
    loop => loop.loop,
    loop => loop.status !== 'active'
  );
  private readonly changedSignal = new Signal<this, void>(this);
  private readonly unsubscribe: () => void;
  private time = 0; // counts what came live, to tell what is newer
  private reading: Promise<void> | null = null;
  private mustReadAgain = false;
  private hasCalls = false;
  private hasLoops = false;
  private failure: Error | null = null;
  private timer: number | null = null;
  private isDisposed = false;

  constructor(
    readonly runId: string,
    private readonly api: CallsApi,
    stream: Pick<RunsStream, 'subscribe'>
  ) {
    this.unsubscribe = stream.subscribe(`run/${runId}/calls`, {
      onSubscribed: () => void this.refresh(),
      onLagged: () => void this.refresh(),
      onCalls: event => this.receive(event)
    });
    void this.refresh();
  }

  /** Something below has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  /** By number; the same array until something changes. */
  get calls(): readonly LlmCall[] {
    return this.callsByNumber.values;
  }

  /** By number; the same array until something changes. */
  get loops(): readonly SamplingLoop[] {
    return this.loopsByNumber.values;
  }

  /** Whether the first pages of both are there. */
  get isReady(): boolean {
    return this.hasCalls && this.hasLoops;
  }

  /** Whether pages are being read. */
  get isLoading(): boolean {
    return this.reading !== null;
  }

  /** Why not all could be read. */
  get error(): Error | null {
    return this.failure;
  }

  findCall(number: number): LlmCall | undefined {
    return this.callsByNumber.get(number);
  }

  findLoop(number: number): SamplingLoop | undefined {
    return this.loopsByNumber.get(number);
  }

  /** Read what may be missing; asked for again meanwhile, it is done once more afterwards. */
  refresh(): Promise<void> {
    if (this.reading) {
      this.mustReadAgain = true;
      return this.reading;
    }
    this.reading = this.read().finally(() => {
      this.reading = null;
      if (this.mustReadAgain && !this.isDisposed) {
        this.mustReadAgain = false;
        void this.refresh();
      }
      this.tell();
    });
    return this.reading;
  }

  dispose(): void {
    this.isDisposed = true;
    this.unsubscribe();
    if (this.timer !== null) {
      window.clearTimeout(this.timer);
    }
    Signal.clearData(this);
  }

  private async read(): Promise<void> {
    try {
      await Promise.all([this.readLoops(), this.readCalls()]);
      this.failure = null;
    } catch (error) {
      this.failure = error as Error;
    }
  }

  private async readCalls(): Promise<void> {
    let after: number | null = Math.max(0, this.callsByNumber.settledUpTo - OVERLAP);
    for (let limit = FIRST_PAGE; after !== null && !this.isDisposed; limit = PAGE) {
      const askedAt = ++this.time;
      const page = await this.api.listCalls(this.runId, { after, limit });
      this.callsByNumber.takePage(page.calls, askedAt);
      this.hasCalls = true;
      after = page.next;
      this.tell();
    }
  }

  private async readLoops(): Promise<void> {
    let after: number | null = this.loopsByNumber.settledUpTo;
    for (let limit = FIRST_PAGE; after !== null && !this.isDisposed; limit = PAGE) {
      const askedAt = ++this.time;
      const page = await this.api.listLoops(this.runId, { after, limit });
      this.loopsByNumber.takePage(page.loops, askedAt);
      this.hasLoops = true;
      after = page.next;
      this.tell();
    }
  }

  private receive({ calls, loops }: CallsChanged): void {
    const now = ++this.time;
    this.callsByNumber.takeLive(calls, now);
    this.loopsByNumber.takeLive(loops, now);
    this.tellSoon();
  }

  private tellSoon(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = null;
      this.tell();
    }, DRAW_PAUSE_MS);
  }

  private tell(): void {
    if (!this.isDisposed) {
      this.changedSignal.emit();
    }
  }
}
