import { setImmediate as nextTurn } from "node:timers/promises";
import { AbortedError } from "../../errors";
import { chunkBlock } from "../chunking";
import type { ChunkList } from "../wire/index-format";
import { BLOCK_BYTES, ImageDigest, leafInBackground, leafOfZeros } from "../wire/digest";
import type { IndexReader } from "../wire/index-reader";
import type { IndexWriter } from "../wire/index-writer";
import { sourceChanged } from "../source";
import type { CanonicalImage } from "./canonical-image";

/** One block of an image, with what it consists of. */
export interface Block {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
  /** Undefined: zeros only. */
  readonly leaf: Buffer | undefined;
  /** Undefined: zeros only. Valid until the next block is asked for. */
  readonly chunks: ChunkList | undefined;
  /** Its bytes; valid until the next block is asked for. @throws SpillwayError when the file is no longer what it was */
  bytes(): Promise<Uint8Array>;
}

/** Blocks that are read ahead while one is being looked at. */
const AHEAD = 2;

/**
 * Reads an image from its first block to its last, and writes down what it consists of.
 * @param index takes every block; finished by the caller
 * @returns the image's digest, when all blocks were gone through
 */
export async function* scanBlocks(
  image: CanonicalImage,
  index: IndexWriter,
  signal?: AbortSignal,
): AsyncGenerator<Block, string> {
  const digest = new ImageDigest(image.sizeBytes);
  const spaces = Array.from({ length: AHEAD + 1 }, () => Buffer.allocUnsafeSlow(BLOCK_BYTES));
  const readings: Promise<Buffer | undefined>[] = [];
  const startReading = (number: number) => {
    if (number >= image.blockCount) return;
    const into = spaces[number % spaces.length].subarray(0, image.lengthOf(number));
    const reading = readWithLeaf(image, into, number * BLOCK_BYTES);
    // A failure is told when its turn comes.
    reading.catch(() => undefined);
    readings[number % spaces.length] = reading;
  };
  for (let number = 0; number < AHEAD; number++) startReading(number);
  try {
    for (let number = 0; number < image.blockCount; number++) {
      if (signal?.aborted) throw new AbortedError(`stopped while reading ${image.source.path}`);
      startReading(number + AHEAD);
      const length = image.lengthOf(number);
      const read = await readings[number % spaces.length];
      const bytes = spaces[number % spaces.length].subarray(0, length);
      const found = read && chunkBlock(bytes);
      const chunks = found && !(found.count === 1 && found.isHole(0)) ? found : undefined;
      const leaf = chunks && read;
      digest.add(leaf ?? leafOfZeros(length));
      if (leaf) await index.addBlock(leaf, chunks);
      else index.addZeros();
      const offset = number * BLOCK_BYTES;
      yield { number, offset, length, leaf, chunks, bytes: () => Promise.resolve(bytes) };
      // Empty stretches are gone through without a read: others want their turn too.
      if (number % 256 === 255) await nextTurn();
    }
    return digest.finish();
  } finally {
    await Promise.allSettled(readings);
  }
}

/** @returns the leaf; undefined where all is zeros without having been read */
async function readWithLeaf(
  image: CanonicalImage,
  into: Buffer,
  offset: number,
): Promise<Buffer | undefined> {
  return (await image.read(into, offset)) ? leafInBackground(into) : undefined;
}

/** Goes through an image by its index; a block is read only when its bytes are asked for, and verified then. */
export async function* indexedBlocks(
  image: CanonicalImage,
  index: IndexReader,
  signal?: AbortSignal,
): AsyncGenerator<Block, void> {
  const space = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  for await (const found of index.blocks()) {
    if (signal?.aborted) throw new AbortedError(`stopped while reading ${image.source.path}`);
    const number = found.block;
    const length = image.lengthOf(number);
    const leaf = found.isZeros ? undefined : Buffer.from(found.leaf);
    yield {
      ...{ number, offset: number * BLOCK_BYTES, length, leaf },
      chunks: found.isZeros ? undefined : found,
      bytes: () => readVerified(image, number, leaf, space.subarray(0, length)),
    };
  }
}

/** Reads a block that is to have this leaf. @throws SpillwayError when it has another */
export async function readVerified(
  image: CanonicalImage,
  number: number,
  leaf: Buffer | undefined,
  into: Buffer,
): Promise<Buffer> {
  const offset = number * BLOCK_BYTES;
  if (!(await image.read(into, offset))) into.fill(0);
  if (leaf && (await leafInBackground(into)).equals(leaf)) return into;
  throw sourceChanged(
    image.source.path,
    `since it was indexed, at offset ${offset} or within 1 MiB after it`,
  );
}
