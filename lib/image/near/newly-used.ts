import { BLOCK_BYTES } from "../wire/digest";
import type { IndexBlock } from "../wire/index-reader";
import type { CanonicalImage } from "./canonical-image";

/** A block is likely to have something new when so much of it was zeros, or free, before. */
const MUCH_BYTES = BLOCK_BYTES / 4;

/** Blocks of which an image uses much that another one did not: known without having read them. */
export class NewlyUsed {
  private readonly bytes: Uint32Array;

  constructor(private readonly image: CanonicalImage) {
    this.bytes = new Uint32Array(image.blockCount);
  }

  /** As their file systems tell it. */
  static async since(
    before: CanonicalImage,
    image: CanonicalImage,
    signal?: AbortSignal,
  ): Promise<NewlyUsed> {
    const newly = (await image.inUse(signal)).subtract(await before.inUse(signal));
    const blocks = new NewlyUsed(image);
    for (let block = 0; block < image.blockCount; block++) {
      const offset = block * BLOCK_BYTES;
      blocks.bytes[block] = newly.bytesWithin(offset, offset + BLOCK_BYTES);
    }
    return blocks;
  }

  /** A block of the other image: what of it was zeros. */
  add(other: IndexBlock): void {
    const { block, count, ends } = other;
    if (other.isZeros) this.addZeros(block, 0, BLOCK_BYTES);
    for (let i = 0, from = 0; i < count; from = ends[i++]) {
      if (other.isHole(i)) this.addZeros(block, from, ends[i]);
    }
  }

  /** The other image has only so many blocks. */
  endAt(blocks: number): void {
    for (let block = blocks; block < this.bytes.length; block++) this.addZeros(block, 0, BLOCK_BYTES);
  }

  has(block: number): boolean {
    return this.bytes[block] >= MUCH_BYTES;
  }

  private addZeros(block: number, from: number, to: number): void {
    if (block >= this.bytes.length) return;
    const offset = block * BLOCK_BYTES;
    this.bytes[block] += this.image.readableWithin(offset + from, offset + to);
  }
}
