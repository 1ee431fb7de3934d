import { basename } from "node:path";
import { formatBytes } from "../../duration";
import { SpillwayError } from "../../errors";
import type { StepContext } from "../../wait";
import type { PartReport } from "../extents";
import { requireDigest } from "../digest";
import { RateMeter, Reporter } from "../progress";
import { IndexWriter } from "../wire/index-writer";
import { scanBlocks, type Block, type ScanOptions } from "./blocks";
import { CanonicalImage, type SourceOptions } from "./canonical-image";
import { ImageCache, type FoundImage } from "./image-cache";

export interface IndexOptions extends SourceOptions {
  /** When given, the source must have it. */
  readonly digest?: string;
  readonly context?: StepContext;
  /** What progress lines are about. @default the file's name */
  readonly subject?: string;
  /** Where indexes are kept. @default $XDG_CACHE_HOME/spillway or ~/.cache/spillway */
  readonly cacheDirectory?: string;
}

/** An image file, and what it consisted of when it was read. */
export interface IndexedImage {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Bytes of the image that are in use, or were not told to be free. */
  readonly inUseBytes: number;
  /** What was found in the image, and how each part was treated. */
  readonly parts: readonly PartReport[];
  /** Where its index lies: in the cache, or in the directory for temporary files if there is none. */
  readonly indexPath: string;
  /** True when the file had not changed since it was read last. */
  readonly fromCache: boolean;
}

/**
 * What an image file consists of, from the cache if the file did not change since. Takes some 30 MB of memory, whatever the size.
 * @throws SpillwayError when there is no such file, it is no image, it cannot be read, it changes while it is read, or its digest is
 * not the one asked for
 * @throws AbortedError
 */
export async function indexImage(options: IndexOptions): Promise<IndexedImage> {
  const { source, digest, context, cacheDirectory, exact = false } = options;
  if (digest !== undefined) requireDigest(digest, source);
  const signal = context?.signal;
  const image = await CanonicalImage.open(options, signal);
  try {
    const cache = new ImageCache(cacheDirectory);
    const reading = { identity: image.source.identity, exact };
    const about = { sizeBytes: image.sizeBytes, inUseBytes: image.map.inUse.bytes, parts: image.map.parts };
    const found = await cache.find(reading);
    const indexed = found ?? (await readAndKeep(options, image, cache));
    if (digest !== undefined && indexed.digest !== digest) throw wrongDigest(source, indexed.digest, digest);
    return { ...about, ...indexed, fromCache: found !== undefined };
  } finally {
    await image.close();
  }
}

/** Reads an image once, sends nothing, and keeps its index. */
export async function readAndKeep(
  options: IndexOptions,
  image: CanonicalImage,
  cache: ImageCache,
): Promise<FoundImage> {
  const { context, exact = false } = options;
  const reporter = new Reporter(context, options.subject ?? basename(options.source));
  const meter = new RateMeter();
  const total = image.readableBytes;
  let done = 0;
  return scanAndKeep(
    image,
    cache,
    exact,
    async (blocks) => {
      for (;;) {
        const next = await blocks.next();
        if (next.done) return next.value;
        if (!next.value.leaf) continue;
        done += next.value.length;
        meter.note(done);
        reporter.say(
          () => `reading: ${formatBytes(Math.min(done, total))} of ${formatBytes(total)}`,
          Math.min(1, done / total),
          meter.etaMs(Math.max(0, total - done)),
        );
      }
    },
    { signal: context?.signal },
  );
}

/**
 * Reads an image once, and keeps its index.
 * @param go goes through all blocks; returns the digest that they end with
 */
export async function scanAndKeep(
  image: CanonicalImage,
  cache: ImageCache,
  exact: boolean,
  go: (blocks: AsyncGenerator<Block, string>) => Promise<string>,
  options: ScanOptions = {},
): Promise<FoundImage> {
  const { source } = image;
  const startedAt = Date.now();
  const draft = await cache.draft();
  const writer = await IndexWriter.create(draft, image.sizeBytes);
  let isFinished = false;
  try {
    const digest = await go(scanBlocks(image, writer, options));
    await source.requireUnchanged();
    await writer.finish(digest);
    isFinished = true;
    const indexPath = await cache.keepIndex(draft, digest);
    const file = { path: source.identity.path, exact, format: source.format };
    await cache.keepFile({ identity: source.identity, exact }, digest, file, startedAt);
    return { digest, indexPath };
  } finally {
    if (!isFinished) await writer.discard();
  }
}

export function wrongDigest(source: string, has: string, wanted: string): SpillwayError {
  return new SpillwayError({
    place: source,
    problem: `the image file "${source}" has the digest ${has}, but ${wanted} was asked for`,
    mend: "Correct `digest` (or leave it out; `spillway image index FILE` prints it), or give the path of that image as `source`.",
    attribute: ["digest"],
  });
}
