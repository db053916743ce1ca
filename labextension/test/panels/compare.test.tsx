import { cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import type { RunsApi } from '../../src/api/rest.js';
import type { ComparedRow, RunComparison } from '../../src/api/schema.js';
import { parseCompared } from '../../src/models/comparison.js';
import { CompareBody } from '../../src/panels/compare/body.js';
import { CompareModel } from '../../src/panels/compare/model.js';
import { changeText, rowName, valueText } from '../../src/panels/compare/rows.js';
import { trans } from '../helpers.js';

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const FIRST = '11111111-1111-4111-8111-111111111111';
const SECOND = '22222222-2222-4222-8222-222222222222';
const GROUP = `grp_${'a'.repeat(32)}`;

const value = (fields: Partial<ComparedRow['values'][0]>) => ({
  value: null,
  of: null,
  least: null,
  most: null,
  missing: 0,
  ...fields
});

function row(fields: Partial<ComparedRow>): ComparedRow {
  return { section: 'metrics', name: 'x', unit: 'number', values: [], differs: true, ...fields };
}

function comparison(fields: Partial<RunComparison> = {}): RunComparison {
  return {
    group_id: null,
    columns: [FIRST, SECOND].map((id, at) => ({
      label: at === 0 ? 'openai/gpt-4o' : 'openai/gpt-4o-mini',
      runs: [{ id, title: 'trip.py', status: at === 0 ? 'succeeded' : 'running', is_unmet: false }]
    })),
    rows: [
      row({
        section: 'requirements',
        name: 'It is polite.',
        unit: 'share',
        values: [value({ value: 4, of: 5 }), value({ value: 1, of: 3 })]
      }),
      row({
        name: 'llm_calls',
        values: [value({ value: 4 }), value({ value: 6 })]
      }),
      row({
        section: 'configuration',
        name: 'timeout_seconds',
        unit: 'text',
        values: [value({ value: 60 }), value({ value: 60 })],
        differs: false
      })
    ],
    sources: [],
    left_out_runs: 0,
    left_out_rows: 0,
    left_out_files: 0,
    ...fields
  };
}

function show(found: RunComparison) {
  const stream = { subscribe: vi.fn(() => () => undefined) };
  const api = { read: vi.fn(() => Promise.resolve(found)) };
  const model = new CompareModel(
    { run_ids: [FIRST, SECOND] },
    api as unknown as RunsApi,
    stream as never
  );
  const commands = { execute: vi.fn(() => Promise.resolve()), hasCommand: () => true };
  render(<CompareBody model={model} commands={commands} trans={trans} />);
  return { api, commands, stream };
}

test('what differs is shown, and what is the same when it is asked for', async () => {
  show(comparison());
  const table = await screen.findByRole('table', { name: 'Compared runs' });
  const calls = within(table).getByRole('row', { name: /Calls/ });
  expect(calls.textContent).toContain('+50\u202f%');
  const polite = within(table).getByRole('row', { name: /It is polite/ });
  expect(polite.textContent).toContain('4 of 5');
  expect(within(table).queryByText('Timeout')).toBeNull();
  fireEvent.click(screen.getByRole('checkbox', { name: '1 row that is the same' }));
  expect(within(table).getByRole('row', { name: /Timeout/ }).textContent).toContain(
    '1\u202fm 0\u202fs'
  );
});

test('a run is opened, and those that run are cancelled together', async () => {
  const { commands } = show(comparison());
  fireEvent.click(await screen.findByRole('button', { name: 'openai/gpt-4o' }));
  expect(commands.execute).toHaveBeenCalledWith('mellea:run-open', { runId: FIRST });
  fireEvent.click(screen.getByRole('button', { name: 'Cancel 1 run' }));
  expect(commands.execute).toHaveBeenCalledWith('mellea:runs-cancel', { runIds: [SECOND] });
});

test('a changed run makes it read again, others do not', async () => {
  vi.useFakeTimers();
  const { api, stream } = show(comparison());
  await vi.waitFor(() => expect(screen.queryByRole('table')).not.toBeNull());
  const listener = (stream.subscribe.mock.calls as unknown[][])[0]?.[1] as {
    onRun: (run: unknown) => void;
  };
  listener.onRun({ id: GROUP, group_id: null });
  await vi.advanceTimersByTimeAsync(5000);
  expect(api.read).toHaveBeenCalledTimes(1);
  listener.onRun({ id: SECOND, group_id: null });
  listener.onRun({ id: FIRST, group_id: null });
  await vi.advanceTimersByTimeAsync(5000);
  expect(api.read).toHaveBeenCalledTimes(2);
});

test('a difference in source names its columns', async () => {
  show(
    comparison({
      sources: [
        {
          path: 'trip.py',
          columns: [1],
          change: 'changed',
          diff: '--- trip.py\n+++ trip.py\n@@ -1 +1 @@\n-one\n+two',
          truncated: false
        }
      ]
    })
  );
  const source = await screen.findByRole('region', { name: 'Source' });
  expect(source.textContent).toContain('trip.py changed · openai/gpt-4o-mini');
  expect(source.querySelector('.jp-mod-added')?.textContent).toBe('+two\n');
});

test.each([
  [{ unit: 'usd' }, { value: 0.42 }, '$0.42'],
  [{ unit: 'usd' }, { value: 0.42, missing: 2 }, '≥\u202f$0.42'],
  [{ unit: 'usd' }, { value: null, missing: 2 }, 'unpriced'],
  [
    { unit: 'milliseconds' },
    { value: 3200, least: 1000, most: 4000 },
    '3.2\u202fs (1.0\u202fs … 4.0\u202fs)'
  ],
  [{ unit: 'share' }, { value: 4, of: 5 }, '4 of 5'],
  [{ unit: 'number' }, { value: 1204 }, '1\u202f204'],
  [{ unit: 'json', section: 'outputs' }, { value: ['a'] }, '["a"]'],
  [{ unit: 'text', name: 'status', section: 'outcome' }, { value: 'failed' }, 'failed']
] as [Partial<ComparedRow>, object, string][])('%o with %o is %s', (fields, cell, text) => {
  expect(valueText(row(fields), value(cell), trans)).toBe(text);
});

test.each([
  ['configuration', 'env_vars.DEBUG', 'Variable DEBUG'],
  ['configuration', 'parameters.a.b', 'Parameter a.b'],
  ['configuration', 'timeout_seconds', 'Timeout'],
  ['metrics', 'llm_calls', 'Calls'],
  ['outputs', 'days.lunch_place', 'days.lunch_place']
] as [ComparedRow['section'], string, string][])('%s %s is %s', (section, name, text) => {
  expect(rowName(row({ section, name }), trans)).toBe(text);
});

test.each([
  [{ run_ids: [FIRST, SECOND] }, { run_ids: [FIRST, SECOND] }],
  [{ group_id: GROUP }, { group_id: GROUP }],
  [{ run_ids: [FIRST, FIRST] }, null],
  [{ run_ids: [FIRST, '../contents'] }, null],
  [{ group_id: 'grp_x' }, null],
  [null, null],
  [{}, null]
])('%o is compared as %o', (data, compared) => expect(parseCompared(data)).toEqual(compared));

test.each([
  [100, 112, '+12\u202f%'],
  [100, 50, '−50\u202f%'],
  [100, 100.1, ''],
  [2, 30, '×15'],
  [0, 5, '']
])('from %s to %s is %j', (from, to, text) => expect(changeText(from, to)).toBe(text));
