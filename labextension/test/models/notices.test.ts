import { beforeEach, expect, test, vi } from 'vitest';
import type { RunsApi } from '../../src/api/rest.js';
import type { Notice } from '../../src/api/schema.js';
import type { ITopicListener, RunsStream } from '../../src/api/stream.js';
import { NoticesModel, wantsToast } from '../../src/models/notices.js';
import { makeNotice, makeNotificationSettings } from '../helpers.js';

let stored: Notice[] = [];
let failing: Error | null = null;
let listener: ITopicListener = {};
const stream = {
  subscribe: (_topic: string, given: ITopicListener) => {
    listener = given;
    return () => undefined;
  }
} as unknown as RunsStream;

const READ = '2026-01-15T11:00:00.000Z';
const unread = (): number => stored.filter(notice => notice.read_at === null).length;
const markNoticesRead = vi.fn(async (until: string) => {
  stored = stored.map(notice =>
    notice.updated_at <= until ? { ...notice, read_at: READ } : notice
  );
  return { unread: unread() };
});
const api = {
  listNotices: async ({ limit, cursor }: { limit: number; cursor?: string }) => {
    if (failing) {
      throw failing;
    }
    const from = Number(cursor ?? 0);
    const end = from + limit;
    return {
      notifications: stored.slice(from, end),
      next: end < stored.length ? String(end) : null,
      unread: unread()
    };
  },
  markNotice: async (id: string) => {
    stored = stored.map(notice => (notice.id === id ? { ...notice, read_at: READ } : notice));
    return stored.find(notice => notice.id === id);
  },
  markNoticesRead
} as unknown as RunsApi;

beforeEach(() => {
  stored = [];
  failing = null;
});

async function makeModel(): Promise<NoticesModel> {
  const model = new NoticesModel(api, stream);
  await model.refresh();
  return model;
}

const at = (minute: number): string => `2026-01-15T10:${String(minute).padStart(2, '0')}:00.000Z`;
const tell = (notice: Notice, count: number): void =>
  listener.onNotice?.({ type: 'notice_changed', notice, unread: count });

test('unread notices come first, the latest first', async () => {
  stored = [
    makeNotice({ id: 'old', updated_at: at(1) }),
    makeNotice({ id: 'read', updated_at: at(9), read_at: READ }),
    makeNotice({ id: 'new', updated_at: at(5) })
  ];
  const model = await makeModel();
  expect(model.notices.map(notice => notice.id)).toEqual(['new', 'old', 'read']);
  expect(model.unread).toBe(2);
  model.dispose();
});

test('a notice arrives once, and again when it tells of a further run', async () => {
  const model = await makeModel();
  const arrived = vi.fn();
  model.arrived.connect((_, notice) => arrived(notice.run_count));
  tell(makeNotice(), 1);
  tell(makeNotice(), 1);
  tell(makeNotice({ run_count: 2 }), 1);
  tell(makeNotice({ run_count: 2, read_at: READ }), 0);
  expect(arrived.mock.calls).toEqual([[1], [2]]);
  expect(model.unread).toBe(0);
  model.dispose();
});

test('what was there before the page does not arrive', async () => {
  stored = [makeNotice()];
  const model = await makeModel();
  const arrived = vi.fn();
  model.arrived.connect(arrived);
  await model.refresh();
  expect(arrived).not.toHaveBeenCalled();
  model.dispose();
});

test('many changes at once are read anew', async () => {
  const model = await makeModel();
  stored = [makeNotice({ id: 'a' }), makeNotice({ id: 'b' })];
  listener.onNotice?.({ type: 'notices_changed', unread: 2 });
  await vi.waitFor(() => expect(model.notices).toHaveLength(2));
  model.dispose();
});

test('reading one counts down, also before the server tells of it', async () => {
  stored = [makeNotice({ id: 'a' }), makeNotice({ id: 'b' })];
  const model = await makeModel();
  await model.markRead('a');
  await model.markRead('a');
  expect(model.unread).toBe(1);
  expect(model.notices.map(notice => notice.id)).toEqual(['b', 'a']);
  model.dispose();
});

test('marking all as read spares what the person has not seen', async () => {
  stored = [makeNotice({ id: 'a', updated_at: at(1) })];
  const model = await makeModel();
  stored = [...stored, makeNotice({ id: 'b', updated_at: at(2) })];
  await model.markAllRead();
  expect(markNoticesRead).toHaveBeenCalledWith(at(1));
  expect(model.unread).toBe(1);
  model.dispose();
});

test('older ones are read a page at a time', async () => {
  stored = Array.from({ length: 35 }, (_, index) => makeNotice({ id: `n${index}` }));
  const model = await makeModel();
  expect([model.notices.length, model.hasMore]).toEqual([30, true]);
  await model.loadMore();
  expect([model.notices.length, model.hasMore]).toEqual([35, false]);
  model.dispose();
});

test('a list that can not be read says so, and an old one stays', async () => {
  failing = new Error('no answer');
  const model = await makeModel();
  expect([model.state, model.error?.message]).toEqual(['failed', 'no answer']);
  failing = null;
  stored = [makeNotice()];
  await model.refresh();
  failing = new Error('gone');
  await model.refresh();
  expect([model.state, model.notices.length]).toEqual(['ready', 1]);
  model.dispose();
});

test.each([
  [{}, {}, true],
  [{ toast_enabled: false }, {}, false],
  [{ toast_enabled: false }, { by_status: { failed: 1 } }, false],
  [{ failures_only: true }, {}, false],
  [{ failures_only: true }, { by_status: { failed: 1, succeeded: 3 } }, true]
])('with %j a toast about %j is wanted: %s', (settings, notice, wanted) => {
  expect(wantsToast(makeNotice(notice), makeNotificationSettings(settings))).toBe(wanted);
});

test('before the preferences are known, their default holds', () => {
  expect(wantsToast(makeNotice(), null)).toBe(true);
});
