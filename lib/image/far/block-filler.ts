import { BLOCK_BYTES } from "../wire/digest";
import type { Op } from "../wire/ops";
import type { SegmentContent } from "../wire/segment";
import type { Part } from "./transfer";

/** Zeros between data of at least so many bytes are left out of the file. */
const HOLE_BYTES = 64 * 1024;
/** Copies from places that lie so near to each other are read together. */
const NEAR_BYTES = 64 * 1024;
/** Pieces of a block that are looked at together. */
const PIECES_AT_ONCE = 16 * 1024;
/** Of the blocks that were copied from, so many are looked at when the bytes are not right. */
const MAX_SUSPECTS = 64;

/** The number by which the arriving image itself goes among the bases. */
export const SELF = -1;

/** Reads bytes that copies refer to. @throws when they cannot be had */
export type CopyReader = (base: number, offset: number, into: Uint8Array) => Promise<void>;
/** Looks whether a copy may be made. @throws when it may not */
export type CopyCheck = (base: number, offset: number, length: number, block: number) => void;

interface Copy {
  /** Which one of the block's copies it is, in their order. */
  readonly order: number;
  readonly base: number;
  readonly offset: number;
  readonly at: number;
  readonly length: number;
}

/** Bytes of a block that are not copied: literals, or (without) zeros. */
interface Fill {
  readonly at: number;
  readonly length: number;
  readonly literals: Uint8Array | undefined;
}

/** What a block was filled with. */
export interface FilledBlock {
  /** The parts of it that may differ from zero. */
  readonly data: readonly Part[];
  /** By base, blocks of it that were copied from; not all of them if there were very many. */
  readonly sources: ReadonlyMap<number, ReadonlySet<number>>;
}

/** Runs the operations of a segment, block by block. */
export class BlockFiller {
  private readonly ops: Iterator<Op>;
  private op: Op | undefined;
  private used = 0;
  private literalsUsed = 0;

  /** @param scratch a block long */
  constructor(
    private readonly content: SegmentContent,
    private readonly scratch: Buffer,
    private readonly check: CopyCheck,
    private readonly readCopy: CopyReader,
  ) {
    this.ops = content.ops[Symbol.iterator]();
  }

  /**
   * Fills in the next block.
   * @param isNeeded false: its operations are only passed over
   */
  async fill(bytes: Buffer, block: number, isNeeded: boolean): Promise<FilledBlock> {
    const data: [number, number][] = [];
    const sources = new Map<number, Set<number>>();
    let copies: Copy[] = [];
    let fills: Fill[] = [];
    let suspects = 0;
    for (let at = 0; at < bytes.length;) {
      const op = (this.op ??= this.nextOp());
      const length = Math.min(op.length - this.used, bytes.length - at);
      if (op.kind === "copy" || op.kind === "self") {
        const base = op.kind === "copy" ? op.base : SELF;
        const offset = op.offset + this.used;
        this.check(base, offset, length, block);
        if (isNeeded) copies.push({ order: copies.length, base, offset, at, length });
        for (
          let source = Math.floor(offset / BLOCK_BYTES);
          source * BLOCK_BYTES < offset + length;
          source++
        ) {
          const found = sources.get(base) ?? new Set();
          if (suspects < MAX_SUSPECTS && !found.has(source)) {
            sources.set(base, found.add(source));
            suspects++;
          }
        }
      } else if (op.kind === "literal") {
        const from = this.literalsUsed;
        const literals = this.content.literals.subarray(from, from + length);
        if (isNeeded) fills.push({ at, length, literals });
        this.literalsUsed += length;
      } else if (isNeeded) fills.push({ at, length, literals: undefined });
      if (copies.length + fills.length >= PIECES_AT_ONCE) {
        await this.fillIn(copies, fills, bytes);
        [copies, fills] = [[], []];
      }
      if (op.kind !== "zero") {
        const last = data.at(-1);
        if (last && at - last[1] < HOLE_BYTES) last[1] = at + length;
        else data.push([at, at + length]);
      }
      at += length;
      this.used += length;
      if (this.used === op.length) this.op = undefined;
    }
    await this.fillIn(copies, fills, bytes);
    return { data, sources };
  }

  private nextOp(): Op {
    this.used = 0;
    const { value, done } = this.ops.next();
    if (done || !value) throw new RangeError("the operations end before the blocks do");
    return value;
  }

  private async fillIn(copies: Copy[], fills: readonly Fill[], into: Buffer): Promise<void> {
    copies.sort((one, other) => one.base - other.base || one.offset - other.offset);
    for (let first = 0; first < copies.length;) {
      const { order, base, offset, at } = copies[first];
      let end = offset + copies[first].length;
      let next = first + 1;
      // Side by side here as they are there: what lies between them is filled in afterwards.
      let isInPlace = true;
      for (; next < copies.length; next++) {
        const copy = copies[next];
        const both = Math.max(end, copy.offset + copy.length);
        if (copy.base !== base || copy.offset > end + NEAR_BYTES || both - offset > BLOCK_BYTES) break;
        isInPlace &&= copy.order === order + next - first && copy.offset - copy.at === offset - at;
        end = both;
      }
      if (isInPlace) await this.readCopy(base, offset, into.subarray(at, at + end - offset));
      else {
        await this.readCopy(base, offset, this.scratch.subarray(0, end - offset));
        for (const copy of copies.slice(first, next)) {
          const from = copy.offset - offset;
          this.scratch.copy(into, copy.at, from, from + copy.length);
        }
      }
      first = next;
    }
    for (const { at, length, literals } of fills) {
      if (literals) into.set(literals, at);
      else into.fill(0, at, at + length);
    }
  }
}
