import { wasmInstance, wasmMemory } from "../chunking/wasm";
import { KERNEL_MODULE } from "./kernel-module";

/** The largest piece that is taken at once. */
const MAX_PIECE_BYTES = 2 ** 20;
const BUCKET_BYTES = 32;
const ENTRY_BYTES = 8;
/** So much of the table is filled when all that was planned is added. */
const LOAD = 0.8;
/** At most every 32nd window is remembered. */
const DENSEST = 1 / 32;
const BASE_UNIT = 2 ** 44;
const FOUND_WORDS = 4;

interface DeltaKernel {
  prepare(bucketBits: number): void;
  choose(below: number): void;
  add(length: number, placeLo: number, placeHi: number): void;
  find(start: number, end: number): number;
  inputAt(): number;
  foundAt(): number;
  tableAt(): number;
}

/** A window of the block was probably seen at a place of a base: not certain until the bytes are compared. */
export interface Candidate {
  /** In the block. */
  readonly at: number;
  readonly base: number;
  readonly offset: number;
}

/**
 * Remembers where windows of 32 bytes are in the bases: those that their content chooses, one in so many that they fit into its
 * memory. Synchronous; a piece of 1 MiB takes less than a millisecond.
 */
export class DeltaIndex {
  /** What its table occupies when it is full: a power of two, at most what was given. */
  readonly tableBytes: number;
  private readonly kernel: DeltaKernel;
  private readonly input: Uint8Array;
  private readonly buffer: ArrayBuffer;

  /** @param options.memoryBytes for the table; at least 4 KiB */
  constructor(options: { readonly memoryBytes: number }) {
    const bucketBits = Math.floor(Math.log2(Math.max(4096, options.memoryBytes) / BUCKET_BYTES));
    this.tableBytes = 2 ** bucketBits * BUCKET_BYTES;
    // The table comes last, and what is before it takes less than two pieces.
    const memory = wasmMemory(2 * MAX_PIECE_BYTES + this.tableBytes);
    this.kernel = wasmInstance<DeltaKernel>(KERNEL_MODULE, memory);
    this.kernel.prepare(bucketBits);
    this.buffer = memory.buffer;
    this.input = new Uint8Array(this.buffer, this.kernel.inputAt(), MAX_PIECE_BYTES);
    this.plan(0);
  }

  /** Says how many bytes will be added in all, so that what is remembered of them fits. Before the first `add`. */
  plan(totalBytes: number): void {
    const entries = (this.tableBytes / ENTRY_BYTES) * LOAD;
    this.kernel.choose(Math.floor(Math.min(DENSEST, entries / Math.max(1, totalBytes)) * 2 ** 32));
  }

  /**
   * Remembers a piece of a base.
   * @param base below 256
   * @param bytes at most 1 MiB
   * @throws RangeError for a longer piece
   */
  add(base: number, offset: number, bytes: Uint8Array): void {
    this.load(bytes);
    const place = base * BASE_UNIT + offset;
    this.kernel.add(bytes.length, (place % 2 ** 32) | 0, Math.floor(place / 2 ** 32));
  }

  /** Where the windows that end in the ranges of a block may be found, ascending. At most one for each 32 bytes. */
  candidates(block: Uint8Array, ranges: readonly (readonly [start: number, end: number])[]): Candidate[] {
    this.load(block);
    const candidates: Candidate[] = [];
    for (const [start, end] of ranges) {
      const count = this.kernel.find(start, end);
      const found = new Uint32Array(this.buffer, this.kernel.foundAt(), count * FOUND_WORDS);
      for (let i = 0; i < found.length; i += FOUND_WORDS) {
        const high = found[i + 3];
        const offset = found[i + 2] + (high & 0xfff) * 2 ** 32;
        candidates.push({ at: found[i], base: high >>> 12, offset });
      }
    }
    return candidates;
  }

  private load(bytes: Uint8Array): void {
    if (bytes.length > MAX_PIECE_BYTES) throw new RangeError(`a piece of ${bytes.length} bytes`);
    this.input.set(bytes);
  }
}
