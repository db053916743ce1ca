// A comparison that is read anew when one of its runs has changed.

import { Signal, type ISignal } from '@lumino/signaling';
import type { RunsApi } from '../../api/rest.js';
import type { GetRunsCompareQuery, Run, RunComparison } from '../../api/schema.js';
import type { RunsStream } from '../../api/stream.js';
import type { Compared } from '../../models/comparison.js';

const PAUSE_MS = 1000;

/** Runs side by side, kept current. */
export class CompareModel {
  private found: RunComparison | null = null;
  private failure: Error | null = null;
  private timer: number | null = null;
  private isReading = false;
  private isStale = false;
  private isDisposed = false;
  private readonly changedSignal = new Signal<this, void>(this);
  private readonly unsubscribe: () => void;

  constructor(
    readonly compared: Compared,
    private readonly api: RunsApi,
    stream: RunsStream
  ) {
    let subscribedBefore = false;
    this.unsubscribe = stream.subscribe('runs', {
      onSubscribed: () => {
        if (subscribedBefore) {
          void this.read();
        }
        subscribedBefore = true;
      },
      onRun: run => this.has(run) && this.readSoon(),
      onDeleted: ({ run_id: runId }) => this.ids.has(runId) && this.readSoon()
    });
    void this.read();
  }

  /** Something below has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  /** As last read; null before. */
  get comparison(): RunComparison | null {
    return this.found;
  }

  /** Why it could not be read the last time. */
  get error(): Error | null {
    return this.failure;
  }

  /** Read it again; one at a time. */
  async read(): Promise<void> {
    if (this.isReading) {
      this.isStale = true;
      return;
    }
    this.isReading = true;
    this.isStale = false;
    try {
      this.found = await this.api.read('runs/compare', queryOf(this.compared), {
        isBackground: this.found !== null
      });
      this.failure = null;
    } catch (error) {
      this.failure = error as Error;
    }
    this.isReading = false;
    if (!this.isDisposed) {
      this.changedSignal.emit();
      if (this.isStale) {
        this.readSoon();
      }
    }
  }

  dispose(): void {
    this.isDisposed = true;
    this.unsubscribe();
    if (this.timer !== null) {
      window.clearTimeout(this.timer);
    }
    Signal.clearData(this);
  }

  private get ids(): ReadonlySet<string> {
    return new Set(
      'run_ids' in this.compared
        ? this.compared.run_ids
        : (this.found?.columns ?? []).flatMap(column => column.runs.map(run => run.id))
    );
  }

  private has(run: Run): boolean {
    return 'group_id' in this.compared
      ? run.group_id === this.compared.group_id
      : this.compared.run_ids.includes(run.id);
  }

  private readSoon(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = null;
      void this.read();
    }, PAUSE_MS);
  }
}

function queryOf(compared: Compared): GetRunsCompareQuery {
  return 'group_id' in compared ? compared : { run_id: [...compared.run_ids] };
}
