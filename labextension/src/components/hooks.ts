// Hooks that tie components to models and to the clock.

import type { ISignal } from '@lumino/signaling';
import { useCallback, useEffect, useReducer, useState, useSyncExternalStore } from 'react';
import type { RunsStream, StreamState } from '../api/stream.js';

/** Draw again when the signal is emitted. */
export function useSignal<T, U>(signal: ISignal<T, U>): void {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const slot = (): void => draw();
    signal.connect(slot);
    draw(); // what was emitted between drawing and connecting
    return () => {
      signal.disconnect(slot);
    };
  }, [signal]);
}

/** The time, Unix milliseconds, moving on every `periodMs`; it stands still while the page is hidden. */
export function useNow(periodMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (!document.hidden) {
        setNow(Date.now());
      }
    }, periodMs);
    return () => window.clearInterval(timer);
  }, [periodMs]);
  return now;
}

/** Follow the connection's state. */
export function useStreamState(stream: RunsStream): StreamState {
  const listen = useCallback((changed: () => void) => stream.onState(changed), [stream]);
  return useSyncExternalStore(listen, () => stream.state);
}
