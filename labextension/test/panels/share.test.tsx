// The dialog of a run's shares.

import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { ApiError } from '../../src/api/rest.js';
import type { Share, ShareRequest } from '../../src/api/schema.js';
import { canCancel, canRetry, isOwn } from '../../src/models/statuses.js';
import { ShareForm } from '../../src/panels/share/index.js';
import { makeRun, trans } from '../helpers.js';

afterEach(cleanup);

const at = { shared_by: 'ann', shared_at: '2026-01-15T10:30:00.000Z' };

function show(shares: Share[]): {
  share: ReturnType<typeof vi.fn>;
  unshare: ReturnType<typeof vi.fn>;
} {
  let kept = shares;
  const reply = (): Promise<{ owner_id: string; shares: Share[] }> =>
    Promise.resolve({ owner_id: 'ann', shares: kept });
  const api = {
    listShares: vi.fn(reply),
    share: vi.fn((_: string, body: ShareRequest) => {
      const rest = kept.filter(each => each.kind !== body.kind || each.name !== body.name);
      kept = [
        ...rest,
        { ...at, kind: body.kind, name: body.name ?? '', role: body.role ?? 'viewer' }
      ];
      return reply();
    }),
    unshare: vi.fn((_: string, { name }: Pick<Share, 'kind' | 'name'>) => {
      kept = kept.filter(each => each.name !== name);
      return reply();
    })
  };
  render(<ShareForm run={makeRun()} api={api} trans={trans} />);
  return api;
}

test('a private run says so, and is shared by the form', async () => {
  const { share } = show([]);
  await screen.findByText('Only ann and administrators see this run.');
  const button = screen.getByRole('button', { name: 'Share' });
  expect(button).toHaveProperty('disabled', true);
  fireEvent.change(screen.getByLabelText('Name'), { target: { value: ' bob ' } });
  fireEvent.change(screen.getByLabelText('Role'), { target: { value: 'operator' } });
  fireEvent.click(button);
  await screen.findByText('Shared with bob.');
  expect(share).toHaveBeenCalledWith(makeRun().id, { kind: 'user', name: 'bob', role: 'operator' });
  expect(screen.getByLabelText('Role of bob')).toHaveProperty('value', 'operator');
});

test('everyone has no name', async () => {
  const { share } = show([]);
  await screen.findByText(/Only ann/);
  fireEvent.change(screen.getByLabelText('Share with', { selector: 'select' }), {
    target: { value: 'everyone' }
  });
  fireEvent.click(screen.getByRole('button', { name: 'Share' }));
  await screen.findByText('Shared with everyone on this server.');
  expect(share).toHaveBeenCalledWith(makeRun().id, { kind: 'everyone', name: '', role: 'viewer' });
});

test('a share is changed and revoked', async () => {
  const { share, unshare } = show([{ ...at, kind: 'group', name: 'lab', role: 'viewer' }]);
  fireEvent.change(await screen.findByLabelText('Role of group lab'), {
    target: { value: 'operator' }
  });
  await screen.findByText('Changed.');
  expect(share).toHaveBeenCalledOnce();
  fireEvent.click(screen.getByRole('button', { name: 'Revoke group lab' }));
  await screen.findByText('Not shared with group lab any more.');
  expect(unshare).toHaveBeenCalledOnce();
  expect(screen.queryByRole('listitem')).toBeNull();
});

test('a refusal is shown and keeps what was typed', async () => {
  const api = show([]) as unknown as { share: ReturnType<typeof vi.fn> };
  await screen.findByText(/Only ann/);
  const body = {
    code: 'invalid_input',
    message: 'name: ann is the owner',
    hint: '',
    details: {},
    request_id: ''
  };
  api.share.mockRejectedValueOnce(new ApiError(422, body));
  fireEvent.change(screen.getByLabelText('Name'), { target: { value: 'ann' } });
  fireEvent.click(screen.getByRole('button', { name: 'Share' }));
  await waitFor(() => expect(screen.getByRole('alert').textContent).toContain('is the owner'));
  expect(screen.getByLabelText('Name')).toHaveProperty('value', 'ann');
});

test('roles decide what is offered', () => {
  const failed = makeRun({ status: 'failed' });
  for (const [role, own, operate] of [
    ['owner', true, true],
    ['admin', true, true],
    ['operator', false, true],
    ['viewer', false, false]
  ] as const) {
    expect(isOwn({ ...failed, role })).toBe(own);
    expect(canRetry({ ...failed, role })).toBe(operate);
    expect(canCancel(makeRun({ role }))).toBe(operate);
  }
});
