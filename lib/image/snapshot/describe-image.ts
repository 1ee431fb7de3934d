import { basename } from "node:path";
import { formatBytes } from "../../duration";
import { requireDigest, sha256 } from "../digest";
import { Extents, mapExtents, type PartReport } from "../extents";
import type { ImageSource } from "../source";
import { indexedBlocks, type Block } from "../near/blocks";
import { CanonicalImage } from "../near/canonical-image";
import { ImageCache } from "../near/image-cache";
import { scanAndKeep, wrongDigest, type IndexOptions } from "../near/index-image";
import { RateMeter, Reporter } from "../progress";
import { IndexReader } from "../wire/index-reader";
import { BlockDigests, DIGEST_OF_ZEROS } from "./block-digests";
import { blocksOfVolume, BLOCKS_PER_IMAGE_BLOCK, SNAPSHOT_BLOCK_BYTES, volumeGibOf } from "./geometry";
import type { LocalSnapshots } from "./local-state";

/** An image, as a snapshot sees it. */
export interface DescribedImage {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly inUseBytes: number;
  readonly parts: readonly PartReport[];
  readonly volumeGib: number;
  /** Of all blocks of the volume: past the image's end there are zeros. */
  readonly blocks: BlockDigests;
  /** Does the image use any byte of that block? */
  readonly isUsed: (block: number) => boolean;
}

/**
 * What an image file's blocks are: from what is kept, if the file did not change since, else by reading it once.
 * @throws SpillwayError, AbortedError
 */
export async function describeImage(
  image: CanonicalImage,
  local: LocalSnapshots,
  options: IndexOptions & { readonly holesCount?: boolean },
): Promise<DescribedImage> {
  const { digest: wanted, source, exact = false } = options;
  if (wanted !== undefined) requireDigest(wanted, source);
  const cache = new ImageCache(options.cacheDirectory);
  const known = await cache.find({ identity: image.source.identity, exact });
  if (known && wanted !== undefined && known.digest !== wanted)
    throw wrongDigest(source, known.digest, wanted);
  const kept = known && (await local.blocksOfImage(known.digest));
  const found =
    known && kept
      ? { digest: known.digest, blocks: kept }
      : await read(image, cache, options, known?.indexPath);
  if (wanted !== undefined && found.digest !== wanted) throw wrongDigest(source, found.digest, wanted);
  if (!kept) await local.keepBlocksOfImage(found.digest, found.blocks);
  const volumeGib = volumeGibOf(image.sizeBytes);
  const { parts } = image.map;
  const inUse = options.holesCount ? await usedWithHoles(image, options) : image.map.inUse;
  return {
    ...{ digest: found.digest, sizeBytes: image.sizeBytes, parts, volumeGib },
    inUseBytes: image.map.inUse.bytes,
    blocks: withZeros(found.blocks, blocksOfVolume(volumeGib)),
    isUsed: (block) => isUsed(inUse, block),
  };
}

/** What its file systems use, wherever its file has holes. */
async function usedWithHoles(image: CanonicalImage, { context }: IndexOptions): Promise<Extents> {
  const { source } = image;
  const whole: ImageSource = Object.create(source, {
    allocated: { value: async () => Extents.whole(source.sizeBytes) },
  }) as ImageSource;
  return (await mapExtents(whole, { signal: context?.signal })).inUse;
}

function isUsed(inUse: Extents, block: number): boolean {
  const from = block * SNAPSHOT_BLOCK_BYTES;
  for (const _ of inUse.within(from, from + SNAPSHOT_BLOCK_BYTES)) return true;
  return false;
}

function withZeros(blocks: BlockDigests, count: number): BlockDigests {
  const all = blocks.resized(count);
  for (let block = blocks.count; block < count; block++) all.set(block, DIGEST_OF_ZEROS);
  return all;
}

/** Fills `into`, a block of a snapshot, with the image's bytes there, and zeros past its end. */
export async function readSnapshotBlock(image: CanonicalImage, block: number, into: Buffer): Promise<void> {
  const offset = block * SNAPSHOT_BLOCK_BYTES;
  const length = Math.max(0, Math.min(SNAPSHOT_BLOCK_BYTES, image.sizeBytes - offset));
  into.fill(0, length);
  if (length > 0) await image.readAll(into.subarray(0, length), offset);
}

async function read(
  image: CanonicalImage,
  cache: ImageCache,
  options: IndexOptions,
  indexPath: string | undefined,
): Promise<{ readonly digest: string; readonly blocks: BlockDigests }> {
  const { context, exact = false } = options;
  const signal = context?.signal;
  const blocks = BlockDigests.none(Math.ceil(image.sizeBytes / SNAPSHOT_BLOCK_BYTES));
  const reporter = new Reporter(context, options.subject ?? basename(options.source));
  const meter = new RateMeter();
  const total = Math.max(1, image.readableBytes);
  let done = 0;
  const note = async (block: Block) => {
    await hashBlock(block, blocks);
    if (!block.leaf) return;
    done += block.length;
    meter.note(done);
    reporter.say(
      () => `reading: ${formatBytes(Math.min(done, total))} of ${formatBytes(total)}`,
      Math.min(1, done / total),
      meter.etaMs(Math.max(0, total - done)),
    );
  };
  if (indexPath === undefined) {
    const go = async (all: AsyncGenerator<Block, string>) => {
      for (;;) {
        const next = await all.next();
        if (next.done) return next.value;
        await note(next.value);
      }
    };
    const { digest } = await scanAndKeep(image, cache, exact, go, { signal });
    return { digest, blocks };
  }
  const index = await IndexReader.open(indexPath);
  try {
    for await (const block of indexedBlocks(image, index, signal)) await note(block);
    return { digest: index.digest, blocks };
  } finally {
    await index.close();
  }
}

/** Of the halves of an image's block. */
async function hashBlock(block: Block, into: BlockDigests): Promise<void> {
  const bytes = block.leaf && (await block.bytes());
  for (let half = 0; half < BLOCKS_PER_IMAGE_BLOCK; half++) {
    const number = block.number * BLOCKS_PER_IMAGE_BLOCK + half;
    if (number >= into.count) return;
    into.set(number, bytes ? digestOfPart(bytes, half) : DIGEST_OF_ZEROS);
  }
}

function digestOfPart(bytes: Uint8Array, half: number): Buffer {
  const part = bytes.subarray(half * SNAPSHOT_BLOCK_BYTES, (half + 1) * SNAPSHOT_BLOCK_BYTES);
  return part.length === SNAPSHOT_BLOCK_BYTES
    ? sha256(part)
    : sha256(Buffer.concat([part, Buffer.alloc(SNAPSHOT_BLOCK_BYTES - part.length)]));
}
