import { MAX_IMAGE_BYTES } from "../limits";

/** Remembered at most: those of 256 GiB. */
const MAX_BLOCKS = 2 ** 18;

/** Where whole blocks are held, by their leaf: unlike a chunk's key, it leaves no doubt that they are the same. */
export class WholeBlocks {
  private readonly places = new Map<string, number>();

  /** The first place stays. */
  add(leaf: Buffer, image: number, offset: number): void {
    const key = keyOf(leaf);
    if (this.places.size < MAX_BLOCKS && !this.places.has(key))
      this.places.set(key, image * MAX_IMAGE_BYTES + offset);
  }

  find(leaf: Buffer): { readonly image: number; readonly offset: number } | undefined {
    if (this.places.size === 0) return undefined;
    const place = this.places.get(keyOf(leaf));
    if (place === undefined) return undefined;
    return { image: Math.floor(place / MAX_IMAGE_BYTES), offset: place % MAX_IMAGE_BYTES };
  }
}

function keyOf(leaf: Buffer): string {
  return leaf.toString("latin1");
}
