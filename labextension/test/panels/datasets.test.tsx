import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { useState, type ReactElement } from 'react';
import { afterEach, expect, test, vi } from 'vitest';
import { ApiError } from '../../src/api/rest.js';
import type { Dataset, Environment } from '../../src/api/schema.js';
import { Datasets } from '../../src/panels/launch/datasets.js';
import { EnvironmentField } from '../../src/panels/launch/environment.js';
import { DatasetOffers } from '../../src/panels/launch/offers.js';
import type { IDatasetRow, IProblem } from '../../src/panels/launch/values.js';
import { trans } from '../helpers.js';

afterEach(cleanup);

const NEW = 'b'.repeat(64);
const OLD = 'a'.repeat(64);

function makeDataset(change: Partial<Dataset> = {}): Dataset {
  const created_at = '2026-01-15T10:30:00.000Z';
  return {
    id: 'ds_1',
    kind: 'file',
    name: 'train.csv',
    path: 'data/train.csv',
    url: null,
    owner_id: 'ann',
    latest: { version: NEW, file_count: 1, size_bytes: 1_200_000, skipped: [], created_at },
    created_at,
    updated_at: created_at,
    ...change
  };
}

const { latest } = makeDataset();

function makeApi() {
  return {
    listDatasets: vi.fn(async () => ({ datasets: [makeDataset()], next: null })),
    listDatasetVersions: vi.fn(async () => ({
      versions: [latest, { ...latest, version: OLD, size_bytes: 900 }]
    })),
    registerDataset: vi.fn(async ({ path, url }: { path?: string | null; url?: string | null }) =>
      makeDataset({ id: 'ds_2', name: (path ?? url ?? '').split('/').at(-1) ?? '' })
    )
  };
}

async function show(rows: IDatasetRow[] = [], problems: IProblem[] = [], api = makeApi()) {
  const offers = new DatasetOffers(api);
  await offers.load();
  let current = rows;
  function Shown(): ReactElement {
    const [shown, setShown] = useState(rows);
    current = shown;
    return (
      <Datasets
        rows={shown}
        onChange={setShown}
        offers={offers}
        problems={problems}
        trans={trans}
      />
    );
  }
  render(<Shown />);
  return { api, rows: () => current };
}

const row = (change: Partial<IDatasetRow> = {}): IDatasetRow => ({
  name: 'train',
  datasetId: 'ds_1',
  version: 'latest',
  ...change
});

test('a dataset is chosen with its size and version, and then one of its versions', async () => {
  const { rows } = await show();
  fireEvent.click(screen.getByRole('button', { name: 'Add dataset' }));
  const choice = screen.getByRole('combobox', { name: 'Dataset' });
  expect(choice.textContent).toContain('data/train.csv · 1.2\u202fMB · bbbbbbbb');
  const version = screen.getByRole('combobox', { name: 'Version' });
  expect((version as HTMLSelectElement).disabled).toBe(true);
  fireEvent.change(screen.getByRole('textbox', { name: 'Name in the program' }), {
    target: { value: 'train' }
  });
  fireEvent.change(choice, { target: { value: 'ds_1' } });
  await waitFor(() => expect(version.textContent).toContain('aaaaaaaa · '));
  fireEvent.change(version, { target: { value: OLD } });
  expect(rows()).toEqual([row({ version: OLD })]);
  fireEvent.click(screen.getByRole('button', { name: 'Remove train' }));
  expect(rows()).toEqual([]);
});

test('another dataset begins with its latest version', async () => {
  const { rows } = await show([row({ datasetId: 'ds_gone', version: OLD })]);
  const choice = screen.getByRole('combobox', { name: 'Dataset' });
  expect((choice as HTMLSelectElement).value).toBe('ds_gone'); // kept, so that it can be told
  fireEvent.change(choice, { target: { value: 'ds_1' } });
  expect(rows()).toEqual([row()]);
});

test.each([
  ['data/my train.csv', { path: 'data/my train.csv' }, 'my_train'],
  [' s3://data/2024.csv ', { url: 's3://data/2024.csv' }, '_2024']
])('%j is registered and bound', async (place, body, name) => {
  const { api, rows } = await show();
  fireEvent.click(screen.getByRole('button', { name: 'Register a file or folder…' }));
  fireEvent.change(screen.getByRole('textbox', { name: 'File or folder' }), {
    target: { value: place }
  });
  fireEvent.click(screen.getByRole('button', { name: 'Register' }));
  await waitFor(() => expect(rows()).toEqual([row({ name, datasetId: 'ds_2' })]));
  expect(api.registerDataset).toHaveBeenCalledWith(body);
  expect(screen.queryByRole('textbox', { name: 'File or folder' })).toBeNull();
});

test('why something can not be registered stands next to its path', async () => {
  const api = makeApi();
  const said = {
    code: 'x',
    message: 'path: It is a pipe',
    hint: 'Copy it.',
    details: {},
    request_id: ''
  };
  api.registerDataset.mockRejectedValue(new ApiError(422, said));
  const { rows } = await show([], [], api);
  fireEvent.click(screen.getByRole('button', { name: 'Register a file or folder…' }));
  const field = screen.getByRole('textbox', { name: 'File or folder' });
  fireEvent.change(field, { target: { value: 'pipe' } });
  fireEvent.submit(field);
  await waitFor(() => expect(screen.getByText('It is a pipe. Copy it.')).toBeDefined());
  expect((field as HTMLInputElement).value).toBe('pipe');
  expect(rows()).toEqual([]);
});

test('a problem stands in its row', async () => {
  await show(
    [row(), row({ name: 'b' })],
    [{ field: 'datasets', row: 1, text: 'No such dataset.' }]
  );
  const groups = screen.getAllByRole('group').filter(each => each.tagName === 'DIV');
  expect(within(groups[1]!).getByText('No such dataset.')).toBeDefined();
  expect(within(groups[0]!).queryByText('No such dataset.')).toBeNull();
});

test('without a list of datasets one can still be registered', async () => {
  const api = makeApi();
  api.listDatasets.mockRejectedValue(new Error('gone'));
  await show([], [], api);
  expect(screen.queryByRole('button', { name: 'Add dataset' })).toBeNull();
  expect(screen.getByRole('button', { name: 'Register a file or folder…' })).toBeDefined();
});

test('environments say what places their runs, and broken ones why', () => {
  const checked_at = '2026-01-15T10:30:00.000Z';
  const environments = [
    { id: 'default', name: 'Server', executor: 'process', available: true },
    { id: 'box', name: 'Box', executor: 'docker', image: 'python:3', available: false },
    { id: 'k', name: 'Kernel', executor: 'kernel', kernel_name: 'python3', available: true }
  ].map(each => ({ checked_at, reason: 'No engine answers.', ...each }) as Environment);
  render(
    <EnvironmentField
      value=""
      onChange={() => undefined}
      environments={environments}
      defaultId="default"
      problems={[]}
      trans={trans}
    />
  );
  const options = screen.getAllByRole('option') as HTMLOptionElement[];
  expect(options.map(({ textContent, disabled }) => [textContent, disabled])).toEqual([
    ['Default: Server · process', false],
    ['Server · process', false],
    ['Box · docker python:3 – does not work', true],
    ['Kernel · kernel python3', false]
  ]);
  expect(screen.getByText('1 environment does not work')).toBeDefined();
  expect(screen.getByRole('listitem', { hidden: true }).textContent).toBe(
    'Box · docker python:3: No engine answers.'
  );
});
