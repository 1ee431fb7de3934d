import { createHash } from "node:crypto";
import { sha256 } from "../digest";
import { FormatError } from "../errors";
import { BLOCK_BYTES, blockCountOf, LEAF_BYTES } from "./digest";

/*
 * The index of an image: what it consists of. Little-endian; written and read block by block.
 *
 *   "SPIX"  version (2)  zeros (3)  size of the image (8)  bytes of a block (4)  zeros (4)
 *   then records: kind (1)  bytes of what follows, without the check (4)  what follows  check (8)
 *      kind 0, a run of blocks that are all zeros: their number (4)
 *      kind 1, a block: its leaf (32)  number of entries (4)
 *              a variable-length number for each entry: its length * 2, + 1 for a hole
 *              keys of the chunks (8 each)
 *      kind 2, the end: digest of the image (32)
 *
 * A check is the beginning of SHA-256 over the check before it and the record: each record is verified before it is used, none can be
 * missing or moved, and the end seals them all.
 */
export const MAGIC = "SPIX";
export const VERSION = 2;
export const HEADER_BYTES = 24;
export const RECORD_HEAD_BYTES = 5;
export const CHECK_BYTES = 8;
export const ZERO_RUN = 0;
export const BLOCK = 1;
export const END = 2;
export const KEY_BYTES = 8;

/** The most entries of one block. */
export const MAX_ENTRIES = 2 ** 16;
/** What the record of a block takes at most. */
export const MAX_RECORD_BYTES = 2 ** 20;

/** The chunker cuts no chunk shorter than a sixth of an aligned 4 KiB, but the last before a hole, or before the end of the block. */
const MOST_CUTS = 6 * (BLOCK_BYTES / 4096);
const LONGEST_ENTRY_BYTES = 4 + KEY_BYTES;
const BLOCK_RECORD_BYTES = RECORD_HEAD_BYTES + LEAF_BYTES + 4 + MOST_CUTS * LONGEST_ENTRY_BYTES + CHECK_BYTES;
const END_RECORD_BYTES = RECORD_HEAD_BYTES + LEAF_BYTES + CHECK_BYTES;

/** What the index of an image of this size takes at most, as the chunker cuts: some 2 % of the image. The usual is a fifth of that. */
export function maxIndexBytes(sizeBytes: number): number {
  return HEADER_BYTES + blockCountOf(sizeBytes) * BLOCK_RECORD_BYTES + END_RECORD_BYTES;
}

/** What a block consists of: as the chunker says it. Holes have the key 0. */
export interface ChunkList {
  readonly count: number;
  /** Where each entry ends in the block; it begins where the one before ends. */
  readonly ends: Uint32Array;
  /** Two words an entry, the low one first. */
  readonly keys: Uint32Array;
  isHole(entry: number): boolean;
}

export function encodeHeader(sizeBytes: number): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(MAGIC, 0, "latin1");
  head[4] = VERSION;
  head.writeBigUInt64LE(BigInt(sizeBytes), 8);
  head.writeUInt32LE(BLOCK_BYTES, 16);
  return head;
}

/** The size of the image. @throws FormatError */
export function decodeHeader(head: Buffer, maxImageBytes: number): number {
  if (head.length < HEADER_BYTES) throw broken("it is cut short");
  if (head.toString("latin1", 0, 4) !== MAGIC) throw broken(`it does not begin with ${MAGIC}`);
  if (head[4] !== VERSION) throw broken(`it is of version ${head[4]}, and only ${VERSION} is known`);
  const size = head.readBigUInt64LE(8);
  if (size < 1n || size > BigInt(maxImageBytes)) throw broken(`its image has ${size} bytes`);
  if (head.readUInt32LE(16) !== BLOCK_BYTES) throw broken(`its blocks have ${head.readUInt32LE(16)} bytes`);
  if (blockCountOf(Number(size)) > 0xffff_ffff) throw broken(`its image has ${size} bytes`);
  return Number(size);
}

/** Seals the records one after the other. */
export class Checks {
  private last: Buffer;

  constructor(head: Uint8Array) {
    this.last = sha256(head).subarray(0, CHECK_BYTES);
  }

  next(record: Uint8Array): Buffer {
    const hash = createHash("sha256").update(this.last).update(record).digest();
    this.last = hash.subarray(0, CHECK_BYTES);
    return this.last;
  }
}

export function broken(problem: string): FormatError {
  return new FormatError("image index", problem);
}
