// The user's own runs: those that are active and the recent ones, kept current by the `runs` topic,
// with today's totals. What the sidebar, the status bar and the notices look at.

import { Signal, type ISignal } from '@lumino/signaling';
import type { RunsApi } from '../api/rest.js';
import type { Run, SummaryReply } from '../api/schema.js';
import type { RunsStream } from '../api/stream.js';
import { startOfToday } from '../format.js';
import { isOwn, isTerminal } from './statuses.js';

const RECENT = 100;
const RECENT_SHARED = 20;
const ACTIVE = ['created', 'queued', 'pulling_image', 'starting', 'running'] as const;
const SUMMARY_PAUSE_MS = 2000;

/** How far the model has come. */
export type LoadState = 'loading' | 'ready' | 'failed';

/** The runs of the person at this browser. */
export class RunsModel {
  private readonly byId = new Map<string, Run>();
  private readonly sharedById = new Map<string, Run>();
  private readonly changedSignal = new Signal<this, void>(this);
  private readonly endedSignal = new Signal<this, Run>(this);
  private readonly unsubscribe: () => void;
  private ownerId: string | null = null;
  private loadState: LoadState = 'loading';
  private failure: Error | null = null;
  private totals: SummaryReply | null = null;
  private summaryTimer: number | null = null;
  private upToDateAt = 0;
  private refreshing: Promise<void> | null = null;

  constructor(
    readonly api: RunsApi,
    readonly stream: RunsStream
  ) {
    this.unsubscribe = stream.subscribe('runs', {
      onSubscribed: () => void this.refresh(),
      onRun: run => this.receive(run),
      onDeleted: event => {
        if (this.byId.delete(event.run_id) || this.sharedById.delete(event.run_id)) {
          this.changedSignal.emit();
        }
      }
    });
    void this.refresh();
  }

  /** Something below has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  /** A run of this user reached a final status while we watched. */
  get runEnded(): ISignal<this, Run> {
    return this.endedSignal;
  }

  get state(): LoadState {
    return this.loadState;
  }

  get error(): Error | null {
    return this.failure;
  }

  /** When the list was last known to be whole, Unix milliseconds. */
  get currentAt(): number {
    return this.upToDateAt;
  }

  /** Totals of today's runs; null until they were read. */
  get today(): SummaryReply | null {
    return this.totals;
  }

  /** Runs that have not ended, oldest first. */
  get active(): Run[] {
    return this.sorted(run => !isTerminal(run)).reverse();
  }

  /** Runs that have ended, newest first. */
  get recent(): Run[] {
    return this.sorted(isTerminal).slice(0, RECENT);
  }

  /** Runs of others that are shared with this user, newest first. */
  get shared(): Run[] {
    return newestFirst([...this.sharedById.values()]).slice(0, RECENT_SHARED);
  }

  find(runId: string): Run | undefined {
    return this.byId.get(runId) ?? this.sharedById.get(runId);
  }

  /** Read the lists again; calls while one is under way share it. */
  refresh(): Promise<void> {
    this.refreshing ??= this.load().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  /** Take a newer state of a run, e.g. the reply to a command. */
  accept(run: Run): void {
    if (!isOwn(run)) {
      if ((this.sharedById.get(run.id)?.version ?? 0) <= run.version) {
        this.sharedById.set(run.id, run);
        this.changedSignal.emit();
      }
      return;
    }
    const before = this.byId.get(run.id);
    if (before && before.version > run.version) {
      return;
    }
    this.byId.set(run.id, run);
    if (before && !isTerminal(before) && isTerminal(run)) {
      this.endedSignal.emit(run);
    }
    this.changedSignal.emit();
    this.summarizeSoon();
  }

  dispose(): void {
    this.unsubscribe();
    if (this.summaryTimer !== null) {
      window.clearTimeout(this.summaryTimer);
    }
    Signal.clearData(this);
  }

  private receive(run: Run): void {
    this.upToDateAt = Date.now();
    if (this.byId.has(run.id) || run.owner_id === this.ownerId || !isOwn(run)) {
      this.accept(run);
    } else if (this.ownerId === null) {
      void this.refresh(); // the first run of somebody: the reply says whose it is
    }
  }

  private async load(): Promise<void> {
    const background = { isBackground: true };
    try {
      const [active, recent, shared] = await Promise.all([
        this.api.listOwnRuns({ status: [...ACTIVE], limit: 1000 }, background),
        this.api.listOwnRuns({ limit: RECENT }, background),
        this.api.listRuns({ shared: 'with_me', limit: RECENT_SHARED }, background)
      ]);
      const runs = [...active.runs, ...recent.runs];
      const kept = new Set(runs.map(run => run.id));
      for (const runId of [...this.byId.keys()]) {
        if (!kept.has(runId)) {
          this.byId.delete(runId);
        }
      }
      this.ownerId = runs[0]?.owner_id ?? this.ownerId;
      this.loadState = 'ready';
      this.failure = null;
      this.upToDateAt = Date.now();
      this.sharedById.clear();
      for (const run of shared.runs) {
        this.sharedById.set(run.id, run);
      }
      for (const run of runs) {
        this.accept(run);
      }
    } catch (error) {
      this.failure = error as Error;
      this.loadState = this.byId.size > 0 ? 'ready' : 'failed';
    }
    this.changedSignal.emit();
    this.summarizeSoon();
  }

  private summarizeSoon(): void {
    this.summaryTimer ??= window.setTimeout(
      () => {
        void this.summarize().finally(() => {
          this.summaryTimer = null;
        });
      },
      this.totals === null ? 0 : SUMMARY_PAUSE_MS
    );
  }

  private async summarize(): Promise<void> {
    const query = { started_after: startOfToday(Date.now()), shared: 'none' } as const;
    try {
      this.totals = await this.api.summarize(query, { isBackground: true });
      this.changedSignal.emit();
    } catch {
      // the list itself says that the server does not answer; old totals are better than none
    }
  }

  private sorted(keep: (run: Run) => boolean): Run[] {
    return newestFirst([...this.byId.values()].filter(keep));
  }
}

function newestFirst(runs: Run[]): Run[] {
  return runs.sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
}
