// What the charts of a run draw, from the points that the server keeps of it.

import type { UsagePoint } from '../../api/schema.js';

/** One value over time. */
export interface ISeries {
  /** Seconds after the first point. */
  seconds: readonly number[];
  /** One a second of `seconds`. */
  values: readonly number[];
  highest: number;
  last: number;
}

/** Memory in MB. */
export function memoryOf(points: readonly UsagePoint[]): ISeries {
  return seriesOf(points, point => point.memory_mb);
}

/** Processor cores that were busy, from one point to the next. */
export function coresOf(points: readonly UsagePoint[]): ISeries {
  return seriesOf(points, (point, before) => {
    const seconds = before ? point.t - before.t : 0;
    return before && seconds > 0
      ? Math.max(0, (point.cpu_seconds - before.cpu_seconds) / seconds)
      : 0;
  });
}

/** US dollars so far; null where no call has a price. */
export function costOf(points: readonly UsagePoint[]): ISeries | null {
  return points.some(point => point.cost_usd !== null)
    ? seriesOf(points, point => point.cost_usd ?? 0)
    : null;
}

function seriesOf(
  points: readonly UsagePoint[],
  valueOf: (point: UsagePoint, before: UsagePoint | undefined) => number
): ISeries {
  const start = points[0]?.t ?? 0;
  const values = points.map((point, at) => valueOf(point, points[at - 1]));
  return {
    seconds: points.map(point => point.t - start),
    values,
    highest: Math.max(0, ...values),
    last: values.at(-1) ?? 0
  };
}

/** The line of a series in a box, as an SVG path; the highest value is at the top. */
export function pathOf(series: ISeries, width: number, height: number): string {
  const span = series.seconds.at(-1) || 1;
  const top = series.highest || 1;
  return series.values
    .map((value, at) => {
      const x = ((series.seconds[at] as number) / span) * width;
      const y = height - (value / top) * height;
      return `${at === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
}

/** The point nearest to a part of the whole time, 0 to 1. */
export function nearest(series: ISeries, part: number): number {
  const wanted = part * (series.seconds.at(-1) ?? 0);
  let best = 0;
  series.seconds.forEach((seconds, at) => {
    if (Math.abs(seconds - wanted) < Math.abs((series.seconds[best] as number) - wanted)) {
      best = at;
    }
  });
  return best;
}
