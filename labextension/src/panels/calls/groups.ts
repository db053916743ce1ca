// The list of the Calls tab: loops with what is in them, and the calls outside of loops, in the
// order in which they began. Flat, so that only what is seen has to be drawn.

import type { LlmCall, SamplingLoop } from '../../api/schema.js';

/** One piece of the list. `depth` counts the loops around it. */
export type Item =
  | { kind: 'loop'; key: string; depth: number; loop: SamplingLoop; isOpen: boolean }
  | { kind: 'head'; key: string; depth: number }
  | { kind: 'call'; key: string; depth: number; call: LlmCall };

/** What is unfolded. */
export interface IUnfolded {
  /** Whether a loop shows its ladder. */
  isOpen: (loop: SamplingLoop) => boolean;
  /** Whether a loop lists its calls. */
  hasCalls: (loop: SamplingLoop) => boolean;
}

/** Calls and loops as the list shows them. */
export interface ICallsTree {
  /** Calls by the loop they are in. */
  callsOf: ReadonlyMap<number, readonly LlmCall[]>;
  items: readonly Item[];
}

/** Lay out the list. Calls of a loop that is not known (yet) stand by themselves. */
export function listOf(
  calls: readonly LlmCall[],
  loops: readonly SamplingLoop[],
  unfolded: IUnfolded
): ICallsTree {
  const known = new Set(loops.map(loop => loop.loop));
  const callsOf = new Map<number, LlmCall[]>();
  const alone: LlmCall[] = [];
  for (const call of calls) {
    if (call.loop === null || !known.has(call.loop)) {
      alone.push(call);
    } else {
      push(callsOf, call.loop, call);
    }
  }
  const outer: SamplingLoop[] = [];
  const inner = new Map<number, SamplingLoop[]>();
  for (const loop of loops) {
    if (loop.parent === null || !known.has(loop.parent)) {
      outer.push(loop);
    } else {
      push(inner, loop.parent, loop);
    }
  }
  const items: Item[] = [];
  const addCalls = (group: string, each: readonly LlmCall[], depth: number): void => {
    if (each.length > 0) {
      items.push({ kind: 'head', key: `head ${group}`, depth });
    }
    for (const call of each) {
      items.push({ kind: 'call', key: `call ${call.call}`, depth, call });
    }
  };
  const addLoop = (loop: SamplingLoop, depth: number): void => {
    const isOpen = unfolded.isOpen(loop);
    items.push({ kind: 'loop', key: `loop ${loop.loop}`, depth, loop, isOpen });
    if (isOpen) {
      if (unfolded.hasCalls(loop)) {
        addCalls(`of ${loop.loop}`, callsOf.get(loop.loop) ?? [], depth + 1);
      }
      inner.get(loop.loop)?.forEach(each => addLoop(each, depth + 1));
    }
  };
  let from = 0;
  for (const loop of outer) {
    let to = from;
    while (to < alone.length && (alone[to] as LlmCall).started_at <= loop.started_at) {
      to++;
    }
    addCalls(`before ${loop.loop}`, alone.slice(from, to), 0);
    from = to;
    addLoop(loop, 0);
  }
  addCalls('end', alone.slice(from), 0);
  return { callsOf, items };
}

function push<T>(lists: Map<number, T[]>, key: number, value: T): void {
  const list = lists.get(key);
  if (list) {
    list.push(value);
  } else {
    lists.set(key, [value]);
  }
}
