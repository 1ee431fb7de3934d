import { BLOCK_BYTES } from "../wire/digest";

/** Which blocks of an image the far side has. */
export class Acknowledged {
  private readonly blocks: Uint8Array;

  constructor(blockCount: number) {
    this.blocks = new Uint8Array(blockCount);
  }

  add(first: number, count = 1): void {
    this.blocks.fill(1, first, first + count);
  }

  has(block: number): boolean {
    return this.blocks[block] === 1;
  }

  /** Are all of these bytes there? */
  hasRange(offset: number, length: number): boolean {
    for (let at = Math.floor(offset / BLOCK_BYTES); at * BLOCK_BYTES < offset + length; at++) {
      if (this.blocks[at] !== 1) return false;
    }
    return true;
  }
}
