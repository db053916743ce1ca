import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RunsApi } from '../../src/api/rest.js';
import { RunsStream } from '../../src/api/stream.js';
import { CommTransport, REPLY_MS, type ICommModel } from '../../src/widget/comm.js';
import { frame } from '../helpers.js';

type Sent = { client: string; kind: string; id?: number; socket?: number; [name: string]: unknown };

/** A kernel that remembers what it was sent. */
class FakeModel implements ICommModel {
  sent: Sent[] = [];
  readonly listeners = new Set<(content: unknown, buffers?: DataView[]) => void>();

  get = (): unknown => null;
  send = (content: unknown): void => void this.sent.push(content as Sent);
  on = (_event: string, listener: (content: unknown, buffers?: DataView[]) => void): void =>
    void this.listeners.add(listener);
  off = (_event: string, listener: (content: unknown, buffers?: DataView[]) => void): void =>
    void this.listeners.delete(listener);

  last(kind: string): Sent {
    return this.sent.filter(each => each.kind === kind).at(-1) as Sent;
  }

  say(content: Record<string, unknown>, buffers?: DataView[]): void {
    for (const listener of [...this.listeners]) {
      listener({ client: this.sent[0]?.client, ...content }, buffers);
    }
  }
}

let model: FakeModel;
let transport: CommTransport;

beforeEach(() => {
  vi.useFakeTimers();
  model = new FakeModel();
  transport = new CommTransport(model);
});

afterEach(() => {
  transport.dispose();
  vi.useRealTimers();
});

test('a request is answered by the reply with its number', async () => {
  const api = new RunsApi(transport);
  const asked = api.listRuns({ status: ['failed'] });
  const { id, path, method } = model.last('request');
  expect([method, path]).toEqual(['GET', 'runs?status=failed']);
  model.say({ kind: 'reply', id: 99, status: 200, body: '{}' });
  model.say({ kind: 'reply', id, status: 200, body: '{"runs":[],"next":null}' });
  expect(await asked).toEqual({ runs: [], next: null });
});

test('a second module that the kernel has not is an error with its sentence', async () => {
  const asked = transport.loadModule();
  const body = JSON.stringify({ code: 'internal_error', message: 'The kernel failed.' });
  model.say({ kind: 'reply', id: model.last('module').id, status: 500, body });
  await expect(asked).rejects.toThrow('The kernel failed.');
});

test('a refusal is an error with its sentence', async () => {
  const asked = new RunsApi(transport).getRun('x');
  const body = JSON.stringify({ code: 'refused', message: 'No.', hint: 'Look again.' });
  model.say({ kind: 'reply', id: model.last('request').id, status: 403, body });
  await expect(asked).rejects.toMatchObject({ status: 403, message: 'No.' });
});

test('answers for another browser are not ours', async () => {
  const asked = transport.request('runs', {});
  const { id } = model.last('request');
  model.say({ client: 'another', kind: 'reply', id, status: 500, body: 'no' });
  model.say({ kind: 'reply', id, status: 200, body: 'yes' });
  expect(await (await asked).text()).toBe('yes');
});

test('what is never answered is rejected', async () => {
  const asked = transport.request('runs', {});
  const rejected = expect(asked).rejects.toThrow('does not answer');
  await vi.advanceTimersByTimeAsync(REPLY_MS);
  await rejected;
});

test('a view that is closed still hears the reply to a click, then says goodbye', async () => {
  const asked = new RunsApi(transport).retryRun('x');
  const { id } = model.last('request');
  transport.dispose();
  expect(model.sent.some(({ kind }) => kind === 'bye')).toBe(false); // gives up what is asked
  await expect(transport.request('runs', {})).rejects.toThrow('closed');
  model.say({ kind: 'reply', id, status: 201, body: '{"id":"y"}' });
  expect(await asked).toMatchObject({ id: 'y' });
  expect(model.last('bye')).toBeDefined();
  expect(model.listeners.size).toBe(0);
});

test('a view that is closed waits no longer than for any reply', async () => {
  const rejected = expect(transport.request('runs', {})).rejects.toThrow('does not answer');
  transport.dispose();
  await vi.advanceTimersByTimeAsync(REPLY_MS);
  await rejected;
  expect(model.last('bye')).toBeDefined();
});

test('an aborted request is given up', async () => {
  const abort = new AbortController();
  const rejected = expect(transport.request('runs', { signal: abort.signal })).rejects.toThrow();
  abort.abort();
  await rejected;
});

test('bytes come as they are', async () => {
  const asked = transport.download('runs/r/artifacts/a');
  const bytes = new DataView(new Uint8Array([0, 255]).buffer);
  model.say({ kind: 'reply', id: model.last('download').id, status: 200, body: '' }, [bytes]);
  expect(await asked).toBe(bytes);
});

test('a download that is refused says why', async () => {
  const rejected = expect(transport.download('x')).rejects.toThrow('Too long. Save it.');
  const body = JSON.stringify({ message: 'Too long.', hint: 'Save it.' });
  model.say({ kind: 'reply', id: model.last('download').id, status: 502, body });
  await rejected;
});

function startStream(): RunsStream {
  return new RunsStream({
    openSocket: () => transport.openSocket(),
    setTimeout: (callback, milliseconds) => window.setTimeout(callback, milliseconds),
    clearTimeout: handle => window.clearTimeout(handle),
    random: () => 0
  });
}

test('the stream works over the comm, and comes back after the kernel lost its connection', async () => {
  const stream = startStream();
  const lines: string[] = [];
  stream.subscribe('run/r/logs', { onFrames: frames => lines.push(...frames.map(f => f.message)) });
  await vi.advanceTimersByTimeAsync(0);
  const { socket } = model.last('open');
  model.say({ kind: 'opened', socket });
  expect(stream.state).toBe('open');
  expect(model.last('send')['text']).toBe('{"type":"subscribe","topic":"run/r/logs"}');
  const message = { type: 'logs', topic: 'run/r/logs', frames: [frame(1)], cursor: '1.1' };
  model.say({ kind: 'text', socket, text: JSON.stringify(message) });
  expect(lines).toEqual(['line 1']);

  model.say({ kind: 'closed', socket });
  expect(stream.state).toBe('reconnecting');
  await vi.advanceTimersByTimeAsync(1000);
  const again = model.last('open').socket;
  expect(again).not.toBe(socket);
  model.say({ kind: 'opened', socket: again });
  expect(model.last('send')['text']).toContain('"after":"1.1"');
  stream.dispose();
  expect(model.last('close').socket).toBe(again);
});

test('a socket that the kernel never opens is tried again', async () => {
  const stream = startStream();
  stream.subscribe('runs', {});
  await vi.advanceTimersByTimeAsync(20_000);
  expect(stream.state).toBe('reconnecting');
  await vi.advanceTimersByTimeAsync(1000);
  expect(model.sent.filter(each => each.kind === 'open')).toHaveLength(2);
  stream.dispose();
});

test('a kernel that falls silent is noticed', async () => {
  const stream = startStream();
  stream.subscribe('runs', {});
  await vi.advanceTimersByTimeAsync(0);
  model.say({ kind: 'opened', socket: model.last('open').socket });
  await vi.advanceTimersByTimeAsync(90_000);
  model.say({ kind: 'pong' });
  expect(stream.state).toBe('open');
  await vi.advanceTimersByTimeAsync(150_000);
  expect(stream.state).not.toBe('open');
  stream.dispose();
});

test('an idle view keeps no kernel awake: no pings while hidden, or with nothing to listen to', async () => {
  const pings = (): number => model.sent.filter(each => each.kind === 'ping').length;
  await vi.advanceTimersByTimeAsync(120_000);
  expect(pings()).toBe(0);
  const stream = startStream();
  stream.subscribe('runs', {});
  await vi.advanceTimersByTimeAsync(0);
  model.say({ kind: 'opened', socket: model.last('open').socket });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(pings()).toBe(2);

  const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
  await vi.advanceTimersByTimeAsync(300_000);
  expect([pings(), stream.state]).toEqual([2, 'open']);
  hidden.mockReturnValue(false);
  document.dispatchEvent(new Event('visibilitychange'));
  expect(pings()).toBe(3);
  expect(stream.state).toBe('reconnecting'); // what came meanwhile is asked for
  hidden.mockRestore();
  stream.dispose();
});
