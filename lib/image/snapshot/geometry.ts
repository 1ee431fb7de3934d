import { BLOCK_BYTES } from "../wire/digest";

/** A snapshot is written and read in blocks of this length. */
export const SNAPSHOT_BLOCK_BYTES = 512 * 1024;

const GIB = 2 ** 30;
const BLOCKS_PER_GIB = GIB / SNAPSHOT_BLOCK_BYTES;

/** Blocks of a snapshot in one block of an image. */
export const BLOCKS_PER_IMAGE_BLOCK = BLOCK_BYTES / SNAPSHOT_BLOCK_BYTES;

/** GiB of the smallest volume that holds so many bytes. */
export function volumeGibOf(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / GIB));
}

/** Blocks of a volume of so many GiB. */
export function blocksOfVolume(gib: number): number {
  return gib * BLOCKS_PER_GIB;
}
