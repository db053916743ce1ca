// One run, kept current by its topic of the stream.

import { Signal, type ISignal } from '@lumino/signaling';
import type { RunsApi } from '../api/rest.js';
import type { Run } from '../api/schema.js';
import type { RunsStream } from '../api/stream.js';

/** A run that is looked at. `run` is null until it was read, or when it is gone. */
export class RunModel {
  private current: Run | null = null;
  private failure: Error | null = null;
  private gone = false;
  private readonly changedSignal = new Signal<this, void>(this);
  private readonly unsubscribe: () => void;

  constructor(
    readonly runId: string,
    readonly api: RunsApi,
    readonly stream: RunsStream
  ) {
    this.unsubscribe = stream.subscribe(`run/${runId}`, {
      onRun: run => this.accept(run),
      onDeleted: () => {
        this.gone = true;
        this.changedSignal.emit();
      }
    });
    void this.refresh();
  }

  /** Something below has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  get run(): Run | null {
    return this.current;
  }

  /** Why the run could not be read. */
  get error(): Error | null {
    return this.failure;
  }

  /** Whether the record was removed meanwhile. */
  get isDeleted(): boolean {
    return this.gone;
  }

  /** Read the run again. */
  async refresh(): Promise<void> {
    try {
      this.accept(await this.api.getRun(this.runId));
    } catch (error) {
      this.failure = error as Error;
      this.changedSignal.emit();
    }
  }

  /** Take a newer state of the run, e.g. the reply to a command. */
  accept(run: Run): void {
    if (this.current === null || run.version >= this.current.version) {
      this.current = run;
      this.failure = null;
      this.changedSignal.emit();
    }
  }

  dispose(): void {
    this.unsubscribe();
    Signal.clearData(this);
  }
}
