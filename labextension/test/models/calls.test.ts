import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CallPage, LlmCall, LoopPage, SamplingLoop } from '../../src/api/schema.js';
import type { ITopicListener } from '../../src/api/stream.js';
import { CallsModel, type CallsApi } from '../../src/models/calls.js';
import { makeCall, makeLoop } from '../helpers.js';

const RUN = '11111111-1111-4111-8111-111111111111';

/** A server with calls; replies can be held back. */
class FakeServer implements CallsApi {
  calls: LlmCall[] = [];
  loops: SamplingLoop[] = [];
  asked: string[] = [];
  failure: Error | null = null;
  listener: ITopicListener = {};
  topics: string[] = [];
  private held: (() => void)[] | null = null;

  hold(): void {
    this.held = [];
  }

  async release(): Promise<void> {
    this.held?.forEach(release => release());
    this.held = null;
    await settle();
  }

  async listCalls(_run: string, query: { after?: number; limit?: number }): Promise<CallPage> {
    const { calls, next } = this.page(this.calls, each => each.call, query, 'calls');
    await this.mayReply();
    return { calls: calls as LlmCall[], next };
  }

  async listLoops(_run: string, query: { after?: number; limit?: number }): Promise<LoopPage> {
    const { calls, next } = this.page(this.loops, each => each.loop, query, 'loops');
    await this.mayReply();
    return { loops: calls as SamplingLoop[], next };
  }

  subscribe(topic: string, listener: ITopicListener): () => void {
    this.topics.push(topic);
    this.listener = listener;
    return () => {
      this.listener = {};
    };
  }

  live(calls: LlmCall[], loops: SamplingLoop[] = []): void {
    this.listener.onCalls?.({ type: 'calls_changed', run_id: RUN, calls, loops });
  }

  private page<T>(
    all: readonly T[],
    numberOf: (value: T) => number,
    { after = 0, limit = 1000 }: { after?: number; limit?: number },
    what: string
  ): { calls: T[]; next: number | null } {
    this.asked.push(`${what} ${after} ${limit}`);
    if (this.failure) {
      throw this.failure;
    }
    const rest = all.filter(each => numberOf(each) > after);
    const page = rest.slice(0, limit);
    const last = page.at(-1);
    return { calls: page, next: rest.length > limit && last ? numberOf(last) : null };
  }

  private async mayReply(): Promise<void> {
    const { held } = this;
    if (held) {
      await new Promise<void>(resolve => held.push(resolve));
    }
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn++) {
    await Promise.resolve();
  }
};

let server: FakeServer;
let model: CallsModel;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
});

afterEach(() => {
  model.dispose();
  vi.useRealTimers();
});

test('the first page is there before the others were asked for', async () => {
  server.calls = Array.from({ length: 2500 }, (_, index) => makeCall(index + 1));
  let afterFirst = 0;
  model = new CallsModel(RUN, server, server);
  model.changed.connect(() => {
    afterFirst ||= model.calls.length;
  });
  await settle();
  expect(afterFirst).toBe(200);
  expect(model.calls).toHaveLength(2500);
  expect(model.calls.map(call => call.call)).toEqual([...Array(2500).keys()].map(n => n + 1));
  expect(server.asked.filter(each => each.startsWith('calls'))).toEqual([
    'calls 0 200',
    'calls 200 1000',
    'calls 1200 1000',
    'calls 2200 1000'
  ]);
  expect(server.topics).toEqual([`run/${RUN}/calls`]);
});

test('what came live wins over a page that was asked for before', async () => {
  server.calls = [makeCall(1, { status: 'active', latency_ms: null }), makeCall(2)];
  server.hold();
  model = new CallsModel(RUN, server, server);
  server.live([makeCall(1, { latency_ms: 700 })], [makeLoop(1, { status: 'met' })]);
  await server.release();
  expect(model.findCall(1)?.latency_ms).toBe(700);
  expect(model.findCall(2)).toBeDefined();
  expect(model.findLoop(1)?.status).toBe('met');
});

test('a page that was asked for later wins over what came live', async () => {
  model = new CallsModel(RUN, server, server);
  await settle();
  server.live([makeCall(1, { status: 'active', latency_ms: null })]);
  server.calls = [makeCall(1, { latency_ms: 900 })];
  server.listener.onSubscribed?.();
  await settle();
  expect(model.findCall(1)?.latency_ms).toBe(900);
});

test('after a reconnection only what may have changed is read again', async () => {
  server.calls = Array.from({ length: 1300 }, (_, index) => makeCall(index + 1));
  server.calls[1199] = makeCall(1200, { status: 'active' });
  server.loops = [makeLoop(1, { status: 'met' }), makeLoop(2)];
  model = new CallsModel(RUN, server, server);
  await settle();
  server.asked = [];
  server.listener.onSubscribed?.();
  await settle();
  expect(server.asked).toEqual(['loops 1 200', 'calls 1099 200', 'calls 1299 1000']);
});

test('asked to read while it reads, it reads once more afterwards', async () => {
  server.hold();
  model = new CallsModel(RUN, server, server);
  server.listener.onSubscribed?.();
  server.listener.onLagged?.(null);
  server.calls = [makeCall(1)];
  await server.release();
  expect(model.calls).toHaveLength(1);
  expect(server.asked.filter(each => each.startsWith('calls'))).toHaveLength(2);
});

test('live changes are told of together', async () => {
  model = new CallsModel(RUN, server, server);
  await settle();
  const told = vi.fn();
  model.changed.connect(told);
  for (let call = 1; call <= 50; call++) {
    server.live([makeCall(call)]);
  }
  expect(told).not.toHaveBeenCalled();
  vi.advanceTimersByTime(100);
  expect(told).toHaveBeenCalledTimes(1);
  expect(model.calls).toHaveLength(50);
});

test('a refusal is kept, and what was read stays', async () => {
  server.calls = [makeCall(1)];
  model = new CallsModel(RUN, server, server);
  await settle();
  server.failure = new Error('no');
  await model.refresh();
  expect(model.error?.message).toBe('no');
  expect(model.calls).toHaveLength(1);
  server.failure = null;
  await model.refresh();
  expect(model.error).toBeNull();
});
