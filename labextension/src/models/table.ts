// The dashboard's runs: a filter, an order, keyset pages, totals, and a selection. Runs that change
// are replaced where they are; runs that are new are counted and wait, so that rows do not jump.

import { Signal, type ISignal } from '@lumino/signaling';
import type { RunsApi } from '../api/rest.js';
import type { GetRunsQuery, Run, RunStatus, SummaryReply } from '../api/schema.js';
import type { RunsStream } from '../api/stream.js';

const PAGE = 100;
const LARGEST_PAGE = 1000;
const TOTALS_PAUSE_MS = 2000;

/** The filter bar's state, as it is kept in the layout. */
export type TableFilters = {
  status?: RunStatus[];
  owner_id?: string[];
  asset_id?: string[];
  model?: string[];
  tags?: string[];
  group_id?: string[];
  fingerprint?: string[];
  started_after?: string;
  started_before?: string;
  shared?: 'with_me';
  search?: string;
};

/** What the layout keeps of a dashboard. */
export interface ITableState {
  filters: TableFilters;
  sort: string;
  columns: string[];
}

/** An asset that has runs. */
export interface IAssetChoice {
  id: string;
  /** Where it is, or what it is called. */
  label: string;
}

/** What the filter bar offers. */
export interface IChoices {
  owners: readonly string[];
  assets: readonly IAssetChoice[];
}

/** Rows of one filter in one order. */
export class RunsTableModel {
  private rows: Run[] = [];
  private next: string | null = null;
  private loading: AbortController | null = null;
  private failure: Error | null = null;
  private totals: SummaryReply | null = null;
  private totalsTimer: number | null = null;
  private unseen = new Set<string>(); // new runs of which it is not known whether they pass
  private created = new Set<string>();
  private choicesRead: Promise<void> | null = null;
  private known: IChoices = { owners: [], assets: [] };
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

  /** How many runs that pass the filter were created since the rows were loaded. */
  get waiting(): number {
    return this.created.size;
  }

  /** Owners and assets of all runs, as far as they were asked for by `readChoices`. */
  get choices(): IChoices {
    return this.known;
  }

  /** Read what the filter bar offers, once. */
  readChoices(): Promise<void> {
    this.choicesRead ??= this.loadChoices().catch(() => {
      this.choicesRead = null; // asked for again with the next look at the field
    });
    return this.choicesRead;
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

  /** Select or deselect all rows between two, both included. */
  selectRange(fromId: string, toId: string, isSelected: boolean): void {
    const to = this.rows.findIndex(run => run.id === toId);
    const at = this.rows.findIndex(run => run.id === fromId);
    const from = at < 0 ? to : at; // the row it began with may be gone
    const range = this.rows.slice(Math.min(from, to), Math.max(from, to) + 1);
    this.select(
      range.map(run => run.id),
      isSelected
    );
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
        this.unseen.clear();
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
      this.unseen.add(run.id);
    }
    this.changedSignal.emit();
    this.totalsTimer ??= window.setTimeout(() => {
      this.totalsTimer = null;
      void this.summarize();
      void this.countCreated();
    }, TOTALS_PAUSE_MS);
  }

  /** Have the server say which of the new runs pass the filter; only it knows how it searches. */
  private async countCreated(): Promise<void> {
    const asked = this.unseen;
    const { filters } = this.current;
    if (asked.size === 0) {
      return;
    }
    this.unseen = new Set();
    const limit = Math.min(asked.size + PAGE, LARGEST_PAGE);
    try {
      const { runs } = await this.api.listRuns(
        { ...filters, sort: '-created_at', limit },
        { isBackground: true }
      );
      if (filters === this.current.filters) {
        const rows = new Set(this.rows.map(run => run.id));
        for (const { id } of runs) {
          if (asked.has(id) && !rows.has(id)) {
            this.created.add(id);
          }
        }
        this.changedSignal.emit();
      }
    } catch {
      asked.forEach(id => this.unseen.add(id)); // counted with the next change
    }
  }

  private async loadChoices(): Promise<void> {
    const quietly = { isBackground: true };
    const [owners, assets, registered] = await Promise.all([
      this.api.summarize({ group_by: 'owner' }, quietly),
      this.api.summarize({ group_by: 'asset' }, quietly),
      this.api.listAssets({ limit: LARGEST_PAGE })
    ]);
    const labels = new Map(this.rows.map(run => [run.asset_id, run.asset_name]));
    registered.assets.forEach(asset => labels.set(asset.id, asset.path ?? asset.name));
    this.known = {
      owners: owners.groups.map(group => group.key),
      assets: assets.groups
        .map(({ key }) => ({ id: key, label: labels.get(key) || key }))
        .sort((a, b) => a.label.localeCompare(b.label))
    };
    this.changedSignal.emit();
  }

  private remove(runId: string): void {
    this.rows = this.rows.filter(run => run.id !== runId);
    this.created.delete(runId);
    this.unseen.delete(runId);
    this.chosen.delete(runId);
    this.changedSignal.emit();
  }
}
