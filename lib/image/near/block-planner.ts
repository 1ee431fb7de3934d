import { findMatches, type Allowed, type Candidate, type Match } from "../delta";
import type { ChunkList } from "../wire/index-format";
import type { Acknowledged } from "./acknowledged";
import type { Block } from "./blocks";
import { SELF, type KnownImages } from "./known-images";
import type { SegmentBuilder } from "./segment-builder";

/** A part of a block, and where it can be had from. */
interface Piece {
  readonly from: number;
  readonly to: number;
  /** The number of a known image; undefined: nobody has it. */
  readonly image: number | undefined;
  readonly offset: number;
}

/** What is new in a block shorter than this is not worth being remembered for later blocks. */
const MIN_REMEMBERED_BYTES = 512;

/** Says how the far side can make each block: by what it holds, by what it was sent already, and by the bytes that are left. */
export class BlockPlanner {
  constructor(
    private readonly known: KnownImages,
    private readonly acknowledged: Acknowledged,
  ) {}

  async add(block: Block, to: SegmentBuilder): Promise<void> {
    const { chunks, leaf } = block;
    const whole = leaf && this.known.wholeBlock(leaf);
    if (!chunks || !leaf) to.zero(block.length);
    else if (whole) this.addWhole(block, chunks, whole, to);
    else await this.addChunks(block, chunks, to);
    to.endBlock(block.leaf);
  }

  private addWhole(
    block: Block,
    chunks: ChunkList,
    { image, offset }: { readonly image: number; readonly offset: number },
    to: SegmentBuilder,
  ): void {
    const { count, ends, keys } = chunks;
    for (let i = 0, from = 0; i < count; from = ends[i++]) {
      if (!chunks.isHole(i)) this.known.table.add(keys[i * 2], keys[i * 2 + 1], SELF, block.offset + from);
    }
    this.known.noteUsed(image, offset, block.length);
    to.copy(this.known.digestOf(image), offset, block.length);
  }

  private async addChunks(block: Block, chunks: ChunkList, to: SegmentBuilder): Promise<void> {
    const pieces = this.piecesOf(block, chunks);
    for (const { from, to: end, image, offset } of pieces) {
      if (image !== undefined && image !== HOLE) this.known.noteUsed(image, offset, end - from);
    }
    const fresh = pieces.filter((piece) => piece.image === undefined);
    if (fresh.length === 0) {
      for (const piece of pieces) this.emit(piece, undefined, to);
      return;
    }
    await this.known.lookUpTo(block.reached);
    const bytes = await block.bytes();
    const matches = await this.matches(bytes, pieces, fresh);
    let next = 0;
    for (const piece of pieces) {
      if (piece.image !== undefined) {
        this.emit(piece, bytes, to);
        continue;
      }
      let at = piece.from;
      for (; next < matches.length && matches[next].at < piece.to; next++) {
        const match = matches[next];
        if (match.at > at) to.literal(bytes.subarray(at, match.at));
        to.copy(this.known.digestOf(match.base), match.offset, match.length);
        at = match.at + match.length;
      }
      if (at < piece.to) to.literal(bytes.subarray(at, piece.to));
    }
    for (const { from, to: end } of fresh) {
      if (end - from < MIN_REMEMBERED_BYTES) continue;
      this.known.delta.add(SELF, block.offset + from, bytes.subarray(from, end));
    }
  }

  private matches(
    bytes: Uint8Array,
    pieces: readonly Piece[],
    fresh: readonly Piece[],
  ): Promise<readonly Match[]> {
    const { delta, bases, pages } = this.known;
    const ranges = fresh.map(({ from, to }) => [from, to] as const);
    const allowed: Allowed = (base, offset, length) =>
      base !== SELF || this.acknowledged.hasRange(offset, length);
    return findMatches(delta, bytes, ranges, bases, pages, allowed, this.hintsOf(pieces));
  }

  /** What is new between two parts that are held may go on as they do. */
  private hintsOf(pieces: readonly Piece[]): readonly Candidate[] {
    const hints: Candidate[] = [];
    for (const [i, { from, to, image }] of pieces.entries()) {
      if (image !== undefined) continue;
      const before = pieces.at(i - 1);
      const after = pieces.at(i + 1);
      if (i > 0 && before?.image !== undefined && this.known.bases.has(before.image)) {
        hints.push({ at: from, base: before.image, offset: before.offset + before.to - before.from });
      }
      if (after?.image !== undefined && this.known.bases.has(after.image) && after.offset > 0) {
        hints.push({ at: to - 1, base: after.image, offset: after.offset - 1 });
      }
    }
    return hints;
  }

  private emit({ from, to: end, image, offset }: Piece, bytes: Uint8Array | undefined, to: SegmentBuilder) {
    if (image === HOLE) to.zero(end - from);
    else if (image !== undefined) to.copy(this.known.digestOf(image), offset, end - from);
    else if (bytes) to.literal(bytes.subarray(from, end));
  }

  /** The block's parts in order; neighbours of one kind are one part. */
  private piecesOf(block: Block, chunks: ChunkList): readonly Piece[] {
    const { count, ends, keys } = chunks;
    const pieces: Piece[] = [];
    let last: Piece | undefined;
    const put = (piece: Piece) => {
      const joins =
        last?.image === piece.image &&
        (piece.image === undefined ||
          piece.image === HOLE ||
          (last !== undefined && last.offset + last.to - last.from === piece.offset));
      if (last && joins) pieces[pieces.length - 1] = last = { ...last, to: piece.to };
      else pieces.push((last = piece));
    };
    for (let i = 0, from = 0; i < count; i++) {
      const end = ends[i];
      if (chunks.isHole(i)) put({ from, to: end, image: HOLE, offset: 0 });
      else
        put({
          from,
          to: end,
          ...this.placeOf(keys[i * 2], keys[i * 2 + 1], block.offset + from, end - from),
        });
      from = end;
    }
    return pieces;
  }

  private placeOf(
    low: number,
    high: number,
    offset: number,
    length: number,
  ): Pick<Piece, "image" | "offset"> {
    const { table } = this.known;
    const slot = table.find(low, high);
    if (slot < 0) {
      table.add(low, high, SELF, offset);
      return NOWHERE;
    }
    const image = table.imageAt(slot);
    const found = table.offsetAt(slot);
    if (image !== SELF) return this.known.isUsable(image) ? { image, offset: found } : NOWHERE;
    return this.acknowledged.hasRange(found, length) ? { image, offset: found } : NOWHERE;
  }
}

const HOLE = -1;
const NOWHERE = { image: undefined, offset: 0 } as const;
