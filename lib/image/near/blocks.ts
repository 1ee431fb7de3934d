import { setImmediate as nextTurn } from "node:timers/promises";
import { AbortedError } from "../../errors";
import { chunkBlock, chunkList } from "../chunking";
import type { ChunkList } from "../wire/index-format";
import { BLOCK_BYTES, ImageDigest, leafOf, leafOfZeros } from "../wire/digest";
import type { IndexReader } from "../wire/index-reader";
import type { IndexWriter } from "../wire/index-writer";
import { sourceChanged } from "../source";
import type { CanonicalImage } from "./canonical-image";
import { ScanOrder } from "./scan-order";

/** One block of an image, with what it consists of. */
export interface Block {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
  /** All of the image before this offset was gone through. */
  readonly reached: number;
  /** Undefined: zeros only. */
  readonly leaf: Buffer | undefined;
  /** Undefined: zeros only. Valid until the next block is asked for. */
  readonly chunks: ChunkList | undefined;
  /** Its bytes; valid until the next block is asked for. @throws SpillwayError when the file is no longer what it was */
  bytes(): Promise<Uint8Array>;
}

/** Blocks that are read with one call: each is a turn of the event loop and of a thread. */
export const BLOCKS_A_READ = 4;

/** What early blocks consist of is remembered until their turn comes in the index: some 5 KB each. */
const MAX_EARLY_BLOCKS = 2048;

export interface ScanOptions {
  /** Parts of {@link BLOCKS_A_READ} blocks, in which order. @default from the beginning to the end */
  readonly order?: ScanOrder;
  /** Will a stream soon wait for something to send? @default never */
  readonly isLinkHungry?: () => boolean;
  readonly signal?: AbortSignal;
}

/**
 * Reads an image once, all of it, and writes down what it consists of.
 * @param index takes every block; finished by the caller
 * @returns the image's digest, when all blocks were gone through
 */
export async function* scanBlocks(
  image: CanonicalImage,
  index: IndexWriter,
  options: ScanOptions = {},
): AsyncGenerator<Block, string> {
  const parts = Math.ceil(image.blockCount / BLOCKS_A_READ);
  const { order = new ScanOrder(parts, () => false), isLinkHungry = () => false, signal } = options;
  const records = new RecordsInOrder(image, index);
  const reader = new PartReader(image, order, () => records.hasRoom && isLinkHungry());
  try {
    for (let turn = 1; ; turn++) {
      if (signal?.aborted) throw new AbortedError(`stopped while reading ${image.source.path}`);
      const part = await reader.next();
      if (!part) break;
      const end = Math.min(part.firstBlock + BLOCKS_A_READ, image.blockCount);
      for (let number = part.firstBlock; number < end; number++) {
        const length = image.lengthOf(number);
        const at = (number - part.firstBlock) * BLOCK_BYTES;
        const bytes = part.bytes?.subarray(at, at + length);
        const found = bytes && chunkBlock(bytes);
        const chunks = found && !(found.count === 1 && found.isHole(0)) ? found : undefined;
        const leaf = chunks && bytes && leafOf(bytes);
        await records.add(number, leaf, chunks);
        yield {
          ...{ number, length, leaf, chunks },
          offset: number * BLOCK_BYTES,
          reached: Math.min(number, part.reached * BLOCKS_A_READ) * BLOCK_BYTES,
          bytes: () => Promise.resolve(bytes ?? Buffer.alloc(length)),
        };
      }
      // Empty stretches are gone through without a read: others want their turn too.
      if (turn % 64 === 0) await nextTurn();
    }
    return records.digest();
  } finally {
    await reader.end();
  }
}

/** Writes down blocks as they follow each other in the image, in whatever order they were read. */
class RecordsInOrder {
  private readonly image: ImageDigest;
  private readonly early = new Map<
    number,
    { readonly leaf: Buffer; readonly chunks: ChunkList } | undefined
  >();
  private next = 0;

  constructor(
    private readonly source: CanonicalImage,
    private readonly index: IndexWriter,
  ) {
    this.image = new ImageDigest(source.sizeBytes);
  }

  /** May others still come early? */
  get hasRoom(): boolean {
    return this.early.size < MAX_EARLY_BLOCKS;
  }

  async add(block: number, leaf: Buffer | undefined, chunks: ChunkList | undefined): Promise<void> {
    if (block !== this.next) {
      this.early.set(block, leaf && chunks && { leaf, chunks: copyOf(chunks) });
      return;
    }
    await this.write(leaf, chunks);
    while (this.early.has(this.next)) {
      const record = this.early.get(this.next);
      this.early.delete(this.next);
      await this.write(record?.leaf, record?.chunks);
    }
  }

  digest(): string {
    return this.image.finish();
  }

  private async write(leaf: Buffer | undefined, chunks: ChunkList | undefined): Promise<void> {
    const length = this.source.lengthOf(this.next++);
    this.image.add(leaf ?? leafOfZeros(length));
    if (leaf && chunks) await this.index.addBlock(leaf, chunks);
    else this.index.addZeros();
  }
}

/** The chunker's own is gone with the next block. */
function copyOf({ count, ends, keys }: ChunkList): ChunkList {
  return chunkList(count, ends.slice(), keys.slice());
}

interface ReadPart {
  readonly firstBlock: number;
  /** Valid until the part after the next is asked for; undefined where all is zeros without having been read. */
  readonly bytes: Buffer | undefined;
  /** Parts before this one were all asked for when this one was. */
  readonly reached: number;
}

/** Reads an image's parts in the order that it is told, and the next one meanwhile. */
class PartReader {
  private readonly spaces = [0, 1].map(() => Buffer.allocUnsafeSlow(BLOCKS_A_READ * BLOCK_BYTES));
  private ahead: Promise<ReadPart> | undefined;
  private turn = 0;

  constructor(
    private readonly image: CanonicalImage,
    private readonly order: ScanOrder,
    private readonly isLinkHungry: () => boolean,
  ) {}

  async next(): Promise<ReadPart | undefined> {
    this.ahead ??= this.start();
    const part = await this.ahead;
    this.ahead = this.start();
    return part;
  }

  async end(): Promise<void> {
    await this.ahead?.catch(() => undefined);
  }

  private start(): Promise<ReadPart> | undefined {
    const number = this.order.take(this.isLinkHungry());
    if (number === undefined) return undefined;
    const reading = this.read(number, this.order.reached, this.spaces[this.turn++ % 2]);
    // A failure is told when its turn comes.
    reading.catch(() => undefined);
    return reading;
  }

  private async read(number: number, reached: number, space: Buffer): Promise<ReadPart> {
    const firstBlock = number * BLOCKS_A_READ;
    const offset = firstBlock * BLOCK_BYTES;
    const bytes = space.subarray(0, Math.min(space.length, this.image.sizeBytes - offset));
    const isRead = await this.image.read(bytes, offset);
    return { firstBlock, reached, bytes: isRead ? bytes : undefined };
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
      ...{ number, offset: number * BLOCK_BYTES, length, leaf, reached: number * BLOCK_BYTES },
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
  await image.readAll(into, offset);
  if (leaf && leafOf(into).equals(leaf)) return into;
  throw sourceChanged(
    image.source.path,
    `since it was indexed, at offset ${offset} or within 1 MiB after it`,
  );
}
