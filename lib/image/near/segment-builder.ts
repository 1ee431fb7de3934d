import { BLOCK_BYTES } from "../wire/digest";
import type { Op } from "../wire/ops";
import type { Spaces } from "../wire/spaces";

/** Blocks in one segment, at most: what is not acknowledged is sent again after a kill, and its copies are made again. */
const MAX_BLOCKS = 256;
const MAX_OPS = 60_000;

/** A range of blocks, described whole, ready to be packed. */
export interface SegmentPlan {
  readonly firstBlock: number;
  readonly blockCount: number;
  readonly bases: readonly string[];
  readonly ops: readonly Op[];
  readonly literals: Buffer;
  readonly leaves: readonly (Buffer | undefined)[];
  /** Bytes of the image, without zeros. */
  readonly imageBytes: number;
  /** To be called when its literals are not needed any more. */
  readonly release: () => void;
}

/** Gathers what describes consecutive blocks, until enough has come together for a segment. */
export class SegmentBuilder {
  private readonly space: Buffer;
  private filled = 0;
  private readonly ops: Op[] = [];
  private readonly bases: string[] = [];
  private readonly leaves: (Buffer | undefined)[] = [];
  private imageBytes = 0;

  constructor(
    readonly firstBlock: number,
    private readonly literalBytes: number,
    private readonly pool: Spaces,
  ) {
    this.space = pool.take(literalBytes + BLOCK_BYTES);
  }

  /** Is it time to close it? */
  get isFull(): boolean {
    return this.filled >= this.literalBytes || this.leaves.length >= MAX_BLOCKS || this.ops.length >= MAX_OPS;
  }

  /** The block that may be added. */
  get nextBlock(): number {
    return this.firstBlock + this.leaves.length;
  }

  zero(length: number): void {
    const last = this.ops.at(-1);
    if (last?.kind === "zero") this.ops[this.ops.length - 1] = { kind: "zero", length: last.length + length };
    else this.ops.push({ kind: "zero", length });
  }

  literal(bytes: Uint8Array): void {
    this.space.set(bytes, this.filled);
    this.filled += bytes.length;
    this.imageBytes += bytes.length;
    const last = this.ops.at(-1);
    if (last?.kind === "literal") {
      this.ops[this.ops.length - 1] = { kind: "literal", length: last.length + bytes.length };
    } else this.ops.push({ kind: "literal", length: bytes.length });
  }

  /** @param image the digest of a held image; undefined: the image itself */
  copy(image: string | undefined, offset: number, length: number): void {
    this.imageBytes += length;
    const last = this.ops.at(-1);
    if (image === undefined) {
      if (last?.kind === "self" && last.offset + last.length === offset) {
        this.ops[this.ops.length - 1] = { ...last, length: last.length + length };
      } else this.ops.push({ kind: "self", offset, length });
      return;
    }
    let base = this.bases.indexOf(image);
    if (base < 0) base = this.bases.push(image) - 1;
    if (last?.kind === "copy" && last.base === base && last.offset + last.length === offset) {
      this.ops[this.ops.length - 1] = { ...last, length: last.length + length };
    } else this.ops.push({ kind: "copy", base, offset, length });
  }

  endBlock(leaf: Buffer | undefined): void {
    this.leaves.push(leaf);
  }

  finish(): SegmentPlan {
    const { firstBlock, bases, ops, leaves, imageBytes, space, pool } = this;
    return {
      ...{ firstBlock, blockCount: leaves.length, bases, ops, leaves, imageBytes },
      literals: space.subarray(0, this.filled),
      release: () => pool.give(space),
    };
  }
}
