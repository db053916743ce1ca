// The dashboard's runs: a filter, an order, keyset pages, totals, and a selection. Runs that change
// are replaced where they are; runs that are new are counted and wait, so that rows do not jump.

import { Signal, type ISignal } from '@lumino/signaling';
import type { RunsApi } from '../api/rest.js';
import type { GetRunsQuery, Run, RunStatus, SummaryReply } from '../api/schema.js';
import type { RunsStream } from '../api/stream.js';

const PAGE = 100;
const TOTALS_PAUSE_MS = 2000;

/** The filter bar's state, as it is kept in the layout. */
export type TableFilters = {
  status?: RunStatus[];
  owner_id?: string[];
  asset_id?: string[];
  model?: string[];
  tags?: string[];
  started_after?: string;
  started_before?: string;
  search?: string;
};

/** What the layout keeps of a dashboard. */
export interface ITableState {
  filters: TableFilters;
  sort: string;
  columns: string[];
}

/** Rows of one filter in one order. */
export class RunsTableModel {
  private rows: Run[] = [];
  private next: string | null = null;
  private loading: AbortController | null = null;
  private failure: Error | null = null;
  private totals: SummaryReply | null = null;
  private totalsTimer: number | null = null;
  private created = new Set<string>();
  private readonly chosen = new Set<string>();
  private readonly changedSignal = new Signal<this, void>(this);
  private readonly unsubscribe: () => void;
  private isComplete = false;

  constructor(
    readonly api: RunsApi,
    stream: RunsStream,
    private current: ITableState
  ) {
    let subscribedBefore = false;
    this.unsubscribe = stream.subscribe('runs', {
      onSubscribed: () => {
        if (subscribedBefore) {
          void this.reload();
        }
        subscribedBefore = true;
      },
      onRun: run => this.receive(run),
      onDeleted: event => this.remove(event.run_id)
    });
    void this.reload();
  }

  /** Something below has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  get state(): ITableState {
    return this.current;
  }

  get runs(): readonly Run[] {
    return this.rows;
  }

  /** Totals and days of all runs of the filter, not only of those that were loaded. */
  get summary(): SummaryReply | null {
    return this.totals;
  }

  get isLoading(): boolean {
    return this.loading !== null;
  }

  get hasMore(): boolean {
    return !this.isComplete;
  }

  get error(): Error | null {
    return this.failure;
  }

  /** How many runs were created since the rows were loaded. */
  get waiting(): number {
    return this.created.size;
  }

  get selection(): ReadonlySet<string> {
    return this.chosen;
  }

  /** Change the filter, the order or the columns. */
  update(change: Partial<ITableState>): void {
    const before = this.current;
    this.current = { ...before, ...change };
    if (change.filters !== undefined || change.sort !== undefined) {
      void this.reload();
    } else {
      this.changedSignal.emit();
    }
  }

  /** Sort by a column; again for the other direction. */
  sortBy(column: string): void {
    const { sort } = this.current;
    this.update({ sort: sort === `-${column}` ? column : `-${column}` });
  }

  select(runIds: Iterable<string>, isSelected: boolean): void {
    for (const runId of runIds) {
      if (isSelected) {
        this.chosen.add(runId);
      } else {
        this.chosen.delete(runId);
      }
    }
    this.changedSignal.emit();
  }

  /** Load the first page again; the old rows stay until it is there. */
  async reload(): Promise<void> {
    await this.load(null);
    await this.summarize();
  }

  /** Load the next page. */
  async loadMore(): Promise<void> {
    if (this.loading === null && this.next !== null && this.failure === null) {
      await this.load(this.next);
    }
  }

  dispose(): void {
    this.unsubscribe();
    this.loading?.abort();
    if (this.totalsTimer !== null) {
      window.clearTimeout(this.totalsTimer);
    }
    Signal.clearData(this);
  }

  private async load(cursor: string | null): Promise<void> {
    this.loading?.abort();
    const loading = new AbortController();
    this.loading = loading;
    this.changedSignal.emit();
    const query: GetRunsQuery = { ...this.current.filters, sort: this.current.sort, limit: PAGE };
    try {
      const page = await this.api.listRuns(cursor === null ? query : { ...query, cursor }, {
        signal: loading.signal
      });
      if (cursor === null) {
        this.rows = [...page.runs];
        this.created.clear();
      } else {
        const known = new Set(this.rows.map(run => run.id));
        this.rows = [...this.rows, ...page.runs.filter(run => !known.has(run.id))];
      }
      this.next = page.next;
      this.isComplete = page.next === null;
      this.failure = null;
    } catch (error) {
      if (loading.signal.aborted) {
        return;
      }
      this.failure = error as Error;
    }
    this.loading = null;
    this.changedSignal.emit();
  }

  private async summarize(): Promise<void> {
    try {
      this.totals = await this.api.summarize(
        {
          ...this.current.filters,
          group_by: 'day',
          utc_offset_minutes: -new Date().getTimezoneOffset()
        },
        { isBackground: true }
      );
      this.changedSignal.emit();
    } catch {
      // the rows' own error is shown; old totals stay
    }
  }

  private receive(run: Run): void {
    const index = this.rows.findIndex(each => each.id === run.id);
    if (index >= 0) {
      if ((this.rows[index]?.version ?? 0) <= run.version) {
        this.rows = this.rows.map(each => (each.id === run.id ? run : each));
      }
    } else if (run.status === 'created' || run.status === 'queued') {
      this.created.add(run.id);
    }
    this.changedSignal.emit();
    this.totalsTimer ??= window.setTimeout(() => {
      this.totalsTimer = null;
      void this.summarize();
    }, TOTALS_PAUSE_MS);
  }

  private remove(runId: string): void {
    this.rows = this.rows.filter(run => run.id !== runId);
    this.created.delete(runId);
    this.chosen.delete(runId);
    this.changedSignal.emit();
  }
}
