import { beforeEach, expect, test, vi } from 'vitest';
import type { ServerMessage } from '../../src/api/schema.js';
import { pauseBefore, RunsStream } from '../../src/api/stream.js';
import { frame, makeRun } from '../helpers.js';

class FakeSocket {
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  constructor() {
    FakeSocket.all.push(this);
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  receive(message: ServerMessage | object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const LOGS = 'run/11111111-1111-4111-8111-111111111111/logs';
let timers: { callback: () => void; milliseconds: number }[] = [];

function makeStream(): RunsStream {
  return new RunsStream({
    openSocket: () => new FakeSocket() as unknown as WebSocket,
    setTimeout: (callback, milliseconds) => timers.push({ callback, milliseconds }),
    clearTimeout: handle => {
      timers.splice(handle - 1, 1);
    },
    random: () => 0.5
  });
}

const socket = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;

beforeEach(() => {
  FakeSocket.all = [];
  timers = [];
});

test('many topics share one socket, which opens with the first and closes with the last', () => {
  const stream = makeStream();
  expect(FakeSocket.all).toHaveLength(0);
  const ends = [stream.subscribe('runs', {}), stream.subscribe(LOGS, {}, '7.1')];
  socket().open();
  expect(FakeSocket.all).toHaveLength(1);
  expect(socket().sent).toEqual([
    { type: 'subscribe', topic: 'runs' },
    { type: 'subscribe', topic: LOGS, after: '7.1' }
  ]);
  ends.forEach(end => end());
  expect([socket().readyState, stream.state]).toEqual([3, 'idle']);
  expect(timers).toHaveLength(0);
});

test('each listener hears of its topic only', () => {
  const stream = makeStream();
  const onRun = vi.fn();
  const onFrames = vi.fn();
  stream.subscribe('runs', { onRun });
  stream.subscribe(LOGS, { onFrames });
  socket().open();
  socket().receive({
    type: 'event',
    topic: 'runs',
    event: { type: 'run_changed', run: makeRun() }
  });
  socket().receive({ type: 'logs', topic: LOGS, frames: [frame(1)], cursor: '1.1' });
  socket().receive({ type: 'from_a_newer_server', topic: 'runs' });
  socket().receive({ type: 'logs', topic: 'run/other/logs', frames: [], cursor: '1.1' });
  expect(onRun).toHaveBeenCalledTimes(1);
  expect(onFrames).toHaveBeenCalledWith([frame(1)], '1.1');
  expect(onFrames).toHaveBeenCalledTimes(1);
});

test('a lost connection comes back and logs go on after the last line', () => {
  const stream = makeStream();
  const states: string[] = [];
  stream.onState(state => states.push(state));
  stream.subscribe('runs', {});
  stream.subscribe(LOGS, {}, null);
  socket().open();
  socket().receive({ type: 'logs', topic: LOGS, frames: [frame(9)], cursor: '9.1' });
  socket().close();
  expect(stream.state).toBe('reconnecting');
  timers.shift()?.callback();
  socket().open();
  expect(socket().sent).toEqual([
    { type: 'subscribe', topic: 'runs' },
    { type: 'subscribe', topic: LOGS, after: '9.1' }
  ]);
  expect(states).toEqual(['connecting', 'open', 'reconnecting', 'open']);
});

test('pauses grow, are jittered and bounded, and begin anew after a success', () => {
  const pauses = [0, 1, 2, 3, 10, 100].map(attempt => pauseBefore(attempt, 0.5));
  expect(pauses).toEqual([375, 750, 1500, 3000, 22_500, 22_500]);
  expect(pauseBefore(0, 0)).toBe(250);
  const stream = makeStream();
  stream.subscribe('runs', {});
  socket().close();
  timers.shift()?.callback();
  socket().close();
  expect(timers[0]?.milliseconds).toBe(750);
  timers.shift()?.callback();
  socket().open();
  socket().close();
  expect(timers[0]?.milliseconds).toBe(375);
});

test('the browser coming online ends the pause', () => {
  const stream = makeStream();
  stream.subscribe('runs', {});
  socket().close();
  stream.reconnectNow();
  expect([FakeSocket.all.length, timers.length]).toEqual([2, 0]);
});

test('a complete log is not asked for again', () => {
  const stream = makeStream();
  const onComplete = vi.fn();
  stream.subscribe('runs', {});
  stream.subscribe(LOGS, { onComplete });
  socket().open();
  socket().receive({ type: 'complete', topic: LOGS, status: 'succeeded' });
  expect(onComplete).toHaveBeenCalledWith('succeeded');
  socket().close();
  timers.shift()?.callback();
  socket().open();
  expect(socket().sent).toEqual([{ type: 'subscribe', topic: 'runs' }]);
});

test('a lagging topic is told and can be followed from elsewhere', () => {
  const stream = makeStream();
  const onLagged = vi.fn();
  stream.subscribe(LOGS, { onLagged });
  socket().open();
  socket().receive({ type: 'lagged', topic: LOGS, resume: '5.1' });
  stream.resubscribe(LOGS, '99.1');
  expect(onLagged).toHaveBeenCalledWith('5.1');
  expect(socket().sent.at(-1)).toEqual({ type: 'subscribe', topic: LOGS, after: '99.1' });
});

test('a topic on which the server failed is asked for again later', () => {
  const stream = makeStream();
  const onError = vi.fn();
  stream.subscribe('runs', { onError });
  socket().open();
  const error = { type: 'error', message: 'm', hint: '', details: {}, topic: 'runs' };
  socket().receive({ ...error, code: 'run_not_found' });
  expect(timers).toHaveLength(0);
  socket().receive({ ...error, code: 'internal_error' });
  timers.shift()?.callback();
  expect(socket().sent).toHaveLength(2);
  expect(onError).toHaveBeenCalledTimes(2);
});

test('nothing happens after the end', () => {
  const stream = makeStream();
  const onRun = vi.fn();
  stream.subscribe('runs', { onRun });
  socket().open();
  stream.dispose();
  expect(socket().readyState).toBe(3);
  expect(timers).toHaveLength(0);
});
