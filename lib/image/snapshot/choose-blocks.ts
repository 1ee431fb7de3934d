import { createHash } from "node:crypto";
import type { BlockDigests } from "./block-digests";

/** What becomes of a block: the snapshot has it from its parent, it is written, or it is left as it never was written. */
export type BlockFate = "unchanged" | "write" | "leave";

/** One block, now and before. */
export interface BlockCase {
  /** Its SHA-256 in the image. */
  readonly now: Uint8Array;
  readonly isZeros: boolean;
  /** Does the image use any byte of it? Free blocks and holes are not used. */
  readonly isUsed: boolean;
  /** Its SHA-256 in the parent; undefined where that, and all before it, never wrote it. */
  readonly before: Uint8Array | undefined;
  readonly encrypted: boolean;
}

/**
 * The one rule of what is written.
 *
 * A block may be left alone only where nothing was ever written, nothing is to be read, and the snapshot is not encrypted: it reads as
 * zeros then. In an encrypted snapshot, and on a volume that is encrypted when it is made of an unencrypted one, a block that was never
 * written may read as anything: so zeros that the image uses are always written. Zeros where the parent has something are written as
 * well, or the parent's bytes would be seen through them.
 */
export function fateOf({ now, isZeros, isUsed, before, encrypted }: BlockCase): BlockFate {
  if (before) return Buffer.compare(before, now) === 0 ? "unchanged" : "write";
  return isZeros && !isUsed && !encrypted ? "leave" : "write";
}

/** An image, and the snapshot that it is to become. */
export interface ChooseOptions {
  /** Of every block of the volume, zeros past the image's end. */
  readonly image: BlockDigests;
  /** Does the image use any byte of that block? Asked for blocks of zeros only. */
  readonly isUsed: (block: number) => boolean;
  /** @default - none: everything is new */
  readonly parent?: BlockDigests;
  readonly encrypted: boolean;
}

/** Which blocks are to be written, ascending, and how many of the others there are. */
export interface ChosenBlocks {
  readonly write: Uint32Array;
  readonly unchanged: number;
  readonly left: number;
}

export function chooseBlocks({ image, isUsed, parent, encrypted }: ChooseOptions): ChosenBlocks {
  const write = new Uint32Array(image.count);
  const found = { unchanged: 0, write: 0, leave: 0 };
  for (let block = 0; block < image.count; block++) {
    const now = image.at(block);
    if (!now) throw new RangeError(`nothing is known of the image's block ${block}`);
    const isZeros = image.isZeros(block);
    const fate = fateOf({
      ...{ now, isZeros, before: parent?.at(block), encrypted },
      isUsed: isZeros && isUsed(block),
    });
    if (fate === "write") write[found.write] = block;
    found[fate]++;
  }
  return { write: write.slice(0, found.write), unchanged: found.unchanged, left: found.leave };
}

/** What the snapshot consists of once the chosen blocks are written. */
export function digestsAfter(
  image: BlockDigests,
  parent: BlockDigests | undefined,
  { write }: Pick<ChosenBlocks, "write">,
): BlockDigests {
  const after = (parent ?? image.resized(0)).resized(image.count);
  for (const block of write) after.set(block, image.at(block) as Buffer);
  return after;
}

/** A name for a choice: a journal of one says nothing of another. 32 bytes. */
export function nameOfChoice(image: BlockDigests, { write }: Pick<ChosenBlocks, "write">): Buffer {
  const hash = createHash("sha256").update("spillway snapshot 1\n");
  hash.update(new Uint8Array(write.buffer, write.byteOffset, write.byteLength));
  for (const block of write) hash.update(image.at(block) as Buffer);
  return hash.digest();
}

/**
 * The checksum of everything written, as CompleteSnapshot wants it (`LINEAR`): SHA-256 over the SHA-256 of each block, ascending.
 * @see https://docs.aws.amazon.com/ebs/latest/APIReference/API_CompleteSnapshot.html
 */
export function linearChecksum(image: BlockDigests, { write }: Pick<ChosenBlocks, "write">): Buffer {
  const hash = createHash("sha256");
  for (const block of write) hash.update(image.at(block) as Buffer);
  return hash.digest();
}
