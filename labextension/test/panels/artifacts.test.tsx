import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError, type RunsApi } from '../../src/api/rest.js';
import type { ArtifactLink, Run } from '../../src/api/schema.js';
import { ArtifactsTab } from '../../src/panels/run/artifacts.js';
import { retentionText } from '../../src/panels/run/retention.js';
import { makeArtifact, makePreview, makeRun, trans } from '../helpers.js';

const NOW = Date.parse('2026-01-15T12:00:00.000Z');
const ARTIFACT = makeArtifact({ path: 'out/plan.md', content_type: 'text/markdown' });

beforeEach(() => void vi.spyOn(Date, 'now').mockReturnValue(NOW));
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

function show(change: Partial<Run>, api: Partial<RunsApi> = {}) {
  const onChanged = vi.fn();
  const copy = vi.fn();
  const run = makeRun({ status: 'succeeded', artifacts: [ARTIFACT], ...change });
  const previewArtifact = vi.fn(async () => makePreview());
  const whole = { listOutputs: async () => [], artifactUrl: () => '/a', previewArtifact, ...api };
  render(
    <ArtifactsTab
      run={run}
      api={whole as unknown as RunsApi}
      onChanged={onChanged}
      copy={copy}
      trans={trans}
    />
  );
  return { onChanged, copy, run, previewArtifact };
}

test.each([
  [{ expires_at: '2026-01-18T12:00:00.000Z' }, 'expires in 3 days'],
  [{ expires_at: '2026-01-16T11:30:00.000Z' }, 'expires in 1 day'],
  [{ expires_at: '2026-01-15T14:30:00.000Z' }, 'expires in 3 hours'],
  [{ expires_at: '2026-01-15T12:20:00.000Z' }, 'expires within the hour'],
  [{ expires_at: '2026-01-01T12:00:00.000Z' }, 'expires within the hour'],
  [{ expires_at: null }, 'kept for good'],
  [{ pinned: true, expires_at: null }, 'kept']
])('%j reads %j', (change, text) =>
  expect(retentionText(makeRun({ status: 'failed', ...change }), NOW, trans)).toBe(text)
);

test('Keep pins the run, and the run as it is then is taken', async () => {
  const pinned = makeRun({ pinned: true });
  const updateRun = vi.fn(async () => pinned);
  const { onChanged, run } = show({ expires_at: '2026-01-18T12:00:00.000Z' }, { updateRun });
  fireEvent.click(screen.getByRole('button', { name: 'Keep' }));
  await waitFor(() => expect(onChanged).toHaveBeenCalledWith(pinned));
  expect(updateRun).toHaveBeenCalledWith(run.id, { pinned: true });
});

test('a kept run can be let expire, and a refusal is told', async () => {
  const said = { code: 'x', message: 'Not now', hint: 'Wait.', details: {}, request_id: '' };
  const updateRun = vi.fn(async () => Promise.reject(new ApiError(409, said)));
  const { onChanged, run } = show({ pinned: true }, { updateRun });
  fireEvent.click(screen.getByRole('button', { name: 'let expire' }));
  await waitFor(() => expect(screen.getByRole('alert').textContent).toBe('Not now. Wait.'));
  expect(updateRun).toHaveBeenCalledWith(run.id, { pinned: false });
  expect(onChanged).not.toHaveBeenCalled();
});

test('an active run says nothing of expiry, one kept for good has no button', () => {
  show({ status: 'running' });
  expect(screen.queryByText(/kept|expires/)).toBeNull();
  cleanup();
  show({ status: 'failed' });
  expect(screen.getByText('kept for good')).toBeDefined();
  expect(screen.queryByRole('button', { name: /Keep|expire/ })).toBeNull();
});

test('an expired run says so', () => {
  show({
    artifacts: [],
    artifacts_purged: true,
    artifacts_purged_at: '2026-01-14T12:00:00.000Z'
  });
  const day = new Date('2026-01-14T12:00:00.000Z').toLocaleDateString(undefined, {
    dateStyle: 'long'
  });
  expect(screen.getByText(new RegExp(`The log and artifacts expired on ${day}`))).toBeDefined();
  expect(screen.queryByText(/No artifacts/)).toBeNull();
});

test('a link is copied, shown, and says how long it works', async () => {
  const link: ArtifactLink = {
    url: 'http://host/signed?k',
    expires_at: '2026-01-15T13:00:00.000Z'
  };
  const { copy } = show({}, { createArtifactLink: async () => link });
  fireEvent.click(screen.getByRole('button', { name: 'Copy link to out/plan.md' }));
  await waitFor(() => expect(copy).toHaveBeenCalledWith(link.url));
  const until = new Date(link.expires_at).toLocaleString();
  expect(screen.getByRole('status').textContent).toContain(`without a token, until ${until}.`);
  expect(screen.getByRole<HTMLInputElement>('textbox').value).toBe(link.url);
});

test('why there is no link is told', async () => {
  const createArtifactLink = vi.fn(async () => Promise.reject(new Error('gone')));
  const { copy } = show({}, { createArtifactLink });
  fireEvent.click(screen.getByRole('button', { name: 'Copy link to out/plan.md' }));
  await waitFor(() =>
    expect(screen.getByRole('alert').textContent).toBe('No link to out/plan.md: gone')
  );
  expect(copy).not.toHaveBeenCalled();
});

test('the only file is shown at once, with its size, type and checksum', async () => {
  show({});
  expect(screen.getByRole('heading', { name: 'out/plan.md' })).toBeDefined();
  expect(screen.getByText(/text\/markdown · 12/)).toBeDefined();
  expect(screen.getByRole('link', { name: 'Download' }).getAttribute('href')).toBe('/a');
  await waitFor(() =>
    expect(screen.getByLabelText('out/plan.md', { selector: 'pre' })).toBeDefined()
  );
});

test('of several files none is read before it is chosen', async () => {
  const artifacts = [makeArtifact({ path: 'a.txt' }), makeArtifact({ path: 'b/c.txt' })];
  const { previewArtifact } = show({ artifacts });
  expect(screen.getByText('Choose a file to see what is in it.')).toBeDefined();
  expect(previewArtifact).not.toHaveBeenCalled();
  fireEvent.click(screen.getByRole('treeitem', { name: /c.txt/ }));
  await waitFor(() => expect(previewArtifact).toHaveBeenCalledTimes(1));
  expect(previewArtifact.mock.calls[0]?.slice(0, 2)).toEqual([
    artifacts[1]?.run_id,
    artifacts[1]?.id
  ]);
});

test('files that were not kept say why, and many of them are counted', () => {
  const skipped = Array.from({ length: 203 }, (_, n) => ({
    path: `pipe-${n}`,
    reason: n === 0 ? 'too_deep' : 'not_regular',
    size_bytes: null
  }));
  show({ artifacts_skipped: skipped });
  expect(screen.getByText(/too many folders deep/)).toBeDefined();
  expect(screen.getAllByText(/not a regular file/)).toHaveLength(199);
  expect(screen.getByText('and 3 more')).toBeDefined();
});

test('outputs are trees with their name and schema version', async () => {
  const listOutputs = async () => [
    { artifact_id: 'out_1', schema_version: '2', data: { city: 'Lisbon' } }
  ];
  show({}, { listOutputs });
  await waitFor(() => expect(screen.getByText('city:')).toBeDefined());
  expect(screen.getByRole('heading', { name: 'Output · schema version 2' })).toBeDefined();
  expect(screen.getByText('Lisbon')).toBeDefined();
});

test('outputs that can not be read are told', async () => {
  show({}, { listOutputs: async () => Promise.reject(new Error('away')) });
  await waitFor(() =>
    expect(screen.getByRole('alert').textContent).toBe('The outputs could not be read: away')
  );
});
