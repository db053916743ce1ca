// The transport of the widget: requests go through the kernel, which serves them with its own
// client (`mellea_jupyter/widgets/bridge.py`). No token and no address is ever here.
//
// Messages of the kernel reach every browser that shows the widget, so each of them carries the
// name of the one that is meant.

import type { ISocket } from '../api/stream.js';
import type { ITransport } from '../api/transport.js';

/** What is used of a widget's model. */
export interface ICommModel {
  get(name: string): unknown;
  send(content: unknown): void;
  on(event: string, listener: (content: unknown, buffers?: DataView[]) => void): void;
  off(event: string, listener: (content: unknown, buffers?: DataView[]) => void): void;
}

/** A message of the kernel, as far as it was looked at. */
interface IIncoming {
  client: string;
  kind: 'reply' | 'opened' | 'text' | 'closed' | 'pong';
  id?: number;
  status?: number;
  body?: string;
  socket?: number;
  text?: string;
}

interface IWaiting {
  resolve(reply: IReply): void;
  reject(error: Error): void;
  timer: number;
}

interface IReply {
  status: number;
  body: string;
  bytes: DataView | null;
}

/** A kernel that is busy with a long cell may answer late. */
export const REPLY_MS = 60_000;
const OPENING_MS = 20_000;
const PING_MS = 30_000;
const SILENCE_MS = 100_000;

/** Requests and sockets over one widget's comm. */
export class CommTransport implements ITransport {
  private readonly client = randomName();
  private readonly waiting = new Map<number, IWaiting>();
  private readonly sockets = new Map<number, CommSocket>();
  private readonly pings: number;
  private count = 0;
  private isDisposed = false;

  constructor(private readonly model: ICommModel) {
    model.on('msg:custom', this.receive);
    this.pings = window.setInterval(this.ping, PING_MS);
    document.addEventListener('visibilitychange', this.ping);
    this.post({ kind: 'hello' });
  }

  /** Links lead nowhere: the browser may not know the server at all. */
  url(path: string): string {
    return path;
  }

  async request(path: string, init: RequestInit): Promise<Response> {
    const body = typeof init.body === 'string' ? init.body : null;
    const message = { kind: 'request', method: init.method ?? 'GET', path, body };
    const reply = await this.ask(message, init.signal ?? null);
    return new Response(reply.status === 204 ? null : reply.body, { status: reply.status });
  }

  /** The bytes at `path`. Rejects with the sentence of the refusal. */
  async download(path: string): Promise<DataView> {
    const { status, body, bytes } = await this.ask({ kind: 'download', path }, null);
    if (status !== 200 || bytes === null) {
      throw new Error(sentenceOf(body) || `HTTP ${status}`);
    }
    return bytes;
  }

  /** Load the second module of this version of the widget, as anywidget loaded the first. */
  async loadModule<T>(): Promise<T> {
    const { status, body } = await this.ask({ kind: 'module' }, null);
    if (status !== 200) {
      throw new Error(sentenceOf(body));
    }
    const url = URL.createObjectURL(new Blob([body], { type: 'text/javascript' }));
    try {
      return (await import(/* webpackIgnore: true */ url)) as T;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  openSocket(): ISocket {
    const number = ++this.count;
    const socket = new CommSocket({
      open: () => this.post({ kind: 'open', socket: number }),
      send: text => this.post({ kind: 'send', socket: number, text }),
      close: () => {
        this.sockets.delete(number);
        this.post({ kind: 'close', socket: number });
      }
    });
    this.sockets.set(number, socket);
    return socket;
  }

  /**
   * Ends every socket; takes the replies that are on their way.
   *
   * A view is drawn anew when the kernel has seen its run end, perhaps just after a click.
   */
  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    window.clearInterval(this.pings);
    document.removeEventListener('visibilitychange', this.ping);
    for (const socket of [...this.sockets.values()]) {
      socket.close();
      socket.broken();
    }
    this.isDisposed = true;
    this.leave();
  }

  private leave(): void {
    if (this.isDisposed && this.waiting.size === 0) {
      this.post({ kind: 'bye' });
      this.model.off('msg:custom', this.receive);
    }
  }

  private ask(message: Record<string, unknown>, signal: AbortSignal | null): Promise<IReply> {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      if (this.isDisposed || signal?.aborted) {
        reject(new Error('The view was closed.'));
        return;
      }
      const giveUp = (why: string): void => {
        this.forget(id);
        reject(new Error(why));
      };
      const timer = window.setTimeout(() => giveUp('The kernel does not answer.'), REPLY_MS);
      signal?.addEventListener('abort', () => giveUp('Given up.'), { once: true });
      this.waiting.set(id, { resolve, reject, timer });
      this.post({ ...message, id });
    });
  }

  private forget(id: number): void {
    window.clearTimeout(this.waiting.get(id)?.timer);
    if (this.waiting.delete(id)) {
      this.leave();
    }
  }

  private post(message: Record<string, unknown>): void {
    try {
      this.model.send({ ...message, client: this.client });
    } catch {
      // the comm is closed: what waits for an answer gives up by itself
    }
  }

  /** Each message makes the kernel, and so its server, count as active: none that nobody needs. */
  private readonly ping = (): void => {
    if (document.hidden || this.sockets.size === 0) {
      return;
    }
    this.post({ kind: 'ping' });
    for (const socket of [...this.sockets.values()]) {
      if (Date.now() - socket.heardAt > SILENCE_MS) {
        socket.close();
        socket.broken(); // the kernel was restarted, or does not get to answering
      }
    }
  };

  private readonly receive = (content: unknown, buffers?: DataView[]): void => {
    const message = content as Partial<IIncoming> | null;
    if (message?.client !== this.client) {
      return;
    }
    for (const socket of this.sockets.values()) {
      socket.heardAt = Date.now();
    }
    const socket = this.sockets.get(message.socket ?? 0);
    switch (message.kind) {
      case 'reply': {
        const waiting = this.waiting.get(message.id ?? 0);
        this.forget(message.id ?? 0);
        waiting?.resolve({
          status: message.status ?? 500,
          body: message.body ?? '',
          bytes: buffers?.[0] ?? null
        });
        return;
      }
      case 'opened':
        return socket?.opened();
      case 'text':
        return socket?.received(message.text ?? '');
      case 'closed':
        this.sockets.delete(message.socket ?? 0);
        return socket?.broken();
      default:
        return; // `pong`, or what a newer kernel says
    }
  };
}

/** What a socket needs of its transport. */
interface IWire {
  open(): void;
  send(text: string): void;
  close(): void;
}

/** A websocket of the kernel's, seen from here. */
class CommSocket implements ISocket {
  readyState = 0;
  onopen: ISocket['onopen'] = null;
  onmessage: ISocket['onmessage'] = null;
  onclose: ISocket['onclose'] = null;
  heardAt = Date.now();
  private readonly timer: number;

  constructor(private readonly wire: IWire) {
    this.timer = window.setTimeout(() => {
      this.close();
      this.broken();
    }, OPENING_MS);
    // listeners are set by then, as with a websocket of the browser
    queueMicrotask(() => this.readyState === 0 && wire.open());
  }

  send(text: string): void {
    this.wire.send(text);
  }

  close(): void {
    window.clearTimeout(this.timer);
    if (this.readyState !== 3) {
      this.readyState = 3;
      this.wire.close();
    }
  }

  opened(): void {
    if (this.readyState === 0) {
      window.clearTimeout(this.timer);
      this.readyState = 1;
      this.onopen?.call(this as unknown as WebSocket, new Event('open'));
    }
  }

  received(text: string): void {
    if (this.readyState === 1) {
      const event = new MessageEvent('message', { data: text });
      this.onmessage?.call(this as unknown as WebSocket, event);
    }
  }

  /** The other side is gone. */
  broken(): void {
    window.clearTimeout(this.timer);
    this.readyState = 3;
    this.onclose?.call(this as unknown as WebSocket, new Event('close') as CloseEvent);
  }
}

function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}

function sentenceOf(body: string): string {
  try {
    const { message, hint } = JSON.parse(body) as { message?: unknown; hint?: unknown };
    return [message, hint].filter(each => typeof each === 'string' && each !== '').join(' ');
  } catch {
    return '';
  }
}
