import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError, type RunsApi } from '../../src/api/rest.js';
import type { Run, StructuredOutput } from '../../src/api/schema.js';
import type { ITopicListener, RunsStream } from '../../src/api/stream.js';
import { CommandIDs } from '../../src/commands.js';
import type { ISeed, IViewContext } from '../../src/views/context.js';
import { View } from '../../src/views/index.js';
import { makeRun, trans } from '../helpers.js';

const RUN_ID = makeRun().id;

let run: Run;
let outputs: StructuredOutput[];
let failure: Error | null;
let known: Set<string>;
const listeners = new Map<string, ITopicListener>();
const execute = vi.fn(async () => undefined);
const removeLoops = vi.fn();
const drawLoops = vi.fn(() => removeLoops);

const stream = {
  state: 'open',
  onState: () => () => undefined,
  subscribe: (topic: string, listener: ITopicListener) => {
    listeners.set(topic, listener);
    return () => listeners.delete(topic);
  },
  resubscribe: () => undefined
} as unknown as RunsStream;

const api = {
  getRun: async () => {
    if (failure) {
      throw failure;
    }
    return run;
  },
  listOutputs: async () => outputs,
  readLog: async () => ({ frames: [], next: null, ended: false }),
  artifactUrl: (runId: string, artifactId: string) => `/api/${runId}/${artifactId}`,
  summarize: async () => ({
    total_runs: 3,
    llm_calls: 9,
    total_tokens: 1500,
    total_cost_usd: 0.5,
    unpriced_calls: 4,
    groups: [
      {
        key: 'a/b',
        summary: {
          total_runs: 1,
          llm_calls: 4,
          total_tokens: 500,
          total_cost_usd: 0,
          unpriced_calls: 4
        }
      },
      {
        key: 'openai/gpt-4o',
        summary: {
          total_runs: 2,
          llm_calls: 5,
          total_tokens: 1000,
          total_cost_usd: 0.5,
          unpriced_calls: 0
        }
      }
    ]
  })
} as unknown as RunsApi;

function context(change: Partial<IViewContext> = {}): IViewContext {
  return {
    api,
    stream,
    commands: { hasCommand: id => known.has(id), execute },
    trans,
    hasLinks: true,
    download: null,
    linkOf: () => '/lab',
    onSeed: null,
    loadLoops: async () => ({ mount: drawLoops }),
    drawSnapshot: null,
    ...change
  };
}

const shown = (change?: Partial<IViewContext>): void => {
  render(<View spec={{ view: 'run', run_id: RUN_ID }} context={context(change)} />);
};

beforeEach(() => {
  run = makeRun();
  outputs = [];
  failure = null;
  known = new Set([CommandIDs.cancelRun, CommandIDs.retryRun, CommandIDs.openRun]);
  execute.mockClear();
  drawLoops.mockClear();
  removeLoops.mockClear();
});

afterEach(() => {
  cleanup();
  expect(listeners.size).toBe(0); // nothing is followed any more
});

test('a running card is named, can be cancelled and opened', async () => {
  shown();
  await screen.findByRole('region', { name: 'Mellea run trip.py' });
  fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.cancelRun, { runId: RUN_ID });
  expect(screen.queryByRole('button', { name: 'Retry' })).toBeNull();
  fireEvent.click(await screen.findByRole('button', { name: 'Open' }));
});

test('it follows the run to its end, and shows the result as a tree', async () => {
  shown();
  await screen.findByText('running');
  outputs = [{ artifact_id: 'a', schema_version: '1', data: { city: '<b>Lisbon</b>', days: [1] } }];
  run = makeRun({
    status: 'succeeded',
    version: 2,
    artifacts: [
      {
        id: 'art_1',
        run_id: RUN_ID,
        name: 'plan.md',
        path: 'out/plan.md',
        content_type: 'text/plain',
        size_bytes: 1500,
        created_at: run.created_at,
        checksum: 'x',
        metadata: null
      }
    ]
  });
  listeners.get(`run/${RUN_ID}`)?.onRun?.(run);
  await screen.findByText('succeeded');
  expect(await screen.findByText('<b>Lisbon</b>')).toBeTruthy();
  expect(screen.getByRole('link', { name: 'out/plan.md' }).getAttribute('href')).toBe(
    `/api/${RUN_ID}/art_1`
  );
  expect(screen.getByRole('button', { name: 'Show the log' })).toBeTruthy();
});

test('loops are drawn once the run has asked a model, and taken away with the card', async () => {
  shown();
  await screen.findByText('running');
  expect(drawLoops).not.toHaveBeenCalled();
  run = makeRun({ version: 2, metrics: { ...run.metrics, llm_calls: 1 } });
  listeners.get(`run/${RUN_ID}`)?.onRun?.(run);
  await waitFor(() => expect(drawLoops).toHaveBeenCalledTimes(1));
  run = makeRun({ version: 3, metrics: { ...run.metrics, llm_calls: 2 } });
  listeners.get(`run/${RUN_ID}`)?.onRun?.(run);
  expect(drawLoops).toHaveBeenCalledTimes(1);
  cleanup();
  expect(removeLoops).toHaveBeenCalledTimes(1);
});

test('a failure says why and offers a retry', async () => {
  run = makeRun({ status: 'failed', error_message: 'The model was not found.' });
  shown();
  expect((await screen.findByRole('alert')).textContent).toContain('The model was not found.');
  execute.mockRejectedValueOnce(new Error('The queue is full.'));
  fireEvent.click(screen.getByRole('button', { name: 'Retry' }));
  expect(await screen.findByText('The queue is full.')).toBeTruthy();
});

test('what the place can not do is not offered', async () => {
  known = new Set([CommandIDs.cancelRun]);
  shown();
  await screen.findByRole('button', { name: 'Cancel' });
  expect(screen.queryByRole('button', { name: 'Open' })).toBeNull();
});

test('a run that this server does not have is its snapshot', async () => {
  failure = new ApiError(404, {
    code: 'run_not_found',
    message: '',
    hint: '',
    details: {},
    request_id: ''
  });
  const drawSnapshot = (host: HTMLElement): (() => void) => {
    host.textContent = 'as it was saved';
    return () => undefined;
  };
  shown({ drawSnapshot });
  expect(await screen.findByText('as it was saved')).toBeTruthy();
  expect(screen.getByRole('status').textContent).toContain('no record of the run');
});

test('a seed is drawn before anything is answered', async () => {
  failure = new Error('The kernel does not answer.');
  const onSeed = (listener: (seed: ISeed) => void): (() => void) => {
    listener({ run: makeRun({ name: 'seeded' }) });
    return () => undefined;
  };
  shown({ onSeed });
  await screen.findByRole('region', { name: 'Mellea run seeded' });
});

test('costs are sorted, and say what is not in them', async () => {
  render(<View spec={{ view: 'cost', by: 'model', last_seconds: 604_800 }} context={context()} />);
  await screen.findByRole('region', { name: 'Cost of Mellea runs' });
  await waitFor(() => expect(screen.getAllByRole('row')).toHaveLength(4));
  const rows = screen.getAllByRole('row').map(row => row.textContent);
  expect(rows[1]).toContain('openai/gpt-4o');
  expect(rows[2]).toContain('unpriced4 calls unpriced');
  expect(rows[3]).toContain('≥ $0.50');
  expect(screen.getByRole('heading').textContent).toBe('Cost by model · last 7 days');
});
