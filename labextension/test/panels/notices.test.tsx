import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { Signal } from '@lumino/signaling';
import { afterEach, expect, test, vi } from 'vitest';
import { ApiError, type RunsApi } from '../../src/api/rest.js';
import type { Notice, NotificationSettings } from '../../src/api/schema.js';
import type { NoticesModel } from '../../src/models/notices.js';
import { Bell } from '../../src/panels/notices/bell.js';
import { NoticesList, type INoticeActions } from '../../src/panels/notices/body.js';
import { PreferencesForm } from '../../src/panels/notices/preferences.js';
import {
  findPreferenceProblems,
  preferencesOf,
  preferenceValues,
  refusedField,
  type IPreferenceValues
} from '../../src/panels/notices/values.js';
import { makeNotice, makeNoticeRun, makeNotificationSettings, makeWhy, trans } from '../helpers.js';

afterEach(cleanup);

function fakeModel(change: Partial<NoticesModel> = {}): NoticesModel {
  const base: Partial<NoticesModel> = {
    notices: [],
    unread: 0,
    state: 'ready',
    error: null,
    hasMore: false,
    markRead: vi.fn(async () => undefined),
    markAllRead: vi.fn(async () => undefined),
    refresh: vi.fn(async () => undefined)
  };
  const model = { ...base, ...change } as NoticesModel;
  Object.defineProperty(model, 'changed', { value: new Signal<NoticesModel, void>(model) });
  return model;
}

function makeActions(): INoticeActions {
  return {
    openRun: vi.fn(),
    takeNextStep: vi.fn(),
    openDashboard: vi.fn(),
    editPreferences: vi.fn(),
    report: vi.fn(),
    close: vi.fn()
  };
}

function showList(notices: Notice[], change: Partial<NoticesModel> = {}) {
  const unread = notices.filter(notice => notice.read_at === null).length;
  const model = fakeModel({ notices, unread, ...change });
  const actions = makeActions();
  render(<NoticesList model={model} actions={actions} trans={trans} />);
  return { model, actions };
}

test('the bell says how many are unread', () => {
  const popup = { isOpen: false, toggle: vi.fn() };
  const toggled = new Signal<never, void>(popup as never);
  render(<Bell model={fakeModel({ unread: 3 })} popup={{ ...popup, toggled }} trans={trans} />);
  const bell = screen.getByRole('button', { name: 'Notifications, 3 unread' });
  expect(bell.getAttribute('aria-expanded')).toBe('false');
  fireEvent.click(bell);
  expect(popup.toggle).toHaveBeenCalledWith(bell);
});

test('a click opens the run, marks the notice and closes the list', () => {
  const { model, actions } = showList([makeNotice()]);
  fireEvent.click(screen.getByRole('button', { name: /Unread: Run succeeded: trip.py/ }));
  expect(model.markRead).toHaveBeenCalledWith('ntc_1');
  expect(actions.openRun).toHaveBeenCalledWith('11111111-1111-4111-8111-111111111111');
  expect(actions.close).toHaveBeenCalled();
});

test('a failure is explained, and its next step taken', () => {
  const { type, category, ...why } = makeWhy();
  const { summary, explanation, suggestion, next_step, fingerprint } = why;
  const said = { summary, explanation, suggestion, next_step, fingerprint };
  const failure = { type, category, ...said, command: 'jupyter mellea retry 1', seen: null };
  const runs = [makeNoticeRun({ status: 'failed', reason: 'rate limit', failure })];
  const notice = makeNotice({ title: 'Run failed: trip.py', runs, by_status: { failed: 1 } });
  const { model, actions } = showList([notice]);
  const entry = screen.getByRole('button', { name: /Run failed: trip.py/ });
  expect(entry.textContent).toContain('The provider refused a call. Wait, then try again.');
  fireEvent.click(screen.getByRole('button', { name: 'Retry' }));
  expect(actions.takeNextStep).toHaveBeenCalledWith('11111111-1111-4111-8111-111111111111');
  expect(model.markRead).toHaveBeenCalledWith('ntc_1');
  expect(actions.close).toHaveBeenCalled();
});

test('a group lists failures first, and what is not listed is in the dashboard', () => {
  const runs = [
    ...Array.from({ length: 6 }, (_, index) =>
      makeNoticeRun({ run_id: `r${index}`, name: `${index}.py` })
    ),
    makeNoticeRun({ run_id: 'bad', name: 'bad.py', status: 'failed', reason: 'ValueError' })
  ];
  const { actions } = showList([
    makeNotice({ runs, run_count: 50, by_status: { failed: 1, succeeded: 49 } })
  ]);
  const group = within(screen.getByRole('list', { name: 'Runs' }));
  const rows = group.getAllByRole('button').map(row => row.textContent);
  expect(rows[0]).toBe('bad.pyValueError');
  expect(rows.at(-1)).toBe('45 more, in the dashboard');
  fireEvent.click(group.getByText('bad.py'));
  expect(actions.openRun).toHaveBeenCalledWith('bad');
  fireEvent.click(group.getByText('45 more, in the dashboard'));
  expect(actions.openDashboard).toHaveBeenCalledOnce();
});

test('arrow keys move through the entries, beginning at the first', () => {
  showList([makeNotice({ id: 'a' }), makeNotice({ id: 'b' })]);
  const entries = screen.getAllByRole('button', { name: /Run succeeded/ });
  expect(document.activeElement).toBe(entries[0]);
  fireEvent.keyDown(entries[0]!, { key: 'ArrowDown' });
  expect(document.activeElement).toBe(entries[1]);
  fireEvent.keyDown(entries[1]!, { key: 'ArrowDown' });
  expect(document.activeElement).toBe(entries[1]);
  fireEvent.keyDown(entries[1]!, { key: 'ArrowUp' });
  expect(document.activeElement).toBe(entries[0]);
});

test('an empty list says what will be there; nothing is left to mark', () => {
  showList([]);
  expect(screen.getByText(/When one of your runs ends/)).toBeTruthy();
  const button = screen.getByRole<HTMLButtonElement>('button', { name: 'Mark all read' });
  expect(button.disabled).toBe(true);
});

test('a list that can not be read offers to try again', () => {
  const { model } = showList([], { error: new Error('no answer'), state: 'failed' });
  expect(screen.getByRole('alert').textContent).toContain('no answer');
  fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
  expect(model.refresh).toHaveBeenCalledOnce();
});

test('what goes wrong in marking is reported', async () => {
  const wrong = new Error('gone');
  const { actions } = showList([makeNotice()], { markAllRead: () => Promise.reject(wrong) });
  fireEvent.click(screen.getByRole('button', { name: 'Mark all read' }));
  await waitFor(() => expect(actions.report).toHaveBeenCalledWith(wrong));
});

// -- preferences -----------------------------------------------------------------------------

function problems(
  change: Partial<IPreferenceValues>,
  settings: Partial<NotificationSettings> = {}
): string[] {
  const all = makeNotificationSettings(settings);
  const values = { ...preferenceValues(all, 'Europe/Lisbon'), ...change };
  return findPreferenceProblems(values, all, trans).map(problem => problem.field);
}

test.each<[Partial<IPreferenceValues>, Partial<NotificationSettings>, string[]]>([
  [{}, {}, []],
  [{ emailOnRun: true }, {}, ['address']],
  [{ emailOnRun: true }, { default_email_address: 'ann@example.org' }, []],
  [{ emailOnRun: true, address: 'ann@example.org' }, {}, []],
  [{ address: 'ann' }, {}, ['address']],
  [{ address: 'ann@example.org, bob@example.org' }, {}, ['address']],
  [{ isQuiet: true }, {}, []],
  [{ isQuiet: true, quietStart: '' }, {}, ['quietStart']],
  [{ isQuiet: true, quietEnd: '22:00' }, {}, ['quietEnd']],
  [{ isQuiet: true, timeZone: ' ' }, {}, ['timeZone']],
  [{ isQuiet: false, timeZone: '' }, {}, []]
])('%j with %j has problems %j', (change, settings, expected) => {
  expect(problems(change, settings)).toEqual(expected);
});

test('values become preferences; quiet hours that are off are removed', () => {
  const settings = makeNotificationSettings({
    quiet_hours: { start: '23:00', end: '06:00' },
    time_zone: 'Asia/Tokyo'
  });
  const values = preferenceValues(settings, 'Europe/Lisbon');
  expect(preferencesOf(values)).toMatchObject({
    quiet_hours: { start: '23:00', end: '06:00' },
    time_zone: 'Asia/Tokyo',
    email_address: null
  });
  const off = preferencesOf({ ...values, isQuiet: false, address: ' a@b.c ' });
  expect(off).toMatchObject({ quiet_hours: null, email_address: 'a@b.c' });
  expect(off).not.toHaveProperty('time_zone');
});

test("the server's refusal finds its field", () => {
  expect(refusedField({ field: 'quiet_hours.end' })).toBe('quietStart');
  expect(refusedField({ field: 'time_zone' })).toBe('timeZone');
  expect(refusedField({ field: 'sound' })).toBeUndefined();
  expect(refusedField({})).toBeUndefined();
});

function showForm(
  settings: NotificationSettings,
  change: Partial<Parameters<typeof PreferencesForm>[0]> = {}
) {
  const onChange = vi.fn();
  const sendTestMail = vi.fn(async () => ({ address: 'ann@example.org' }));
  render(
    <PreferencesForm
      initial={preferenceValues(settings, 'UTC')}
      settings={settings}
      refusal={null}
      api={{ sendTestMail } as unknown as RunsApi}
      trans={trans}
      onChange={onChange}
      {...change}
    />
  );
  return { onChange, sendTestMail };
}

test('without mail on the server its switches are off limits, with the reason', () => {
  const reason = 'The operator of this server has not set up mail.';
  showForm(makeNotificationSettings({ email_available: false, email_unavailable_reason: reason }));
  expect(screen.getByRole('note').textContent).toBe(reason);
  for (const name of ['Email on run completion', 'Email on shared run completion']) {
    expect(screen.getByRole<HTMLInputElement>('switch', { name }).disabled).toBe(true);
  }
  const toast = screen.getByRole<HTMLInputElement>('switch', {
    name: 'In-app toast notifications'
  });
  expect(toast.disabled).toBe(false);
  expect(screen.queryByRole('button', { name: 'Send a test mail' })).toBeNull();
});

test('a problem stands with its field as soon as it is typed', () => {
  const { onChange } = showForm(makeNotificationSettings());
  const address = screen.getByLabelText('Mail address');
  fireEvent.change(address, { target: { value: 'ann' } });
  expect(address.getAttribute('aria-invalid')).toBe('true');
  const described = document.getElementById(address.getAttribute('aria-describedby') ?? '');
  expect(described?.textContent).toContain('Not a mail address');
  expect(onChange.mock.lastCall?.[0]).toMatchObject({ address: 'ann' });
});

test('what the server refused stands with its field until it is changed', () => {
  const settings = makeNotificationSettings({
    quiet_hours: { start: '22:00', end: '07:00' },
    time_zone: 'Mars'
  });
  const refusal = { field: 'timeZone' as const, text: 'Not a known time zone.' };
  showForm(settings, { refusal });
  expect(screen.getByText('Not a known time zone.')).toBeTruthy();
  fireEvent.change(screen.getByLabelText('Time zone'), { target: { value: 'UTC' } });
  expect(screen.queryByText('Not a known time zone.')).toBeNull();
});

test('a test mail says where it went, or why it did not', async () => {
  const settings = makeNotificationSettings({ default_email_address: 'ann@example.org' });
  const { sendTestMail } = showForm(settings);
  const button = screen.getByRole('button', { name: 'Send a test mail' });
  fireEvent.click(button);
  expect(await screen.findByText('Sent to ann@example.org.')).toBeTruthy();
  expect(sendTestMail).toHaveBeenCalledWith('ann@example.org');
  const body = { code: 'x', message: '554 no', hint: 'Ask.', details: {}, request_id: '' };
  sendTestMail.mockRejectedValueOnce(new ApiError(409, body));
  fireEvent.click(button);
  expect(await screen.findByText('554 no. Ask.')).toBeTruthy();
});
