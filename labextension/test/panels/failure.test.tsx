import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RunsApi } from '../../src/api/rest.js';
import type { FailureSeen, Run } from '../../src/api/schema.js';
import { CommandIDs } from '../../src/commands.js';
import { StatusBadge } from '../../src/components/status.js';
import { Explained, sinceText } from '../../src/panels/run/explained.js';
import { frame, makeRun, makeStep, makeWhy, trans } from '../helpers.js';

const TRACE = `  File "trip.py", line 4, in <module>
    plan(city)`;

const readLog = vi.fn(async () => ({ frames: [], next: null, ended: true }));
const execute = vi.fn(async () => undefined);
let seen: FailureSeen | null;
let known: Set<string>;
let getRun = vi.fn();

beforeEach(() => {
  seen = null;
  known = new Set(Object.values(CommandIDs));
  getRun = vi.fn(async () => makeRun({ seen }));
});

afterEach(() => {
  cleanup();
  execute.mockClear();
});

function show(change: Partial<Run>): HTMLElement {
  render(
    <Explained
      run={makeRun({ status: 'failed', ...change })}
      api={{ readLog, getRun } as unknown as RunsApi}
      commands={{ hasCommand: id => known.has(id), execute }}
      trans={trans}
    />
  );
  return screen.getByRole('alert');
}

test('a cut message is not said twice, and a long one is folded', () => {
  const message = 'bad luck '.repeat(200);
  const box = show({
    error_message: `ValueError: ${message}`.slice(0, 1000) + '…',
    error: { type: 'ValueError', message, stack_trace: TRACE }
  });
  expect(box.textContent?.match(/ValueError/g)).toHaveLength(1);
  expect(box.textContent?.length).toBeLessThan(900);
  fireEvent.click(screen.getByRole('button', { name: 'Show all' }));
  expect(box.textContent).toContain(message.trim());
});

test('without an exception the last error lines are shown', async () => {
  readLog.mockResolvedValueOnce({
    frames: [frame(1, { message: 'no such city', level: 'error' })] as never[],
    next: null,
    ended: true
  });
  show({ status_reason: 'exit_code', exit_code: 3, error_message: null });
  expect(screen.getByText('exit 3')).toBeDefined();
  await waitFor(() => expect(screen.getByText('no such city')).toBeDefined());
});

test('the box says what happened, where, what it rests on and what to do', () => {
  const location = { file: 'trip.py', line: 4, function: 'plan', text: 'ask(city)' };
  const box = show({
    error_message: 'openai.RateLimitError: 429',
    error: { type: 'openai.RateLimitError', message: '429', stack_trace: TRACE },
    error_classification: makeWhy({
      location,
      evidence: ['openai.RateLimitError: 429', 'status 429']
    })
  });
  const said = box.textContent ?? '';
  const order = [
    'rate limit',
    'The provider refused',
    'trip.py, line 4',
    'ask(city)',
    'Stack trace'
  ];
  const places = [...order, 'Wait, then try again.'].map(each => said.indexOf(each));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places).not.toContain(-1);
  expect(screen.getByText(/A matter of a service it called, 90.%.sure/)).toBeDefined();
  expect(screen.getAllByRole('listitem', { hidden: true }).map(item => item.textContent)).toEqual([
    'status 429'
  ]);
  fireEvent.click(screen.getByRole('button', { name: 'Retry' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.takeNextStep, { runId: makeRun().id });
});

test('a command of others is shown and copied', () => {
  const next_step = makeStep({ action: 'pull_model', command: 'ollama pull x', label: 'Pull x' });
  show({ error_classification: makeWhy({ next_step }) });
  expect(screen.getByText('ollama pull x').tagName).toBe('CODE');
  expect(screen.getByRole('button', { name: 'Copy command' })).toBeDefined();
});

test('without a next step, and where there are no commands', () => {
  show({ error_classification: makeWhy({ next_step: null }) });
  fireEvent.click(screen.getByRole('button', { name: 'Retry with changes…' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.retryEdited, { runId: makeRun().id });
  cleanup();
  known = new Set();
  show({ error_classification: makeWhy() });
  expect(screen.queryByRole('button')).toBeNull();
});

test('how often it was seen leads to the others', async () => {
  seen = {
    count: 4,
    first_seen_at: '2026-01-13T10:30:00.000Z',
    last_seen_at: '2026-01-15T10:30:00.000Z'
  };
  show({ error_classification: makeWhy() });
  fireEvent.click(await screen.findByRole('button', { name: /^Seen 4 times since/ }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.openDashboard, {
    filters: { fingerprint: ['f00dcafe'] }
  });
});

test('a failure that is new was not seen, and what is known is not asked for', async () => {
  const at = '2026-01-15T10:30:00.000Z';
  show({
    error_classification: makeWhy(),
    seen: { count: 1, first_seen_at: at, last_seen_at: at }
  });
  expect(screen.queryByText(/^Seen/)).toBeNull();
  expect(getRun).not.toHaveBeenCalled();
});

test('runs that met no requirements stay as they are', () => {
  const { metrics } = makeRun();
  const box = show({ status: 'succeeded', metrics: { ...metrics, loops_exhausted: 2 } });
  expect(box.textContent).toContain('The program ended well, but 2 sampling loops');
  expect(screen.queryByRole('button')).toBeNull();
});

test('since when, as people say it', () => {
  const now = new Date(2026, 2, 4, 15).getTime(); // a Wednesday
  const at = (day: number, hour = 12): string => new Date(2026, 2, day, hour).toISOString();
  expect(sinceText(at(4, 14), now, trans)).toMatch(/^since \d/);
  expect(sinceText(at(3, 23), now, trans)).toBe('since yesterday');
  expect(sinceText(at(2), now, trans)).toBe('since Monday');
  expect(sinceText(at(-3), now, trans)).toMatch(/2026/);
});

test('a badge names the failure, and explains it on hover', () => {
  const run = makeRun({
    status: 'failed',
    status_reason: 'exit_code',
    exit_code: 1,
    error_classification: makeWhy()
  });
  render(<StatusBadge run={run} trans={trans} />);
  expect(screen.getByText('failed · rate limit')).toBeDefined();
  expect(screen.getByTitle('The provider refused a call.')).toBeDefined();
});
