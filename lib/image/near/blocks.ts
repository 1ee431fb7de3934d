import { setImmediate as nextTurn } from "node:timers/promises";
import { AbortedError } from "../../errors";
import { chunkBlock } from "../chunking";
import type { ChunkList } from "../wire/index-format";
import { BLOCK_BYTES, ImageDigest, leafOf, leafOfZeros } from "../wire/digest";
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

/** Blocks that are read with one call: each is a turn of the event loop and of a thread. */
const BLOCKS_A_READ = 4;

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
  const reader = new GroupReader(image);
  try {
    for (let number = 0; number < image.blockCount; number++) {
      if (signal?.aborted) throw new AbortedError(`stopped while reading ${image.source.path}`);
      const length = image.lengthOf(number);
      const bytes = await reader.read(number);
      const found = bytes && chunkBlock(bytes);
      const chunks = found && !(found.count === 1 && found.isHole(0)) ? found : undefined;
      const leaf = chunks && bytes && leafOf(bytes);
      digest.add(leaf ?? leafOfZeros(length));
      if (leaf) await index.addBlock(leaf, chunks);
      else index.addZeros();
      const offset = number * BLOCK_BYTES;
      yield {
        number,
        offset,
        length,
        leaf,
        chunks,
        bytes: () => Promise.resolve(bytes ?? Buffer.alloc(length)),
      };
      // Empty stretches are gone through without a read: others want their turn too.
      if (number % 256 === 255) await nextTurn();
    }
    return digest.finish();
  } finally {
    await reader.end();
  }
}

/** Reads an image's blocks in their order, a few at a time, and the next few meanwhile. */
class GroupReader {
  private readonly spaces = [0, 1].map(() => Buffer.allocUnsafeSlow(BLOCKS_A_READ * BLOCK_BYTES));
  private readonly readings: Promise<boolean>[] = [];

  constructor(private readonly image: CanonicalImage) {
    this.start(0);
  }

  /** The bytes of the next block, valid until the one after; undefined where all is zeros without having been read. */
  async read(block: number): Promise<Buffer | undefined> {
    const group = Math.floor(block / BLOCKS_A_READ);
    if (block % BLOCKS_A_READ === 0) this.start(group + 1);
    if (!(await this.readings[group % 2])) return undefined;
    const at = (block % BLOCKS_A_READ) * BLOCK_BYTES;
    return this.spaces[group % 2].subarray(at, at + this.image.lengthOf(block));
  }

  async end(): Promise<void> {
    await Promise.allSettled(this.readings);
  }

  private start(group: number): void {
    const offset = group * BLOCKS_A_READ * BLOCK_BYTES;
    if (offset >= this.image.sizeBytes) return;
    const bytes = Math.min(BLOCKS_A_READ * BLOCK_BYTES, this.image.sizeBytes - offset);
    const reading = this.image.read(this.spaces[group % 2].subarray(0, bytes), offset);
    // A failure is told when its turn comes.
    reading.catch(() => undefined);
    this.readings[group % 2] = reading;
  }
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
  if (leaf && leafOf(into).equals(leaf)) return into;
  throw sourceChanged(
    image.source.path,
    `since it was indexed, at offset ${offset} or within 1 MiB after it`,
  );
}
