import { readFile } from "node:fs/promises";
import { formatBytes } from "../../../lib/duration";
import { SpillwayError, messageOf } from "../../../lib/errors";
import { hexOf } from "../../../lib/image/digest";
import { FormatError } from "../../../lib/image/errors";
import { TargetError, type TargetErrorCode } from "../../../lib/image/targets/errors";
import type {
  ImageTarget,
  TakePiece,
  TargetCallOptions,
  TransferRequest,
  TransferState,
} from "../../../lib/image/wire/target";
import { BLOCK_BYTES } from "../../../lib/image/wire/digest";
import { decodeSegment, type SegmentHead } from "../../../lib/image/wire/segment";
import type { ImageStatus, SegmentAnswer, TransferEstimate } from "../../../lib/site/api";
import type { Bucket } from "./bucket";
import { inParallel } from "./in-parallel";
import {
  decodeArrived,
  encodeArrived,
  FORMAT,
  FORMAT_VERSION,
  imageOfKey,
  KEYS,
  MAX_DEPTH,
  parseManifest,
  type Manifest,
} from "./layout";
import { BucketTransfer, digestOfLeaves, entryOf } from "./transfer";

/** So many images at most are offered for copies, the newest first. */
const OFFERED_IMAGES = 32;

/**
 * Images in a bucket, for clouds without an agent: what a far side holds, as objects. Nobody computes there, so an image is put
 * together and verified block by block when it is pulled; that all of its segments are there, and that their leaves make up its
 * digest, is verified when it is completed.
 */
export class ImageBucket implements ImageTarget {
  readonly verifiesCopies = false;
  private readonly transfers = new Map<string, BucketTransfer>();

  constructor(private readonly bucket: Bucket) {}

  /** `s3://bucket/prefix` */
  get place(): string {
    return this.bucket.place;
  }

  close(): void {
    this.bucket.close();
  }

  /** Finds a wrong name, missing credentials and the like before anything is begun. @throws TargetError */
  async connect(signal?: AbortSignal): Promise<void> {
    await this.bucket.get("spillway", signal);
    await this.bucket.list(KEYS.images, signal);
  }

  async openTransfer(
    id: string,
    { sizeBytes, digest, peek = false }: TransferRequest,
    { signal }: TargetCallOptions = {},
  ): Promise<TransferState> {
    this.requireTransferId(id);
    const manifest = digest === undefined ? undefined : await this.manifest(digest, signal);
    const images = await this.offered(signal);
    if (manifest) return { complete: statusOf(manifest), images, arrived: "" };
    const look = peek ? this.peekAt : this.arrived;
    const transfer = await look.call(this, id, sizeBytes, new Set(images), signal);
    if (!peek) this.transfers.set(id, transfer);
    return { images, arrived: transfer.arrivedPrefixes() };
  }

  async putSegment(
    id: string,
    segmentId: string,
    segment: Uint8Array,
    options: TargetCallOptions = {},
  ): Promise<SegmentAnswer> {
    const transfer = this.requireTransfer(id);
    const head = this.decode(segmentId, segment);
    const { firstBlock, blockCount, bases, leaves } = head;
    if (firstBlock + blockCount > transfer.blockCount) {
      throw this.refuse("invalid", `segment ${segmentId}`, `it describes blocks beyond the image's end`);
    }
    const missing = bases.find((base) => !transfer.images.has(base));
    if (missing !== undefined) {
      throw this.refuse(
        "image-missing",
        `segment ${segmentId}`,
        `it copies from ${missing}, which is not offered here`,
      );
    }
    if (!transfer.has(segmentId)) {
      const number = transfer.takeNumber();
      // Copied: the leaves are parts of the sender's memory, which is used again.
      const own = leaves.map((leaf) => leaf && Buffer.from(leaf));
      const arrived = { id: segmentId, firstBlock, blockCount, bytes: segment.length, bases, leaves: own };
      await this.bucket.put(KEYS.segment(segmentId), segment, options);
      await this.bucket.put(KEYS.arrived(id, number, segmentId), encodeArrived(arrived), {
        signal: options.signal,
      });
      transfer.add(number, arrived);
    }
    return { presentBytes: transfer.presentBytes };
  }

  async completeTransfer(
    id: string,
    digest: string,
    { signal }: TargetCallOptions = {},
  ): Promise<ImageStatus> {
    const hex = this.requireHex(digest);
    const held = await this.manifest(digest, signal);
    if (held) return statusOf(held);
    const transfer = this.requireTransfer(id);
    await this.dropUnusable(id, transfer, signal);
    const { sizeBytes, entries, bases } = transfer;
    const leaves = transfer.leaves();
    const found = digestOfLeaves(sizeBytes, leaves);
    if (found === undefined) {
      const bytes = sizeBytes - transfer.presentBytes;
      const first = leaves.indexOf(undefined) * BLOCK_BYTES;
      throw this.refuse(
        "image-incomplete",
        `image ${digest}`,
        `${formatBytes(bytes)} of the image are still missing, first at offset ${first}`,
      );
    }
    if (found !== digest) {
      throw this.refuse(
        "image-corrupt",
        `image ${digest}`,
        `what has arrived makes up ${found}, not ${digest}`,
      );
    }
    const depths = await inParallel(bases, async (base) => (await this.requireManifest(base, signal)).depth);
    const manifest: Manifest = {
      ...{ format: FORMAT, version: FORMAT_VERSION, digest, sizeBytes, blockBytes: BLOCK_BYTES, bases },
      ...{ depth: 1 + Math.max(0, ...depths), segments: entries.map(entryOf), completedAt: Date.now() },
    };
    await this.bucket.put(KEYS.leaves(hex), Buffer.concat(leaves as Buffer[]), { signal });
    // Written last: with it, the image is there.
    const isNew = await this.bucket.putNew(KEYS.manifest(hex), Buffer.from(JSON.stringify(manifest)), {
      signal,
    });
    await this.forget(id, signal);
    return statusOf(isNew ? manifest : await this.requireManifest(digest, signal));
  }

  async fetchIndex(digest: string, take: TakePiece, { signal }: TargetCallOptions = {}): Promise<boolean> {
    return this.bucket.give(KEYS.index(this.requireHex(digest)), take, signal);
  }

  /** Not pinned: Terraform, which asks twice, has no buckets. */
  pinEstimate(_digest: string, estimate: TransferEstimate): Promise<TransferEstimate> {
    return Promise.resolve(estimate);
  }

  /**
   * Leaves an image's index beside it, which nobody there can make. Without it the image is not copied from by the next.
   * Does nothing when there is one.
   */
  async keepIndex(digest: string, path: string, signal?: AbortSignal): Promise<void> {
    const key = KEYS.index(this.requireHex(digest));
    const there = await this.bucket.list(key, signal);
    if (there.length === 0) await this.bucket.put(key, await readFile(path, { signal }), { signal });
  }

  /** Undefined when the image is not there. @throws TargetError, SpillwayError */
  async manifest(digest: string, signal?: AbortSignal): Promise<Manifest | undefined> {
    const key = KEYS.manifest(this.requireHex(digest));
    const bytes = await this.bucket.get(key, signal);
    return bytes && parseManifest(bytes, digest, `${this.place}/${key}`);
  }

  /** @throws TargetError `image-missing` */
  async requireManifest(digest: string, signal?: AbortSignal): Promise<Manifest> {
    const manifest = await this.manifest(digest, signal);
    if (manifest) return manifest;
    throw this.refuse("image-missing", `image ${digest}`, `the image ${digest} is not in ${this.place}`);
  }

  /** The leaves of all blocks of an image, one after the other. @throws TargetError */
  async leaves(digest: string, signal?: AbortSignal): Promise<Buffer> {
    const key = KEYS.leaves(this.requireHex(digest));
    const bytes = await this.bucket.get(key, signal);
    if (bytes) return bytes;
    throw this.refuse(
      "image-corrupt",
      `${this.place}/${key}`,
      "the image's leaves are not there any more",
      DAMAGED,
    );
  }

  /** Every image, the newest first. */
  async list(
    signal?: AbortSignal,
  ): Promise<readonly { readonly digest: string; readonly hasIndex: boolean }[]> {
    const listed = await this.bucket.list(KEYS.images, signal);
    const files = listed.map((object) => ({ ...object, image: imageOfKey(object.key) }));
    const indexed = new Set(
      files.filter(({ image }) => image?.file === "index").map(({ image }) => image?.digest),
    );
    return files
      .filter(({ image }) => image?.file === "manifest.json")
      .sort((a, b) => b.changedAt - a.changedAt)
      .map(({ image }) => ({ digest: image?.digest ?? "", hasIndex: indexed.has(image?.digest) }));
  }

  /** The bytes of a segment, as they were sent. @throws TargetError `image-corrupt` when they are not there, or not these */
  async segment(id: string, signal?: AbortSignal): Promise<Buffer> {
    const bytes = await this.bucket.get(KEYS.segment(id), signal);
    const place = `${this.place}/${KEYS.segment(id)}`;
    if (!bytes) throw this.refuse("image-corrupt", place, `the segment ${id} is not there any more`, DAMAGED);
    try {
      if (decodeSegment(bytes).id !== id) throw new FormatError("segment", "it is another one");
    } catch (error) {
      throw this.refuse("image-corrupt", place, `the segment ${id} is damaged: ${messageOf(error)}`, DAMAGED);
    }
    return bytes;
  }

  private async offered(signal: AbortSignal | undefined): Promise<string[]> {
    const usable = (await this.list(signal)).filter(({ hasIndex }) => hasIndex).slice(0, OFFERED_IMAGES);
    const depths = await inParallel(usable, async ({ digest }) => {
      // One that cannot be read is none that could be copied from.
      const manifest = await this.manifest(digest, signal).catch((error: unknown) => {
        if (error instanceof SpillwayError && !(error instanceof TargetError)) return undefined;
        throw error;
      });
      return manifest?.depth ?? MAX_DEPTH;
    });
    return usable.filter((_, i) => depths[i] < MAX_DEPTH).map(({ digest }) => digest);
  }

  private async arrived(
    id: string,
    sizeBytes: number,
    images: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ): Promise<BucketTransfer> {
    const begun = await this.begun(id, signal);
    if (!begun) {
      await this.bucket.put(KEYS.transfer(id), Buffer.from(JSON.stringify({ sizeBytes })), { signal });
    } else if (begun.sizeBytes !== sizeBytes) {
      throw this.refuse(
        "invalid",
        `transfer ${id}`,
        `it was begun for an image of another size than ${sizeBytes} bytes`,
      );
    }
    // Segments that are under way belong to the one that there is.
    const transfer = this.transfers.get(id) ?? new BucketTransfer(sizeBytes, images);
    transfer.images = images;
    await this.readArrivals(id, transfer, signal);
    await this.dropUnusable(id, transfer, signal);
    return transfer;
  }

  /** The same for somebody who only looks: nothing is written, nothing deleted. */
  private async peekAt(
    id: string,
    sizeBytes: number,
    images: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ): Promise<BucketTransfer> {
    const transfer = new BucketTransfer(sizeBytes, images);
    if ((await this.begun(id, signal))?.sizeBytes !== sizeBytes) return transfer;
    await this.readArrivals(id, transfer, signal);
    transfer.dropFrom(await this.firstUnusable(transfer, signal));
    return transfer;
  }

  private async begun(id: string, signal: AbortSignal | undefined) {
    const bytes = await this.bucket.get(KEYS.transfer(id), signal);
    return bytes && (JSON.parse(bytes.toString("utf8")) as { readonly sizeBytes?: number });
  }

  private async readArrivals(
    id: string,
    transfer: BucketTransfer,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const unknown = (await this.arrivals(id, signal)).filter(({ segment }) => !transfer.has(segment));
    const read = await inParallel(unknown, async ({ key, number, segment }) => {
      const bytes = await this.bucket.get(key, signal);
      const arrived = bytes && decodeArrived(bytes, transfer.blockCount);
      return arrived?.id === segment ? { number, arrived } : undefined;
    });
    for (const one of read) if (one) transfer.add(one.number, one.arrived);
  }

  private async arrivals(id: string, signal: AbortSignal | undefined) {
    const under = KEYS.arrivals(id);
    return (await this.bucket.list(under, signal)).flatMap(({ key }) => {
      const match = /^(\d{10})-([0-9a-f]{32})$/.exec(key.slice(under.length));
      return match ? [{ key, number: Number(match[1]), segment: match[2] }] : [];
    });
  }

  /**
   * Takes back that segments have arrived which are gone, or copy from images that are gone: somebody tidied up. Those that arrived
   * after them may copy from their blocks, and go with them.
   */
  private async dropUnusable(
    id: string,
    transfer: BucketTransfer,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const first = await this.firstUnusable(transfer, signal);
    if (first === Infinity) return;
    const dropped = (await this.arrivals(id, signal)).filter(({ number }) => number >= first);
    // The first one last: while its mark is there, the others are known to be unusable.
    const keys = dropped.sort((a, b) => b.number - a.number).map(({ key }) => key);
    await this.bucket.delete(keys, signal);
    transfer.dropFrom(first);
  }

  /** The number of the first segment that cannot be applied; Infinity when all can. */
  private async firstUnusable(transfer: BucketTransfer, signal: AbortSignal | undefined): Promise<number> {
    const { entries } = transfer;
    if (entries.length === 0) return Infinity;
    const there = new Map(
      (await this.bucket.list(KEYS.segments, signal)).map(({ key, bytes }) => [key, bytes]),
    );
    const unsure = transfer.bases.filter((base) => !transfer.images.has(base));
    const gone = new Set<string>();
    await inParallel(unsure, async (base) => {
      if (!(await this.manifest(base, signal))) gone.add(base);
    });
    const found = entries.find(
      ({ id, bytes, bases }) => there.get(KEYS.segment(id)) !== bytes || bases.some((base) => gone.has(base)),
    );
    return found?.number ?? Infinity;
  }

  /** What nobody needs any more. That it cannot be deleted takes nothing from the image. */
  private async forget(id: string, signal: AbortSignal | undefined): Promise<void> {
    this.transfers.delete(id);
    try {
      const arrivals = await this.bucket.list(KEYS.arrivals(id), signal);
      await this.bucket.delete([...arrivals.map(({ key }) => key), KEYS.transfer(id)], signal);
    } catch (error) {
      if (signal?.aborted) throw error;
    }
  }

  private decode(segmentId: string, segment: Uint8Array): SegmentHead {
    let head: SegmentHead;
    try {
      head = decodeSegment(segment);
    } catch (error) {
      throw this.refuse("image-corrupt", `segment ${segmentId}`, messageOf(error), "Send it again.");
    }
    if (head.id === segmentId) return head;
    throw this.refuse("invalid", `segment ${segmentId}`, `its bytes are those of segment ${head.id}`);
  }

  private requireTransfer(id: string): BucketTransfer {
    const transfer = this.transfers.get(id);
    if (transfer) return transfer;
    throw this.refuse("not-found", `transfer ${id}`, `the transfer ${id} was not opened`);
  }

  private requireTransferId(id: string): void {
    if (!/^[0-9a-f]{64}$/.test(id))
      throw this.refuse("invalid", "transfer", `"${id.slice(0, 100)}" is not the id of a transfer`);
  }

  private requireHex(digest: string): string {
    const hex = hexOf(digest);
    if (hex !== undefined) return hex;
    throw this.refuse(
      "invalid",
      this.place,
      `"${digest.slice(0, 100)}" is not an image digest`,
      "Write it as sha256: and 64 lower-case hex digits.",
    );
  }

  private refuse(
    code: TargetErrorCode,
    place: string,
    problem: string,
    mend = "Push the image again: only what is missing will be sent.",
  ): TargetError {
    return new TargetError(code, { place, problem, mend });
  }
}

const DAMAGED = "Delete the image's manifest.json there, and push the image again.";

function statusOf({ digest, sizeBytes, completedAt }: Manifest): ImageStatus {
  return { digest, sizeBytes, complete: true, presentBytes: sizeBytes, completedAt, usedBy: [] };
}
