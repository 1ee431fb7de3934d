/** The largest image: 16 TiB, the largest file of the usual file systems. */
export const MAX_IMAGE_BYTES = 2 ** 44;
