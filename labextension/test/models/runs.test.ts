import { beforeEach, expect, test, vi } from 'vitest';
import type { RunsApi } from '../../src/api/rest.js';
import type { Run } from '../../src/api/schema.js';
import type { ITopicListener, RunsStream } from '../../src/api/stream.js';
import { RunsModel } from '../../src/models/runs.js';
import { RunsTableModel } from '../../src/models/table.js';
import { makeRun } from '../helpers.js';

let stored: Run[] = [];
let listener: ITopicListener = {};
let failing: Error | null = null;
const stream = {
  subscribe: (_topic: string, given: ITopicListener) => {
    listener = given;
    return () => undefined;
  }
} as unknown as RunsStream;

const pages = vi.fn();
const api = {
  listOwnRuns: async () => {
    if (failing) {
      throw failing;
    }
    return { runs: stored, next: null, total: null };
  },
  listRuns: async (query: { cursor?: string; limit: number }) => {
    pages(query);
    const from = Number(query.cursor ?? 0);
    const runs = stored.slice(from, from + query.limit);
    const end = from + runs.length;
    return { runs, next: end < stored.length ? String(end) : null, total: null };
  },
  summarize: async (query: { group_by?: string }) => ({
    total_runs: stored.length,
    groups: { owner: ['ann', 'bob'], asset: ['prog_1', 'prog_2'] }[query.group_by ?? '']?.map(
      key => ({ key })
    )
  }),
  listAssets: async () => ({ assets: [{ id: 'prog_1', name: 'trip.py', path: 'folder/trip.py' }] })
} as unknown as RunsApi;

beforeEach(() => {
  stored = [];
  failing = null;
  pages.mockClear();
});

test('active runs stand apart from those that have ended', async () => {
  stored = [
    makeRun({ id: 'a', created_at: '2026-01-15T10:00:00.000Z' }),
    makeRun({ id: 'b', status: 'failed' }),
    makeRun({ id: 'c', status: 'queued', created_at: '2026-01-15T11:00:00.000Z' })
  ];
  const model = new RunsModel(api, stream);
  await model.refresh();
  expect(model.active.map(run => run.id)).toEqual(['a', 'c']);
  expect(model.recent.map(run => run.id)).toEqual(['b']);
  model.dispose();
});

test('the end of a run is told once, and an older state is not taken', async () => {
  stored = [makeRun({ version: 3 })];
  const model = new RunsModel(api, stream);
  await model.refresh();
  const ended = vi.fn();
  model.runEnded.connect((_, run) => ended(run.status));
  listener.onRun?.(makeRun({ version: 5, status: 'succeeded' }));
  listener.onRun?.(makeRun({ version: 4 }));
  listener.onRun?.(makeRun({ version: 6, status: 'succeeded', note: 'x' }));
  expect(ended.mock.calls).toEqual([['succeeded']]);
  expect(model.active).toEqual([]);
  model.dispose();
});

test("runs of other people are not the user's own", async () => {
  stored = [makeRun()];
  const model = new RunsModel(api, stream);
  await model.refresh();
  listener.onRun?.(makeRun({ id: 'other', owner_id: 'bob' }));
  expect(model.find('other')).toBeUndefined();
  listener.onRun?.(makeRun({ id: 'mine', owner_id: 'ann' }));
  expect(model.find('mine')).toBeDefined();
  listener.onDeleted?.({ type: 'run_deleted', run_id: 'mine', owner_id: 'ann' });
  expect(model.find('mine')).toBeUndefined();
  model.dispose();
});

test('a list that can not be read says so, and an old one stays', async () => {
  failing = new Error('no answer');
  const model = new RunsModel(api, stream);
  await model.refresh();
  expect([model.state, model.error?.message]).toEqual(['failed', 'no answer']);
  failing = null;
  stored = [makeRun()];
  await model.refresh();
  expect([model.state, model.error]).toEqual(['ready', null]);
  failing = new Error('gone');
  await model.refresh();
  expect([model.state, model.active.length]).toEqual(['ready', 1]);
  model.dispose();
});

const state = { filters: {}, sort: '-created_at', columns: [] };
const many = (count: number): Run[] =>
  Array.from({ length: count }, (_, index) => makeRun({ id: `run-${index}` }));

test('the table reads a page at a time', async () => {
  stored = many(250);
  const model = new RunsTableModel(api, stream, state);
  await vi.waitFor(() => expect(model.runs).toHaveLength(100));
  await model.loadMore();
  await model.loadMore();
  expect([model.runs.length, model.hasMore]).toEqual([250, false]);
  await model.loadMore();
  expect(pages).toHaveBeenCalledTimes(3);
  model.dispose();
});

test('a changed run stays in its row; a new one waits until it is asked for', async () => {
  stored = many(3);
  const model = new RunsTableModel(api, stream, state);
  await vi.waitFor(() => expect(model.runs).toHaveLength(3));
  listener.onRun?.(makeRun({ id: 'run-1', version: 2, status: 'failed' }));
  listener.onRun?.(makeRun({ id: 'new', status: 'queued' }));
  expect(model.runs.map(run => run.id)).toEqual(['run-0', 'run-1', 'run-2']);
  expect([model.runs[1]?.status, model.waiting]).toEqual(['failed', 0]);
  stored = [makeRun({ id: 'new' }), ...stored];
  await vi.waitFor(() => expect(model.waiting).toBe(1), 5000);
  await model.reload();
  expect([model.runs[0]?.id, model.waiting]).toEqual(['new', 0]);
  model.dispose();
});

test('a new run that the filter leaves out is not counted', async () => {
  stored = many(2);
  const model = new RunsTableModel(api, stream, { ...state, filters: { search: 'lisbon' } });
  await vi.waitFor(() => expect(model.runs).toHaveLength(2));
  pages.mockClear();
  listener.onRun?.(makeRun({ id: 'new', status: 'queued' }));
  await vi.waitFor(() => expect(pages).toHaveBeenCalledTimes(1), 5000);
  expect(pages.mock.calls[0]?.[0]).toMatchObject({ search: 'lisbon', sort: '-created_at' });
  expect(model.waiting).toBe(0);
  model.dispose();
});

test('owners and assets of all runs are offered, by name where there is one', async () => {
  const model = new RunsTableModel(api, stream, state);
  await model.readChoices();
  expect(model.choices).toEqual({
    owners: ['ann', 'bob'],
    assets: [
      { id: 'prog_1', label: 'folder/trip.py' },
      { id: 'prog_2', label: 'prog_2' }
    ]
  });
  model.dispose();
});

test('a range of rows is selected in either direction', async () => {
  stored = many(5);
  const model = new RunsTableModel(api, stream, state);
  await vi.waitFor(() => expect(model.runs).toHaveLength(5));
  model.selectRange('run-3', 'run-1', true);
  expect([...model.selection]).toEqual(['run-1', 'run-2', 'run-3']);
  model.selectRange('run-2', 'run-2', false);
  expect([...model.selection]).toEqual(['run-1', 'run-3']);
  model.selectRange('gone', 'run-4', true);
  expect(model.selection.has('run-4')).toBe(true);
  expect(model.selection.has('run-0')).toBe(false);
  model.dispose();
});

test('sorting by the same column again turns the order around', async () => {
  const model = new RunsTableModel(api, stream, state);
  model.sortBy('cost');
  expect(model.state.sort).toBe('-cost');
  model.sortBy('cost');
  expect(model.state.sort).toBe('cost');
  await vi.waitFor(() => expect(model.isLoading).toBe(false));
  model.dispose();
});

test('a deleted run leaves the rows and the selection', async () => {
  stored = many(2);
  const model = new RunsTableModel(api, stream, state);
  await vi.waitFor(() => expect(model.runs).toHaveLength(2));
  model.select(['run-0', 'run-1'], true);
  listener.onDeleted?.({ type: 'run_deleted', run_id: 'run-0', owner_id: 'ann' });
  expect([model.runs.length, [...model.selection]]).toEqual([1, ['run-1']]);
  model.dispose();
});
