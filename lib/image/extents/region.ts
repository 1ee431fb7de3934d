import { AbortedError } from "../../errors";
import type { ImageSource } from "../source/source";
import type { Extents } from "./extents";

/**
 * What lies in a region contradicts itself, or cannot be judged: the region counts bit by bit. `message` goes on from "it", and
 * becomes part of the report.
 */
export class Doubt extends Error {
  override readonly name = "Doubt";
}

/** @throws Doubt unless `condition` holds */
export function expectThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Doubt(otherwise);
}

/** What was found in a region: the ranges of it that are in use, or why all of it counts. */
export type Finding =
  { readonly kind: string; readonly inUse: Extents } | { readonly kind: string; readonly why: string };

/** A window on a disk: a partition, or the whole. Nothing outside can be read through it. */
export class Region {
  constructor(
    private readonly source: ImageSource,
    readonly offset: number,
    readonly length: number,
    private readonly signal?: AbortSignal,
  ) {}

  part(offset: number, length: number): Region {
    expectThat(this.holds(offset, length), `has a part of ${length} bytes at ${offset} outside of it`);
    return new Region(this.source, this.offset + offset, length, this.signal);
  }

  /** Is that inside? Also false for what is no number of bytes at all. */
  holds(offset: number, length: number): boolean {
    return (
      offset >= 0 &&
      length >= 0 &&
      Number.isSafeInteger(offset) &&
      Number.isSafeInteger(length) &&
      offset + length <= this.length
    );
  }

  /**
   * @throws Doubt for a place outside
   * @throws SpillwayError when it cannot be read
   * @throws AbortedError
   */
  async read(offset: number, length: number): Promise<Buffer> {
    if (this.signal?.aborted) {
      throw new AbortedError(`stopped while looking at what ${this.source.path} has in use`);
    }
    expectThat(this.holds(offset, length), `points at ${length} bytes at ${offset}, outside of it`);
    const bytes = Buffer.alloc(length);
    await this.source.read(bytes, this.offset + offset);
    return bytes;
  }

  /** As much of it as is inside. */
  async readUpTo(offset: number, length: number): Promise<Buffer> {
    const held = Math.max(0, Math.min(length, this.length - offset));
    return held === 0 ? Buffer.alloc(0) : this.read(offset, held);
  }
}
