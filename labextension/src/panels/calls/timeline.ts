// Where the bars of the waterfall are. Times are Unix seconds; places are parts of the whole, so
// that zooming only changes a width.

import type { LlmCall } from '../../api/schema.js';

const SHORTEST_SECONDS = 0.001;
const STEPS = [1, 2, 5];

/** From the first call's start to the last one's end. */
export interface ISpan {
  start: number;
  seconds: number;
}

/** A bar: `left` and `width` as parts of the span, 0 to 1. */
export interface IBar {
  left: number;
  width: number;
  /** The part of the bar before the first token; null where that is not known. */
  waited: number | null;
  /** The call has not ended. */
  isOpen: boolean;
}

/** A mark of the scale. */
export interface ITick {
  /** Part of the span. */
  left: number;
  /** Seconds after the span's start. */
  seconds: number;
  /** The same, as exactly as the marks lie apart. */
  text: string;
}

/** The time that all calls lie in. Calls that run go on to `now`. */
export function spanOf(calls: readonly LlmCall[], now: number): ISpan {
  let start = Infinity;
  let end = -Infinity;
  for (const call of calls) {
    start = Math.min(start, call.started_at);
    end = Math.max(end, endOf(call, now));
  }
  return calls.length === 0
    ? { start: now, seconds: SHORTEST_SECONDS }
    : { start, seconds: Math.max(SHORTEST_SECONDS, end - start) };
}

/** Where the bar of a call is. */
export function barOf(call: LlmCall, span: ISpan, now: number): IBar {
  const seconds = endOf(call, now) - call.started_at;
  const { ttft_ms: first } = call;
  return {
    left: (call.started_at - span.start) / span.seconds,
    width: seconds / span.seconds,
    waited: first === null || seconds <= 0 ? null : Math.min(1, first / 1000 / seconds),
    isOpen: call.status === 'active'
  };
}

/**
 * Marks at round times, at least `apart` pixels from each other where the span is `pixels` wide;
 * only those within a part of it.
 */
export function ticksOf(
  span: ISpan,
  pixels: number,
  apart: number,
  part: { from: number; to: number } = { from: 0, to: 1 }
): ITick[] {
  const least = (span.seconds * apart) / Math.max(1, pixels);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = (STEPS.find(each => each * power >= least) ?? 10) * power;
  const first = Math.max(0, Math.floor((part.from * span.seconds) / step));
  const last = Math.floor((Math.min(1, part.to) * span.seconds) / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => ({
    left: ((first + index) * step) / span.seconds,
    seconds: (first + index) * step,
    text: tickText((first + index) * step, step)
  }));
}

/** `0`, `1.25 s`, `2:30`. */
function tickText(seconds: number, step: number): string {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  if (seconds < 60) {
    return seconds === 0 ? '0' : `${seconds.toFixed(digits)}\u202fs`;
  }
  const rest = (seconds % 60).toFixed(digits);
  return `${Math.floor(seconds / 60)}:${rest.padStart(digits > 0 ? digits + 3 : 2, '0')}`;
}

function endOf(call: LlmCall, now: number): number {
  const lasted = call.status === 'active' ? now - call.started_at : (call.latency_ms ?? 0) / 1000;
  return call.started_at + Math.max(0, lasted);
}
