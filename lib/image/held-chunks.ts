import { readFile } from "node:fs/promises";
import { ChunkTable } from "./chunk-table";
import { decodeIndex } from "./index-encoding";
import type { ImageIndex } from "./image-index";

/** An image that is held complete. */
export interface HeldImage {
  readonly digest: string;
  readonly imagePath: string;
  readonly indexPath: string;
}

/** Where a chunk can be copied from. */
export interface ChunkPlace {
  readonly image: HeldImage;
  readonly position: number;
}

/** All chunks of all images held, in one table: 16 bytes a chunk. */
export class HeldChunks {
  private constructor(
    private readonly images: readonly HeldImage[],
    /** The number of each image's first entry in the table. */
    private readonly firsts: readonly number[],
    private readonly table: ChunkTable,
  ) {}

  /** Reads the indexes one after the other; an image whose index cannot be read offers nothing. */
  static async build(images: readonly HeldImage[]): Promise<HeldChunks> {
    const readable: HeldImage[] = [];
    const counts: number[] = [];
    for (const image of images) {
      const index = await readIndex(image);
      if (!index) continue;
      readable.push(image);
      counts.push(index.count);
    }
    const table = new ChunkTable(counts.reduce((sum, count) => sum + count, 0));
    const firsts: number[] = [];
    let first = 0;
    for (const [number, image] of readable.entries()) {
      firsts.push(first);
      const index = await readIndex(image);
      for (let position = 0; index && position < index.count; position++) {
        if (!index.isHole(position)) table.add(index.keys, position * 4, first + position);
      }
      first += counts[number];
    }
    return new HeldChunks(readable, firsts, table);
  }

  /** A number for where the chunk with the key at `keys[at…]` lies; undefined if no image has it. */
  find(keys: Uint32Array, at: number): number | undefined {
    return this.table.find(keys, at);
  }

  /** The place with that number. */
  place(number: number): ChunkPlace {
    let image = this.firsts.length - 1;
    while (this.firsts[image] > number) image--;
    return { image: this.images[image], position: number - this.firsts[image] };
  }
}

/** Undefined when it is not there or not whole. */
export async function readIndex(image: HeldImage): Promise<ImageIndex | undefined> {
  try {
    return decodeIndex(await readFile(image.indexPath));
  } catch {
    return undefined;
  }
}
