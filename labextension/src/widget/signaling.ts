// Signals for the widget's bundle, in the place of `@lumino/signaling`, which brings 5 kB (gzip) of
// other packages along: what our models use of it.

import type { ISignal, Slot } from '@lumino/signaling';

/** A signal of one sender. */
export class Signal<T extends object, U> implements Pick<ISignal<T, U>, 'connect' | 'disconnect'> {
  private slots: { slot: Slot<T, U>; thisArg: unknown }[] = [];

  constructor(private readonly sender: T) {
    const known = signals.get(sender) ?? [];
    signals.set(sender, [...known, this as unknown as Signal<object, unknown>]);
  }

  connect(slot: Slot<T, U>, thisArg?: unknown): boolean {
    if (this.indexOf(slot, thisArg) >= 0) {
      return false;
    }
    this.slots = [...this.slots, { slot, thisArg }];
    return true;
  }

  disconnect(slot: Slot<T, U>, thisArg?: unknown): boolean {
    const index = this.indexOf(slot, thisArg);
    this.slots = this.slots.filter((_, at) => at !== index);
    return index >= 0;
  }

  emit(args: U): void {
    for (const { slot, thisArg } of this.slots) {
      slot.call(thisArg, this.sender, args);
    }
  }

  /** Disconnects all slots of the sender's signals. */
  static clearData(sender: object): void {
    for (const signal of signals.get(sender) ?? []) {
      signal.slots = [];
    }
  }

  private indexOf(slot: Slot<T, U>, thisArg: unknown): number {
    return this.slots.findIndex(each => each.slot === slot && each.thisArg === thisArg);
  }
}

const signals = new WeakMap<object, Signal<object, unknown>[]>();
