// Which part of a very tall list is seen. Browsers draw no element taller than some ten million
// pixels, so above `TALLEST` the scroll bar is scaled: small movements are taken as they are, large
// ones in proportion, and the bar is set right when the movement has ended.

/** Tallest element we ask a browser for, in pixels. */
export const TALLEST = 8_000_000;

/** The mapping between the scroll bar and the list. */
export class Viewport {
  /** Height of what is seen. */
  height = 0;
  /** Height of the whole list. */
  total = 0;
  private seenTop = 0;
  private barTop = 0;

  /** Offset of the first pixel that is seen. */
  get top(): number {
    return this.seenTop;
  }

  /** Height of the element to scroll. */
  get scrollHeight(): number {
    return Math.min(this.total, TALLEST);
  }

  /** The highest `top`. */
  get end(): number {
    return Math.max(0, this.total - this.height);
  }

  /** Where the scroll bar belongs for the present `top`. */
  get scrollTop(): number {
    return this.isScaled ? (this.seenTop / this.end) * this.barEnd : this.seenTop;
  }

  /** Whether the last pixel is seen, give or take one. */
  get isAtEnd(): boolean {
    return this.seenTop >= this.end - 1;
  }

  /** The bar was moved by somebody. */
  scrolled(scrollTop: number): void {
    const moved = scrollTop - this.barTop;
    this.barTop = scrollTop;
    if (!this.isScaled) {
      this.seenTop = this.clamp(scrollTop);
    } else if (scrollTop <= 0 || scrollTop >= this.barEnd - 1) {
      this.seenTop = scrollTop <= 0 ? 0 : this.end;
    } else if (Math.abs(moved) < this.height) {
      this.seenTop = this.clamp(this.seenTop + moved);
    } else {
      this.seenTop = this.clamp((scrollTop / this.barEnd) * this.end);
    }
  }

  /** Go to an offset. Returns where the bar has to be put. */
  moveTo(offset: number): number {
    this.seenTop = this.clamp(offset);
    this.barTop = this.scrollTop;
    return this.barTop;
  }

  private get isScaled(): boolean {
    return this.total > TALLEST;
  }

  private get barEnd(): number {
    return Math.max(0, this.scrollHeight - this.height);
  }

  private clamp(offset: number): number {
    return Math.max(0, Math.min(offset, this.end));
  }
}
