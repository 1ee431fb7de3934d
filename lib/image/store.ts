import { readFile, statfs, writeFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { formatBytes } from "../duration";
import { messageOf } from "../errors";
import type { ImageStatus, OfferAnswer, SegmentAnswer, TransferEstimate } from "../site/api";
import { Arrivals } from "./arrivals";
import { BitSet } from "./bitset";
import { KeyedLock, Semaphore } from "./concurrency";
import type { ImageStore, ImageStoreOptions, LinkRate } from "./contract";
import { hexOf } from "./digest";
import { diskFull, ImageStoreError, storeCorrupt } from "./errors";
import { EstimatePins, estimateOf } from "./estimates";
import { HeldImages } from "./held-images";
import { decodeIndex, indexChecksum } from "./index-encoding";
import type { ImageIndex } from "./image-index";
import { MAX_INDEX_BYTES, MAX_SEGMENT_BYTES } from "./limits";
import { LinkMeter, type LinkMeasurement } from "./link-meter";
import { missingRuns, Partial } from "./partial";
import { decodeSegment, unpackSegment, type Segment } from "./segment";
import { removeAll, StoreFiles } from "./store-files";

const ASSUMED_RATE_BPS = 100_000_000;
/** Segments unpacked at once: each takes up to 4 MiB beside its body. */
const UNPACKING_AT_ONCE = 4;
/** Of the disk, so much is left alone. */
const SPARE_DISK_BYTES = 1024 * 1024;

/** Opens the image store in a directory, with what a former process left there. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const store = new DirectoryStore(options);
  await store.open();
  return store;
}

class DirectoryStore implements ImageStore {
  private readonly files: StoreFiles;
  private readonly held: HeldImages;
  private readonly pins: EstimatePins;
  private readonly arrivals: Arrivals;
  private readonly completions = new Map<string, Promise<ImageStatus>>();
  private readonly locks = new KeyedLock();
  private readonly unpacking = new Semaphore(UNPACKING_AT_ONCE);
  private readonly meter = new LinkMeter();
  private measuredBefore: LinkMeasurement | undefined;

  constructor(private readonly options: ImageStoreOptions) {
    this.files = new StoreFiles(options.directory);
    this.held = new HeldImages(this.files);
    this.arrivals = new Arrivals(this.files, this.held);
    this.pins = new EstimatePins((digest) => this.files.of(digest).estimate, options.estimateHoldMs);
  }

  async open(): Promise<void> {
    const { complete, arriving } = await this.files.scan();
    for (const digest of complete) await this.held.adopt(digest);
    for (const digest of this.held.digests) await this.arrivals.takeBackIfCut(digest);
    await this.arrivals.restore(arriving);
    this.measuredBefore = await readFile(this.files.link, "utf8")
      .then((text) => asMeasurement(JSON.parse(text)))
      .catch(() => undefined);
  }

  async offer(digest: string, encoded: Uint8Array): Promise<OfferAnswer> {
    const index = this.readOffered(digest, encoded);
    return this.locks.run(digest, async () => {
      await this.arrivals.takeBackIfCut(digest);
      const done = this.completeStatus(digest);
      if (done) return { missing: [], status: done };
      const partial = await this.arrivals.begin(digest, index, encoded);
      await this.requireRoom(digest, partial.unwrittenBytes);
      const missing = partial.askFor(await this.held.chunks());
      return { missing, status: this.arrivingStatus(digest, partial) };
    });
  }

  async estimate(digest: string, encoded: Uint8Array): Promise<TransferEstimate> {
    const index = this.readOffered(digest, encoded);
    return this.locks.run(digest, async () => {
      const rate = this.linkRate();
      const measured = this.measured();
      if (this.completeStatus(digest)) return estimateOf(index.sizeBytes, 0, rate, measured);
      const pinned = await this.pins.get(digest, (await this.arrivals.changedAt(digest)) ?? 0);
      if (pinned) return pinned;
      const partial = this.arrivals.get(digest);
      const isSame = partial?.checksum.equals(indexChecksum(encoded)) ?? false;
      const presence =
        partial && isSame ? partial : { have: new BitSet(index.count), mustSend: new BitSet(index.count) };
      const missing = missingRuns(index, await this.held.chunks(), presence);
      const estimate = estimateOf(index.sizeBytes, index.bytesOf(missing), rate, measured);
      await this.pins.put(digest, estimate);
      return estimate;
    });
  }

  async putSegment(digest: string, id: string, bytes: Uint8Array): Promise<SegmentAnswer> {
    const arrivedAt = performance.now();
    this.requireDigest(digest);
    const place = `${this.placeOf(digest)}, segment ${id}`;
    if (bytes.length > MAX_SEGMENT_BYTES) throw tooLarge(place, "segment", bytes.length, MAX_SEGMENT_BYTES);
    const segment = readSegment(place, digest, id, bytes);
    const done = this.completeStatus(digest);
    if (done) return { presentBytes: done.sizeBytes };
    const partial = this.arrivals.get(digest);
    if (!partial) throw this.unknown(digest);
    if (!partial.isWithin(segment.runs) || partial.index.bytesOf(segment.runs) !== segment.rawBytes) {
      throw segmentCorrupt(place, "it does not fit the index that was offered");
    }
    if (!partial.hasAll(segment.runs)) {
      const stored = partial.use(() => this.unpacking.run(() => store(place, partial, segment)));
      if (!stored) throw this.unknown(digest);
      await stored;
    }
    this.meter.note(arrivedAt, bytes.length, segment.rawBytes);
    return { presentBytes: partial.presentBytes };
  }

  complete(digest: string): Promise<ImageStatus> {
    this.requireDigest(digest);
    const running = this.completions.get(digest);
    if (running) return running;
    const completion = this.locks
      .run(digest, () => this.finish(digest))
      .finally(() => this.completions.delete(digest));
    this.completions.set(digest, completion);
    return completion;
  }

  async status(digest: string): Promise<ImageStatus | undefined> {
    this.requireDigest(digest);
    const done = this.completeStatus(digest);
    if (done) return done;
    const partial = this.arrivals.get(digest);
    return partial && this.arrivingStatus(digest, partial);
  }

  async list(): Promise<readonly ImageStatus[]> {
    const digests = new Set([...this.held.digests, ...this.arrivals.digests]);
    const found = await Promise.all([...digests].sort().map((digest) => this.status(digest)));
    return found.filter((status) => status !== undefined);
  }

  async delete(digest: string): Promise<void> {
    this.requireDigest(digest);
    await this.locks.run(digest, async () => {
      const users = this.usedBy(digest);
      if (users.length > 0) {
        throw new ImageStoreError("image-in-use", {
          place: this.placeOf(digest),
          problem: `the image is used by ${users.map((name) => `pool "${name}"`).join(", ")}`,
          mend: "Take those pools down first, or keep the image (`retain`).",
        });
      }
      await this.arrivals.drop(digest);
      this.held.remove(digest);
      const { image, index, estimate } = this.files.of(digest);
      await removeAll([image, index, estimate]);
    });
  }

  path(digest: string): string {
    if (this.completeStatus(digest)) return this.files.of(digest).image;
    const { site } = this.options;
    const isArriving = this.arrivals.get(digest) !== undefined;
    throw new ImageStoreError(isArriving ? "image-incomplete" : "image-missing", {
      place: this.placeOf(digest),
      problem: isArriving
        ? `site "${site}" holds the image ${digest} only in part`
        : `site "${site}" does not hold the image ${digest}`,
      mend: "Push it to this site first (`spillway_image_replica`).",
    });
  }

  linkRate(): LinkRate {
    const measured = this.measured();
    return measured
      ? { rateBps: measured.rateBps, rateIs: "measured" }
      : { rateBps: this.options.assumedRateBps ?? ASSUMED_RATE_BPS, rateIs: "assumed" };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.completions.values());
    await this.arrivals.close();
  }

  private async finish(digest: string): Promise<ImageStatus> {
    await this.arrivals.takeBackIfCut(digest);
    if (!this.held.look(digest)) {
      if (!(await this.arrivals.finish(digest, this.placeOf(digest)))) throw this.unknown(digest);
      await this.pins.drop(digest);
      await this.rememberLink();
    }
    const done = this.completeStatus(digest);
    if (done) return done;
    throw storeCorrupt(this.placeOf(digest), `the image's file was changed as soon as it was complete`);
  }

  private completeStatus(digest: string): ImageStatus | undefined {
    const found = this.held.look(digest);
    if (!found?.isWhole) return undefined;
    const { sizeBytes, completedAt } = found;
    return {
      digest,
      sizeBytes,
      complete: true,
      presentBytes: sizeBytes,
      completedAt,
      usedBy: this.usedBy(digest),
    };
  }

  private arrivingStatus(digest: string, partial: Partial): ImageStatus {
    const { sizeBytes } = partial.index;
    const presentBytes = partial.presentBytes;
    return { digest, sizeBytes, complete: false, presentBytes, usedBy: this.usedBy(digest) };
  }

  private usedBy(digest: string): readonly string[] {
    return this.options.usedBy?.(digest) ?? [];
  }

  private measured(): LinkMeasurement | undefined {
    return this.meter.measure() ?? this.measuredBefore;
  }

  private async rememberLink(): Promise<void> {
    const measured = this.meter.measure();
    if (!measured) return;
    this.measuredBefore = measured;
    // Only a hint for later estimates: one that cannot be written is done without.
    await writeFile(this.files.link, JSON.stringify(measured)).catch(() => undefined);
  }

  // -------------------------------------------------------------- refusals

  private readOffered(digest: string, encoded: Uint8Array): ImageIndex {
    this.requireDigest(digest);
    const place = this.placeOf(digest);
    if (encoded.length > MAX_INDEX_BYTES) throw tooLarge(place, "index", encoded.length, MAX_INDEX_BYTES);
    let index: ImageIndex;
    try {
      index = decodeIndex(encoded);
    } catch (error) {
      throw new ImageStoreError(
        "image-corrupt",
        { place, problem: `the index is not usable: ${messageOf(error)}`, mend: "Send it again." },
        { cause: error },
      );
    }
    if (index.digest === digest) return index;
    throw new ImageStoreError("invalid", {
      place,
      problem: `the index is of image ${index.digest}, but was offered for ${digest}`,
      mend: "Offer an image under its own digest.",
    });
  }

  private async requireRoom(digest: string, neededBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.options.directory);
    const free = bavail * bsize - SPARE_DISK_BYTES;
    if (free >= neededBytes) return;
    const place = this.placeOf(digest);
    throw diskFull(
      place,
      `the image needs ${formatBytes(neededBytes)} more, and ${formatBytes(Math.max(0, free))} are free`,
    );
  }

  private requireDigest(digest: string): void {
    if (hexOf(digest) !== undefined) return;
    throw new ImageStoreError("invalid", {
      place: "image store",
      problem: `"${digest.slice(0, 100)}" is not an image digest`,
      mend: "Write it as sha256: and 64 lower-case hex digits.",
    });
  }

  private unknown(digest: string): ImageStoreError {
    return new ImageStoreError("not-found", {
      place: this.placeOf(digest),
      problem: `no image ${digest} was offered here`,
      mend: "Offer its index first.",
    });
  }

  private placeOf(digest: string): string {
    return `image ${digest}`;
  }
}

/** Unpacks, verifies and writes a segment; it counts only when all of it is on disk. */
async function store(place: string, partial: Partial, segment: Segment): Promise<void> {
  const { index } = partial;
  const raw = await unpackSegment(segment).catch((error) => {
    throw segmentCorrupt(place, messageOf(error), error);
  });
  let at = 0;
  for (const [first, count] of segment.runs) {
    for (let position = first; position < first + count; position++) {
      const end = at + index.lengthOf(position);
      if (!index.matches(position, raw.subarray(at, end))) {
        throw segmentCorrupt(place, `its bytes for offset ${index.offsetOf(position)} are not the image's`);
      }
      at = end;
    }
  }
  at = 0;
  for (const run of segment.runs) {
    const end = at + index.bytesOf([run]);
    await partial.write(raw.subarray(at, end), index.offsetOf(run[0]));
    at = end;
  }
  await partial.keep(segment.runs);
}

function readSegment(place: string, digest: string, id: string, bytes: Uint8Array): Segment {
  let segment: Segment;
  try {
    segment = decodeSegment(bytes);
  } catch (error) {
    throw segmentCorrupt(place, messageOf(error), error);
  }
  if (segment.id !== id) throw segmentCorrupt(place, `what arrived is segment ${segment.id}`);
  if (segment.digest !== digest) throw segmentCorrupt(place, `it is a segment of image ${segment.digest}`);
  return segment;
}

function segmentCorrupt(place: string, problem: string, cause?: unknown): ImageStoreError {
  return new ImageStoreError(
    "image-corrupt",
    { place, problem: `the segment was refused: ${problem}`, mend: "Send it again; nothing of it was kept." },
    { cause },
  );
}

function tooLarge(place: string, what: string, bytes: number, limit: number): ImageStoreError {
  return new ImageStoreError("too-large", {
    place,
    problem: `the ${what} has ${formatBytes(bytes)}, more than ${formatBytes(limit)}`,
    mend: `Send a smaller ${what}.`,
  });
}

function asMeasurement(value: unknown): LinkMeasurement | undefined {
  const { rateBps, packedShare } = (value ?? {}) as { rateBps?: unknown; packedShare?: unknown };
  if (!isPositive(rateBps) || !isPositive(packedShare)) return undefined;
  return { rateBps, packedShare };
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}
