import { BLOCK_BYTES, MAX_CHUNK_BYTES, MAX_HOLE_BYTES } from "../limits";
import { cutPoint } from "./gear";

const WINDOW_BYTES = 512 * 1024;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Takes chunks and holes, in order and without gaps. */
export interface ChunkSink {
  /** A chunk of 1 to {@link MAX_CHUNK_BYTES} bytes. The view is valid only during the call. */
  data(bytes: Uint8Array): void;
  /** `length` bytes of zeros, at most {@link MAX_HOLE_BYTES}. */
  hole(length: number): void;
}

/**
 * Cuts a stream of bytes at places that its content decides, so that an insertion moves only the cuts near it. Zeros in aligned
 * blocks of {@link BLOCK_BYTES} are holes, and cutting starts anew after each. How the stream is split into writes does not matter.
 */
export class Chunker {
  private readonly window = Buffer.allocUnsafe(WINDOW_BYTES);
  private filled = 0;
  /** Position in the stream of the window's first byte. */
  private base = 0;
  /** Up to here (in the window) blocks were looked at and are not zero. */
  private known = 0;
  private holeBytes = 0;

  constructor(private readonly sink: ChunkSink) {}

  write(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const to = Math.min(bytes.length, from + this.window.length - this.filled);
      this.window.set(bytes.subarray(from, to), this.filled);
      this.filled += to - from;
      from = to;
      if (this.filled === this.window.length) this.cut(false);
    }
  }

  /** Cuts what is left. Nothing may be written afterwards. */
  end(): void {
    this.cut(true);
    this.endHole();
  }

  private cut(last: boolean): void {
    let at = 0;
    while (at < this.filled) {
      if (at >= this.known) {
        const block = this.blockEnd(at, last);
        if (block === undefined) break;
        if (this.isZero(at, block)) {
          this.holeBytes += block - at;
          this.known = at = block;
          continue;
        }
        this.known = block;
      }
      const end = this.extentEnd(at, last);
      if (end === undefined) break;
      this.endHole();
      const cutAt = cutPoint(this.window, at, end);
      this.sink.data(this.window.subarray(at, cutAt));
      at = cutAt;
    }
    this.window.copyWithin(0, at, this.filled);
    this.filled -= at;
    this.known -= at;
    this.base += at;
  }

  /** Where the data from `at` on ends, as far as one chunk can reach; undefined when more must be written to know. */
  private extentEnd(at: number, last: boolean): number | undefined {
    const reach = at + MAX_CHUNK_BYTES;
    while (this.known < reach && !(last && this.known === this.filled)) {
      const block = this.blockEnd(this.known, last);
      if (block === undefined) return undefined;
      if (this.isZero(this.known, block)) break;
      this.known = block;
    }
    return Math.min(reach, this.known);
  }

  private blockEnd(at: number, last: boolean): number | undefined {
    const end = at + BLOCK_BYTES - ((this.base + at) % BLOCK_BYTES);
    if (end <= this.filled) return end;
    return last && at < this.filled ? this.filled : undefined;
  }

  private isZero(start: number, end: number): boolean {
    if (this.window[start] !== 0 || this.window[end - 1] !== 0) return false;
    return this.window.compare(ZEROS, 0, end - start, start, end) === 0;
  }

  private endHole(): void {
    for (; this.holeBytes > 0; this.holeBytes -= Math.min(this.holeBytes, MAX_HOLE_BYTES)) {
      this.sink.hole(Math.min(this.holeBytes, MAX_HOLE_BYTES));
    }
  }
}
