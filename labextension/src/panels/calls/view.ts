// What is open and unfolded in the Calls tab. It outlives the tab's drawing: who goes to the log and
// comes back finds everything as it was.

import { Signal, type ISignal } from '@lumino/signaling';
import type { LoopAttempt, SamplingLoop } from '../../api/schema.js';
import type { CallsModel } from '../../models/calls.js';
import type { ICallsTarget } from '../run/links.js';

const UNFOLDED_LOOPS = 12; // where there are more, a run's loops are folded at first

/** What the details show. */
export type Opened =
  | { kind: 'call'; call: number }
  | { kind: 'verdict'; loop: number; chain: number; attempt: number; column: string }
  | { kind: 'diff'; loop: number; before: AttemptKey; after: AttemptKey };

/** An attempt of a loop: `chain.attempt`. */
export type AttemptKey = string;

/** The key of an attempt, unique in its loop. */
export function attemptKey(attempt: LoopAttempt): AttemptKey {
  return `${attempt.chain}.${attempt.attempt}`;
}

/** The state of one run's Calls tab. */
export class CallsView {
  /** Where the list was scrolled to, in pixels. */
  scrollTop = 0;
  private zoomFactor = 1;
  private turns = 0;
  private current: Opened | null = null;
  private wanted: string | null = null;
  private shownTarget: ICallsTarget | null = null;
  private readonly turned = new Map<number, boolean>();
  private readonly withCalls = new Set<number>();
  private readonly changedSignal = new Signal<this, void>(this);

  constructor(readonly data: CallsModel) {
    data.changed.connect(this.tell, this);
  }

  /** Something here or in the data has changed. */
  get changed(): ISignal<this, void> {
    return this.changedSignal;
  }

  get opened(): Opened | null {
    return this.current;
  }

  open(opened: Opened | null): void {
    this.current = opened;
    this.tell();
  }

  /** How much wider than its place the timeline is. */
  get zoom(): number {
    return this.zoomFactor;
  }

  setZoom(factor: number): void {
    this.zoomFactor = factor;
    this.tell();
  }

  /** How often something was folded or unfolded. */
  get unfoldings(): number {
    return this.turns;
  }

  /** Whether a loop shows its ladder: as somebody said, else while loops are few or it runs. */
  readonly isOpen = (loop: SamplingLoop): boolean =>
    this.turned.get(loop.loop) ??
    (this.data.loops.length <= UNFOLDED_LOOPS || loop.status === 'active');

  turn(loop: SamplingLoop): void {
    this.turned.set(loop.loop, !this.isOpen(loop));
    this.turns += 1;
    this.tell();
  }

  /** Whether a loop lists its calls. */
  readonly hasCalls = (loop: SamplingLoop): boolean => this.withCalls.has(loop.loop);

  turnCalls(loop: SamplingLoop): void {
    if (!this.withCalls.delete(loop.loop)) {
      this.withCalls.add(loop.loop);
    }
    this.turns += 1;
    this.tell();
  }

  /** The piece of the list to bring into view next; null when it was done. */
  get revealed(): string | null {
    return this.wanted;
  }

  /** The list has done so. */
  wasRevealed(): void {
    this.wanted = null;
  }

  /** Bring a call or a loop into view, once it is known. */
  reveal(target: ICallsTarget | null): void {
    if (target === null || target === this.shownTarget) {
      return;
    }
    const call = target.call === undefined ? undefined : this.data.findCall(target.call);
    const loop = this.data.findLoop(call?.loop ?? target.loop ?? 0);
    if (!call && !loop) {
      return;
    }
    this.shownTarget = target;
    for (let each = loop; each; each = this.data.findLoop(each.parent ?? 0)) {
      this.turned.set(each.loop, true);
    }
    if (call) {
      this.current = { kind: 'call', call: call.call };
    }
    this.turns += 1;
    this.wanted = loop ? `loop ${loop.loop}` : `call ${(call as { call: number }).call}`;
    this.tell();
  }

  dispose(): void {
    this.data.dispose();
    Signal.clearData(this);
  }

  private tell(): void {
    this.changedSignal.emit();
  }
}
