// Which pieces of a long list are seen. Heights are measured once a piece was drawn, and thought of
// before that; the list may change above what is seen.

/** Where each piece begins; one more entry for the end. */
export function offsetsOf(heights: readonly number[]): Float64Array {
  const offsets = new Float64Array(heights.length + 1);
  for (let at = 0; at < heights.length; at++) {
    offsets[at + 1] = (offsets[at] as number) + (heights[at] as number);
  }
  return offsets;
}

/** The piece at an offset. */
export function indexAt(offsets: Float64Array, offset: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] as number) <= offset) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/** The pieces to draw: those within a stretch, and those up to `overscan` pixels around it. */
export function seenOf(
  offsets: Float64Array,
  top: number,
  height: number,
  overscan: number
): { from: number; to: number } {
  const count = offsets.length - 1;
  if (count === 0) {
    return { from: 0, to: 0 };
  }
  return {
    from: indexAt(offsets, Math.max(0, top - overscan)),
    to: Math.min(count, indexAt(offsets, top + height + overscan) + 1)
  };
}
