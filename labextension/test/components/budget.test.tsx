import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import type { Run, RunWaiting } from '../../src/api/schema.js';
import { CommandIDs } from '../../src/commands.js';
import { BudgetButtons } from '../../src/components/budget.js';
import { waitingText } from '../../src/components/waiting.js';
import { forecastText } from '../../src/panels/launch/forecast.js';
import { makeRun, trans } from '../helpers.js';

afterEach(cleanup);

function waitingRun(change: Partial<RunWaiting> = {}): Run {
  const run = makeRun();
  return {
    ...run,
    config: { ...run.config, max_cost_usd: '0.5', max_llm_calls: 20, on_budget: 'ask' },
    waiting: {
      kind: 'budget',
      ask: 1,
      limit: 'cost',
      calls: 7,
      spent_usd: 0.49,
      max_cost_usd: 0.5,
      max_llm_calls: 20,
      asked_at: '2026-01-15T10:30:00.000Z',
      until: '2026-01-15T10:40:00.000Z',
      ...change
    }
  };
}

function show(run: Run, execute = vi.fn(async () => undefined)): typeof execute {
  render(<BudgetButtons run={run} commands={{ hasCommand: () => true, execute }} trans={trans} />);
  return execute;
}

test('a run that does not wait is asked nothing', () => {
  show(makeRun());
  expect(screen.queryAllByRole('button')).toEqual([]);
});

test('the question says what would be passed', () => {
  expect(waitingText(waitingRun(), 0, trans)).toBe('Would pass $0.50.');
  expect(waitingText(waitingRun({ limit: 'calls' }), 0, trans)).toBe('Would pass 20 calls.');
});

test('more is as much again as was given, on top of the present limit', () => {
  const execute = show(waitingRun({ max_cost_usd: 1.1 }));
  fireEvent.click(screen.getByRole('button', { name: 'Allow $0.50 more' }));
  expect(execute).toHaveBeenCalledWith(CommandIDs.answerBudget, {
    runId: makeRun().id,
    decision: 'raise',
    max_cost_usd: 1.6
  });
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Stop' }).disabled).toBe(true);
});

test('calls are counted in calls', () => {
  const execute = show(waitingRun({ limit: 'calls', max_llm_calls: 40 }));
  fireEvent.click(screen.getByRole('button', { name: 'Allow 20 calls more' }));
  expect(execute).toHaveBeenCalledWith(
    CommandIDs.answerBudget,
    expect.objectContaining({ max_llm_calls: 60 })
  );
});

test('an answer that did not get through can be given again', async () => {
  show(
    waitingRun(),
    vi.fn(async () => Promise.reject(new Error('offline')))
  );
  const stop = screen.getByRole<HTMLButtonElement>('button', { name: 'Stop' });
  fireEvent.click(stop);
  await vi.waitFor(() => expect(stop.disabled).toBe(false));
});

test('a forecast is an interval, or says that there is no history', () => {
  const nothing = {
    runs: 0,
    model: null,
    duration_ms: null,
    cost_usd: null,
    llm_calls: null,
    unpriced_runs: 0
  };
  expect(forecastText(nothing, trans)).toBe('No history of this program.');
  const some = {
    ...nothing,
    runs: 12,
    model: 'openai/gpt-4o',
    duration_ms: { low: 3000, high: 5200 },
    cost_usd: { low: 0.004, high: 0.006 }
  };
  expect(forecastText(some, trans)).toBe(
    'Usually 3.0\u202fs – 5.2\u202fs and $0.0040 – $0.0060, from 12 runs with openai/gpt-4o.'
  );
  const unpriced = { ...some, runs: 1, model: null, cost_usd: null, unpriced_runs: 1 };
  expect(forecastText(unpriced, trans)).toBe(
    'Usually 3.0\u202fs – 5.2\u202fs and an unknown price, from 1 run.'
  );
});
