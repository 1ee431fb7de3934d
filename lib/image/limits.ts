/** Chunks are at least so long, except the last before a hole or the end. */
export const MIN_CHUNK_BYTES = 1024;

/** Chunks are at most so long. */
export const MAX_CHUNK_BYTES = 16 * 1024;

/** Zeros are looked for in aligned blocks of this size, the block size of the usual file systems. */
export const BLOCK_BYTES = 4096;

/** One entry of an index describes at most so long a hole; longer holes are several entries. */
export const MAX_HOLE_BYTES = 2 ** 30;

/** The largest image: 16 TiB, the largest file of the usual file systems. */
export const MAX_IMAGE_BYTES = 2 ** 44;
