// Heights of rows: all the same but for those that were measured. Rows are indexed from 0, heights
// are in pixels. Offsets of a million rows cost a walk over 2 000 block sums.

const BLOCK = 512;

/** The heights of a list of rows. */
export class RowHeights {
  private sums: number[] = [];
  private extras: (Int32Array | undefined)[] = [];

  constructor(readonly rowHeight: number) {}

  height(index: number): number {
    return this.rowHeight + (this.extras[block(index)]?.[index % BLOCK] ?? 0);
  }

  /** Set a row's height. Returns by how much it changed. */
  set(index: number, pixels: number): number {
    const extra = Math.round(pixels) - this.rowHeight;
    const number = block(index);
    let values = this.extras[number];
    if (!values) {
      if (extra === 0) {
        return 0;
      }
      values = new Int32Array(BLOCK);
      this.extras[number] = values;
    }
    const change = extra - (values[index % BLOCK] ?? 0);
    values[index % BLOCK] = extra;
    this.sums[number] = (this.sums[number] ?? 0) + change;
    return change;
  }

  /** Rows `first` to `last` take no space. */
  hide(first: number, last: number): void {
    for (let index = first; index <= last; index++) {
      this.set(index, 0);
    }
  }

  /** Where row `index` begins. */
  offset(index: number): number {
    const number = block(index);
    let extra = 0;
    for (let each = 0; each < number; each++) {
      extra += this.sums[each] ?? 0;
    }
    const values = this.extras[number];
    if (values) {
      for (let each = 0; each < index % BLOCK; each++) {
        extra += values[each] ?? 0;
      }
    }
    return index * this.rowHeight + extra;
  }

  /** The row at an offset, of `count` rows; rows without height are skipped. */
  indexAt(offset: number, count: number): number {
    let top = 0;
    let number = 0;
    const blocks = Math.ceil(count / BLOCK);
    for (; number < blocks - 1; number++) {
      const height = BLOCK * this.rowHeight + (this.sums[number] ?? 0);
      if (top + height > offset) {
        break;
      }
      top += height;
    }
    let index = number * BLOCK;
    for (; index < count - 1; index++) {
      const height = this.height(index);
      if (top + height > offset && height > 0) {
        break;
      }
      top += height;
    }
    return Math.max(0, Math.min(index, count - 1));
  }

  /** All rows move down by `count`: that many were put before them. */
  shift(count: number): void {
    const moved = new RowHeights(this.rowHeight);
    this.extras.forEach((values, number) =>
      values?.forEach((extra, each) => {
        if (extra !== 0) {
          moved.set(number * BLOCK + each + count, extra + this.rowHeight);
        }
      })
    );
    this.sums = moved.sums;
    this.extras = moved.extras;
  }

  clear(): void {
    this.sums = [];
    this.extras = [];
  }
}

function block(index: number): number {
  return Math.floor(index / BLOCK);
}
