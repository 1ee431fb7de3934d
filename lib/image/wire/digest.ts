import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
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

/** SHA-256 of bytes of any length, a block at a time, so that nothing else has to wait for long. */
export async function sha256InSlices(bytes: Uint8Array): Promise<Buffer> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    if (at > 0) await setImmediate();
    hash.update(bytes.subarray(at, at + BLOCK_BYTES));
  }
  return hash.digest();
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
 * Computes the digest of an image: SHA-256 over a fixed text, the size (8 bytes, little-endian), the block's length (4) and the leaves
 * of all blocks in order. It is a Merkle root of two levels, so that each block can be verified for itself.
 */
export class ImageDigest {
  private readonly hash = createHash("sha256").update(DOMAIN);

  constructor(sizeBytes: number) {
    const head = Buffer.alloc(12);
    head.writeBigUInt64LE(BigInt(sizeBytes), 0);
    head.writeUInt32LE(BLOCK_BYTES, 8);
    this.hash.update(head);
  }

  /** The next leaf, or several together in one buffer. */
  add(leaves: Uint8Array): void {
    this.hash.update(leaves);
  }

  /** Once, when all were added. */
  finish(): string {
    return digestOf(this.hash.digest());
  }
}

/**
 * The digest of an image, see {@link ImageDigest}.
 * @param leaves of all blocks, one by one or several together in one buffer
 */
export function imageDigest(sizeBytes: number, leaves: Iterable<Uint8Array>): string {
  const digest = new ImageDigest(sizeBytes);
  for (const leaf of leaves) digest.add(leaf);
  return digest.finish();
}
