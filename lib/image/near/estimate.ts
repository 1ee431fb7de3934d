import { basename } from "node:path";
import type { TransferEstimate } from "../../site/api";
import { Reporter } from "../progress";
import { IndexReader } from "../wire/index-reader";
import type { ImageTarget } from "../wire/target";
import { CanonicalImage } from "./canonical-image";
import { arrivedPrefixes } from "./arrived";
import { ImageCache } from "./image-cache";
import { indexImage, type IndexOptions, type IndexedImage } from "./index-image";
import { KnownImages, SELF } from "./known-images";

/** Told while none was measured, bits per second. */
const ASSUMED_RATE_BPS = 100_000_000;

/**
 * What the far side holds is waited for so long: longer than by a push, which uses late what comes late. What is told is remembered
 * there for a day.
 */
const WAIT_MS = 60_000;

/** What is asked about. */
export interface EstimateOptions extends IndexOptions {
  readonly target: ImageTarget;
  /** As in {@link PushOptions}. @default "" */
  readonly targetName?: string;
  /** Whether the site is to tell the same again, as a plan needs it. False: what it would take now. @default true */
  readonly pin?: boolean;
}

/** What a transfer would take, and of what. */
export interface TransferPreview extends Pick<IndexedImage, "digest" | "sizeBytes" | "inUseBytes" | "parts"> {
  readonly estimate: TransferEstimate;
}

/**
 * What bringing an image file to a site would take. Changes nothing there. A pinned answer stays the same while nothing of this image
 * arrives there, for up to a day, and for a while after the image is complete: a plan may be applied then.
 * @throws SpillwayError
 */
export async function estimateTransfer(options: EstimateOptions): Promise<TransferPreview> {
  const { target, targetName = "", context, exact = false, pin = true } = options;
  const call = { signal: context?.signal };
  const indexed = await indexImage(options);
  const { digest, sizeBytes, inUseBytes, parts } = indexed;
  const image = await CanonicalImage.open(options, context?.signal);
  try {
    const cache = new ImageCache(options.cacheDirectory);
    const id = await cache.transferId({ identity: image.source.identity, exact }, targetName, digest);
    const state = await target.openTransfer(id, { sizeBytes, digest, peek: true }, call);
    const rateBps = state.rateBps ?? ASSUMED_RATE_BPS;
    let sendBytes = 0;
    if (!state.complete) {
      const reporter = new Reporter(context, options.subject ?? basename(options.source));
      const known = await KnownImages.load({
        ...{ images: state.images, image, cache, target, targetName, signal: context?.signal },
        ...{ withBytes: false, waitMs: WAIT_MS, tell: (message) => reporter.say(message) },
      });
      try {
        sendBytes = await newBytes(indexed, known, arrivedPrefixes(state.arrived));
      } finally {
        await known.close();
      }
    }
    const now: TransferEstimate = {
      ...{
        totalBytes: sizeBytes,
        inUseBytes,
        presentBytes: Math.max(0, inUseBytes - sendBytes),
        sendBytes,
      },
      etaMs: Math.ceil((sendBytes * (state.packedShare ?? 1) * 8_000) / rateBps),
      ...{ rateBps, rateIs: state.rateBps === undefined ? ("assumed" as const) : ("measured" as const) },
    };
    const estimate = pin ? await target.pinEstimate(digest, now, call) : now;
    return { digest, sizeBytes, inUseBytes, parts, estimate };
  } finally {
    await image.close();
  }
}

/** Bytes of chunks that the far side does not have: each that repeats is counted once. */
async function newBytes(
  { indexPath }: IndexedImage,
  known: KnownImages,
  hasArrived: ReturnType<typeof arrivedPrefixes>,
): Promise<number> {
  let bytes = 0;
  const index = await IndexReader.open(indexPath);
  try {
    for await (const found of index.blocks()) {
      const { block, leaf, count, ends, keys } = found;
      if (found.isZeros || hasArrived(block, leaf) || known.wholeBlock(leaf)) continue;
      for (let i = 0, from = 0; i < count; from = ends[i++]) {
        if (found.isHole(i) || known.table.find(keys[i * 2], keys[i * 2 + 1]) >= 0) continue;
        known.table.add(keys[i * 2], keys[i * 2 + 1], SELF, 0);
        bytes += ends[i] - from;
      }
    }
  } finally {
    await index.close();
  }
  return bytes;
}
