/**
 * Buffers that are used again and again: large ones that come and go leave the heap of the C library in shreds, and a collector of
 * garbage would let hundreds of megabytes of them pile up.
 */
export class Spaces {
  private readonly free: Buffer[] = [];

  /** @param keep at most so many lie ready */
  constructor(private readonly keep = 8) {}

  /** A buffer of at least so many bytes, with whatever was in it before. */
  take(bytes: number): Buffer {
    let fitting = -1;
    for (let i = 0; i < this.free.length; i++) {
      const { length } = this.free[i];
      if (length >= bytes && (fitting < 0 || length < this.free[fitting].length)) fitting = i;
    }
    if (fitting >= 0) return this.free.splice(fitting, 1)[0];
    // In steps, so that most find room in most spaces.
    return Buffer.allocUnsafeSlow(Math.ceil(Math.max(bytes, 1) / STEP_BYTES) * STEP_BYTES);
  }

  /** Gives one back; nobody may use it any more. */
  give(space: Buffer): void {
    this.free.push(space);
    if (this.free.length <= this.keep) return;
    const smallest = this.free.reduce(
      (least, one, i) => (one.length < this.free[least].length ? i : least),
      0,
    );
    this.free.splice(smallest, 1);
  }
}

const STEP_BYTES = 256 * 1024;
