import { createHash } from "node:crypto";
import { formatBytes } from "../../../lib/duration";
import { AbortedError } from "../../../lib/errors";
import { TargetError } from "../../../lib/image/targets/errors";
import { LEAF_BYTES } from "../../../lib/image/wire/digest";
import type { ImageTarget } from "../../../lib/image/wire/target";
import type { ImageStatus } from "../../../lib/site/api";
import type { StepContext } from "../../../lib/wait";
import type { ImageBucket } from "./image-bucket";
import { MAX_DEPTH, type Manifest, type SegmentEntry } from "./layout";

/** Segments that are fetched ahead of the one that is applied. */
const AHEAD = 8;

/** Of each leaf, a store tells so much. */
const PREFIX_BYTES = 8;

export interface PullResult {
  readonly status: ImageStatus;
  /** Bytes fetched from the bucket. */
  readonly fetchedBytes: number;
  /** Images that had to be put together first, the first first. */
  readonly bases: readonly string[];
}

/**
 * Puts an image of a bucket together in a store, and before it those that it copies from, unless the store holds them. Each block
 * is verified, and at the end the digest. One that was cut off goes on where it was.
 * @throws TargetError `image-missing`, `image-corrupt` naming the segment
 * @throws AbortedError
 */
export async function pullImage(options: {
  readonly bucket: ImageBucket;
  readonly digest: string;
  readonly into: ImageTarget;
  readonly context: StepContext;
}): Promise<PullResult> {
  const { bucket, digest, into, context } = options;
  const plan = await planOf(options);
  const total = plan.reduce((sum, { segments }) => sum + bytesOf(segments), 0);
  let [fetched, passed] = [0, 0];
  const startedAt = Date.now();
  let status: ImageStatus | undefined;
  for (const manifest of plan) {
    status = await replay(bucket, manifest, into, context.signal, (bytes, wasFetched) => {
      passed += bytes;
      if (wasFetched) fetched += bytes;
      const rate = fetched / Math.max(1, Date.now() - startedAt);
      context.progress({
        step: "transfer",
        subject: digest.slice(0, 19),
        message: `fetched ${formatBytes(fetched)} of ${formatBytes(total)} at ${((rate * 8) / 1_000).toFixed(1)} Mbit/s`,
        fraction: total === 0 ? 1 : passed / total,
        etaMs: rate > 0 ? (total - passed) / rate : undefined,
      });
    });
  }
  status ??= (await into.openTransfer(idOf(bucket, digest), await requestOf(bucket, digest))).complete;
  if (!status) throw vanished(digest);
  return { status, fetchedBytes: fetched, bases: plan.slice(0, -1).map((manifest) => manifest.digest) };
}

/** What has to be replayed, bases first. */
async function planOf({
  bucket,
  digest,
  into,
  context,
}: Parameters<typeof pullImage>[0]): Promise<Manifest[]> {
  const plan: Manifest[] = [];
  const seen = new Set<string>();
  const add = async (wanted: string, depth: number): Promise<void> => {
    if (context.signal.aborted) throw new AbortedError("stopped while looking at what the image is made of");
    if (seen.has(wanted)) return;
    seen.add(wanted);
    // A manifest is only data: one that somebody bent into a ring must not be followed for ever.
    if (depth > MAX_DEPTH) throw tooDeep(bucket, digest);
    const manifest = await bucket.requireManifest(wanted, context.signal);
    const { sizeBytes } = manifest;
    const state = await into.openTransfer(idOf(bucket, wanted), { sizeBytes, digest: wanted });
    if (state.complete) return;
    for (const base of manifest.bases) await add(base, depth + 1);
    plan.push(manifest);
  };
  await add(digest, 1);
  return plan;
}

async function replay(
  bucket: ImageBucket,
  { digest, sizeBytes, segments: all }: Manifest,
  into: ImageTarget,
  signal: AbortSignal,
  onSegment: (bytes: number, wasFetched: boolean) => void,
): Promise<ImageStatus> {
  const id = idOf(bucket, digest);
  const state = await into.openTransfer(id, { sizeBytes, digest });
  if (state.complete) return state.complete;
  const leaves = state.arrived === "" ? undefined : await bucket.leaves(digest, signal);
  const hasArrived = leaves ? arrivedIn(state.arrived, leaves) : () => false;
  const segments = all.filter((entry) => !hasArrived(entry));
  onSegment(bytesOf(all) - bytesOf(segments), false);
  const fetches: Promise<Buffer>[] = [];
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const fetch = (at: number) => {
    if (at >= segments.length) return;
    fetches[at] = bucket.segment(segments[at].id, ended);
    // A failure is told when its turn comes.
    fetches[at].catch(() => undefined);
  };
  try {
    for (let at = 0; at < AHEAD; at++) fetch(at);
    for (const [at, entry] of segments.entries()) {
      const bytes = await fetches[at];
      delete fetches[at];
      fetch(at + AHEAD);
      if (signal.aborted) throw new AbortedError("stopped; what has been fetched is kept");
      await into.putSegment(id, entry.id, bytes, { signal });
      onSegment(entry.bytes, true);
    }
  } finally {
    stop.abort();
    await Promise.allSettled(fetches);
  }
  return into.completeTransfer(id, digest, { signal });
}

/** Are all blocks of a segment there, and what they are to be? */
function arrivedIn(arrived: string, leaves: Buffer): (entry: SegmentEntry) => boolean {
  const prefixes = Buffer.from(arrived, "base64");
  return ({ firstBlock, blockCount }) => {
    for (let block = firstBlock; block < firstBlock + blockCount; block++) {
      const [at, leaf] = [block * PREFIX_BYTES, block * LEAF_BYTES];
      if (at + PREFIX_BYTES > prefixes.length) return false;
      if (leaves.compare(prefixes, at, at + PREFIX_BYTES, leaf, leaf + PREFIX_BYTES) !== 0) return false;
    }
    return true;
  };
}

/** The same for each try, so that one that was cut off is gone on with; another than a push's, which would send other segments. */
function idOf(bucket: ImageBucket, digest: string): string {
  return createHash("sha256").update(`pull\n${bucket.place}\n${digest}`).digest("hex");
}

async function requestOf(bucket: ImageBucket, digest: string) {
  const { sizeBytes } = await bucket.requireManifest(digest);
  return { sizeBytes, digest };
}

function bytesOf(segments: readonly SegmentEntry[]): number {
  return segments.reduce((sum, { bytes }) => sum + bytes, 0);
}

function tooDeep(bucket: ImageBucket, digest: string): TargetError {
  return new TargetError("image-corrupt", {
    place: bucket.place,
    problem: `the image ${digest} is a delta of a delta … more than ${MAX_DEPTH} deep`,
    mend: "Push it again under another prefix.",
  });
}

function vanished(digest: string): TargetError {
  return new TargetError("image-missing", {
    place: `image ${digest}`,
    problem: `the image ${digest} was deleted while it was pulled`,
    mend: "Pull it again.",
  });
}
