import { createHash } from "node:crypto";
import { digestOf, sha256 } from "../digest";

/** A block: the unit in which an image is verified. It lies at a multiple of its length; the last one of an image may be shorter. */
export const BLOCK_BYTES = 2 ** 20;

/** Bytes of a leaf. */
export const LEAF_BYTES = 32;

const DOMAIN = Buffer.from("spillway image 1\n", "latin1");

/** All zeros, a block long. Not to be written to. */
export const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

/** SHA-256 of a block's bytes. */
export function leafOf(bytes: Uint8Array): Buffer {
  return sha256(bytes);
}

/** The leaf of a whole block of zeros. */
export const LEAF_OF_ZEROS = leafOf(ZERO_BLOCK);

/** The leaf of so many zeros, at most a block of them: the last block of an image may be shorter than the others. */
export function leafOfZeros(bytes: number): Buffer {
  return bytes === BLOCK_BYTES ? LEAF_OF_ZEROS : leafOf(ZERO_BLOCK.subarray(0, bytes));
}

/** Is all of it zero? For at most a block. */
export function isZeros(bytes: Uint8Array): boolean {
  // Almost every block that is not zeros shows it at once.
  if (bytes[0] !== 0 || bytes[bytes.length >> 1] !== 0) return false;
  return ZERO_BLOCK.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}

/** How many blocks an image of this size has. */
export function blockCountOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES);
}

/** Bytes of one block of an image of this size. */
export function blockLengthOf(sizeBytes: number, block: number): number {
  return Math.min(BLOCK_BYTES, sizeBytes - block * BLOCK_BYTES);
}

/**
 * The digest of an image: SHA-256 over a fixed text, the size (8 bytes, little-endian), the block's length (4) and the leaves of all
 * blocks in order. It is a Merkle root of two levels, so that each block can be verified for itself.
 * @param leaves of all blocks, one by one or several together in one buffer
 */
export function imageDigest(sizeBytes: number, leaves: Iterable<Uint8Array>): string {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(sizeBytes), 0);
  head.writeUInt32LE(BLOCK_BYTES, 8);
  const hash = createHash("sha256").update(DOMAIN).update(head);
  for (const leaf of leaves) hash.update(leaf);
  return digestOf(hash.digest());
}
