import { fireEvent, render, screen, waitFor } from '@testing-library/react';
import { expect, test, vi } from 'vitest';
import type { RunsApi } from '../../src/api/rest.js';
import type { Run } from '../../src/api/schema.js';
import { FailureBox } from '../../src/panels/run/failure.js';
import { findUserFrame } from '../../src/panels/run/frames.js';
import { frame, makeRun, trans } from '../helpers.js';

const TRACE = `  File "trip.py", line 4, in <module>
    plan(city)
  File "lib/plan.py", line 12, in plan
    raise ask()
  File "/opt/venv/lib/site-packages/openai/_client.py", line 900, in request
    raise self._error()`;

test('the innermost line of the own source is found', () => {
  expect(findUserFrame(TRACE)).toEqual({ path: 'lib/plan.py', line: 12, code: 'raise ask()' });
  expect(findUserFrame('  File "/usr/lib/x.py", line 1, in y')).toBeNull();
  expect(findUserFrame('  File "<string>", line 1, in y')).toBeNull();
  expect(findUserFrame('')).toBeNull();
});

const readLog = vi.fn(async () => ({ frames: [], next: null, ended: true }));

function show(change: Partial<Run>): void {
  render(
    FailureBox({
      run: makeRun({ status: 'failed', ...change }),
      api: { readLog } as unknown as RunsApi,
      commands: null,
      trans
    })
  );
}

test('a cut message is not said twice, and a long one is folded', () => {
  const message = 'bad luck '.repeat(200);
  show({
    error_message: `ValueError: ${message}`.slice(0, 1000) + '…',
    error: { type: 'ValueError', message, stack_trace: TRACE }
  });
  const box = screen.getByRole('alert');
  expect(box.textContent?.match(/ValueError/g)).toHaveLength(1);
  expect(box.textContent?.length).toBeLessThan(900);
  expect(box.textContent).toContain('lib/plan.py, line 12');
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
