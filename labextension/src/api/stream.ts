// The websocket: one a tab, any number of topics. It carries what is new; history is read over
// REST. A lost connection is made again with growing, jittered pauses; log topics resume by cursor.

import type {
  CallsChanged,
  ClientMessage,
  LogFrame,
  NoticeChanged,
  NoticesChanged,
  RunDeleted,
  Run,
  ServerMessage
} from './schema.js';

/** Where the connection is. `idle`: nobody listens, so there is none. */
export type StreamState = 'idle' | 'connecting' | 'open' | 'reconnecting';

/** What a listener of a topic is told. */
export interface ITopicListener {
  /** The server follows the topic from here on; again after each reconnection. */
  onSubscribed?(): void;
  onRun?(run: Run): void;
  onDeleted?(event: RunDeleted): void;
  /** Calls and loops that changed, each as it is now. */
  onCalls?(event: CallsChanged): void;
  onNotice?(event: NoticeChanged | NoticesChanged): void;
  /** New log lines. */
  onFrames?(frames: LogFrame[], cursor: string): void;
  /** The server gave up on the topic because we read too slowly: read anew and subscribe again. */
  onLagged?(resume: string | null): void;
  /** The log is complete. */
  onComplete?(status: string): void;
  onError?(message: string, code: string): void;
}

/** What is used of a websocket. */
export type ISocket = Pick<
  WebSocket,
  'readyState' | 'onopen' | 'onmessage' | 'onclose' | 'send' | 'close'
>;

/** The parts of the browser that tests replace. */
export interface IStreamEnvironment {
  openSocket(): ISocket;
  setTimeout(callback: () => void, milliseconds: number): number;
  clearTimeout(handle: number): void;
  /** In [0, 1). */
  random(): number;
}

interface ITopic {
  listeners: Set<ITopicListener>;
  /** Logs: the cursor after the last line that was received. */
  after: string | null;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const SERVER_FAULT = 'internal_error';
const OPEN = 1; // WebSocket.OPEN; the constant itself is not there in every environment

/** How long to wait before the `attempt`-th reconnection (from 0): full jitter above a half. */
export function pauseBefore(attempt: number, random: number): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  return longest * (0.5 + random / 2);
}

/** The connection of this tab. */
export class RunsStream {
  private topics = new Map<string, ITopic>();
  private socket: ISocket | null = null;
  private timer: number | null = null;
  private attempt = 0;
  private stateListeners = new Set<(state: StreamState) => void>();
  private current: StreamState = 'idle';
  private isDisposed = false;

  constructor(private readonly environment: IStreamEnvironment) {}

  get state(): StreamState {
    return this.current;
  }

  /** Hear of changes of `state`. Returns what ends it. */
  onState(listener: (state: StreamState) => void): () => void {
    this.stateListeners.add(listener);
    return () => this.stateListeners.delete(listener);
  }

  /**
   * Follow a topic; the first listener of a log topic says after which cursor. Later ones join
   * where the topic stands. Returns what ends it.
   */
  subscribe(topic: string, listener: ITopicListener, after: string | null = null): () => void {
    let found = this.topics.get(topic);
    if (found) {
      found.listeners.add(listener);
    } else {
      found = { listeners: new Set([listener]), after };
      this.topics.set(topic, found);
      this.request(topic, found);
    }
    const subscribed = found;
    return () => {
      subscribed.listeners.delete(listener);
      if (subscribed.listeners.size === 0 && this.topics.get(topic) === subscribed) {
        this.topics.delete(topic);
        this.send({ type: 'unsubscribe', topic });
        this.closeWhenUnused();
      }
    };
  }

  /** Follow a log topic again, from another place. */
  resubscribe(topic: string, after: string | null): void {
    const found = this.topics.get(topic);
    if (found) {
      found.after = after;
      this.request(topic, found);
    }
  }

  /** Try at once, e.g. when the browser says it is online again. */
  reconnectNow(): void {
    if (this.timer !== null) {
      this.environment.clearTimeout(this.timer);
      this.timer = null;
      this.connect();
    }
  }

  dispose(): void {
    this.isDisposed = true;
    this.topics.clear();
    this.closeWhenUnused();
    this.stateListeners.clear();
  }

  private request(topic: string, { after }: ITopic): void {
    if (this.socket === null && this.timer === null) {
      this.connect();
    } else {
      this.send(
        after === null ? { type: 'subscribe', topic } : { type: 'subscribe', topic, after }
      );
    }
  }

  private send(message: ClientMessage): void {
    if (this.socket?.readyState === OPEN) {
      this.socket.send(JSON.stringify(message));
    }
  }

  private connect(): void {
    if (this.isDisposed) {
      return;
    }
    this.setState(this.attempt === 0 ? 'connecting' : 'reconnecting');
    const socket = this.environment.openSocket();
    this.socket = socket;
    socket.onopen = () => {
      this.attempt = 0;
      this.setState('open');
      for (const [name, topic] of this.topics) {
        this.request(name, topic);
      }
    };
    socket.onmessage = event => this.receive(parseMessage(event.data));
    socket.onclose = () => {
      if (this.socket === socket) {
        this.socket = null;
        this.reconnectLater();
      }
    };
  }

  private reconnectLater(): void {
    if (this.topics.size === 0 || this.isDisposed) {
      this.setState('idle');
      return;
    }
    const pause = pauseBefore(this.attempt, this.environment.random());
    this.attempt += 1;
    this.setState('reconnecting');
    this.timer = this.environment.setTimeout(() => {
      this.timer = null;
      this.connect();
    }, pause);
  }

  private closeWhenUnused(): void {
    if (this.topics.size > 0) {
      return;
    }
    if (this.timer !== null) {
      this.environment.clearTimeout(this.timer);
      this.timer = null;
    }
    const socket = this.socket;
    this.socket = null;
    this.attempt = 0;
    socket?.close();
    this.setState('idle');
  }

  private receive(message: ServerMessage | null): void {
    if (message === null) {
      return;
    }
    const topic = message.topic ? this.topics.get(message.topic) : undefined;
    if (!topic) {
      return;
    }
    if (message.type === 'logs') {
      topic.after = message.cursor;
    }
    if (message.type === 'error' && message.code === SERVER_FAULT) {
      this.askAgain(message.topic as string, topic);
    }
    if (message.type === 'complete') {
      // the server has ended the topic: nothing to ask for after a reconnection
      this.topics.delete(message.topic);
    }
    for (const listener of [...topic.listeners]) {
      tell(listener, message);
    }
  }

  /** The server failed on a topic and has ended it; the connection and other topics go on. */
  private askAgain(name: string, topic: ITopic): void {
    this.environment.setTimeout(() => {
      if (this.topics.get(name) === topic) {
        this.request(name, topic);
      }
    }, LONGEST_PAUSE_MS);
  }

  private setState(state: StreamState): void {
    if (state !== this.current) {
      this.current = state;
      for (const listener of [...this.stateListeners]) {
        listener(state);
      }
    }
  }
}

function tell(listener: ITopicListener, message: ServerMessage): void {
  switch (message.type) {
    case 'subscribed':
      return listener.onSubscribed?.();
    case 'unsubscribed':
      return;
    case 'event':
      return tellEvent(listener, message.event);
    case 'logs':
      return listener.onFrames?.(message.frames, message.cursor);
    case 'lagged':
      return listener.onLagged?.(message.resume);
    case 'complete':
      return listener.onComplete?.(message.status);
    case 'error':
      return listener.onError?.(message.message, message.code);
    default: {
      const unknown: never = message;
      return unknown;
    }
  }
}

function tellEvent(
  listener: ITopicListener,
  event: Extract<ServerMessage, { type: 'event' }>['event']
): void {
  switch (event.type) {
    case 'run_changed':
      return listener.onRun?.(event.run);
    case 'run_deleted':
      return listener.onDeleted?.(event);
    case 'notice_changed':
    case 'notices_changed':
      return listener.onNotice?.(event);
    case 'calls_changed':
      return listener.onCalls?.(event);
    default: {
      const unknown: never = event;
      return unknown;
    }
  }
}

const KNOWN = new Set<string>([
  'subscribed',
  'unsubscribed',
  'event',
  'logs',
  'lagged',
  'complete',
  'error'
] satisfies ServerMessage['type'][]);

/** Narrows what came over the wire; null for what a newer server may send. */
function parseMessage(data: unknown): ServerMessage | null {
  if (typeof data !== 'string') {
    return null;
  }
  const parsed: unknown = JSON.parse(data);
  const type = (parsed as { type?: unknown } | null)?.type;
  return typeof type === 'string' && KNOWN.has(type) ? (parsed as ServerMessage) : null;
}
