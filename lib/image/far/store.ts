import { chmod, rename, statfs, utimes } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { formatBytes } from "../../duration";
import { AbortedError, messageOf } from "../../errors";
import type { ImageStatus, SegmentAnswer, TransferEstimate } from "../../site/api";
import { KeyedLock, Semaphore } from "./concurrency";
import { hexOf } from "../digest";
import { diskFull, storeCorrupt } from "../errors";
import { EstimatePins } from "./estimate-pins";
import { BLOCK_BYTES, blockCountOf } from "../wire/digest";
import { decodeSegmentInSlices, MAX_SEGMENT_BYTES, unpackSegment, type SegmentHead } from "../wire/segment";
import { Spaces } from "../wire/spaces";
import type { TakePiece, TargetCallOptions, TransferRequest, TransferState } from "../wire/target";
import { applySegment } from "./apply";
import type { ImageStore, ImageStoreOptions, LinkRate } from "./contract";
import { BOUNCE_BYTES } from "./direct-file";
import { DirectSpaces } from "./direct-spaces";
import { removeAll, StoreFiles } from "./files";
import { giveFile } from "./give-file";
import { HeldImages } from "./held";
import { Indexer } from "./indexer";
import { Link } from "./link";
import { readManifest, writeManifest } from "./manifest";
import * as refusals from "./refusals";
import { hasAll, requireRange, requireWithin } from "./segment-fit";
import type { Transfer } from "./transfer";
import { Transfers } from "./transfers";

/** Segments unpacked at once: each takes up to 15 MiB beside its body. */
const UNPACKING_AT_ONCE = 3;
/** Of the disk, so much is left alone. */
const SPARE_DISK_BYTES = 2 ** 20;
/** Images count as arriving for so long after the last segment. */
const BUSY_MS = 1_000;
/** Transfers that nobody goes on with are looked for this often: each takes disk, and open files. */
const SWEEP_MS = 60 * 60_000;
/** Transfers that were completed, whose last segments may still come in twice. */
const REMEMBERED_TRANSFERS = 1_000;

/** Opens the image store in a directory, with what a former process left there. One process at a time. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const store = new DirectoryStore(options);
  await store.open();
  return store;
}

class DirectoryStore implements ImageStore {
  private readonly files: StoreFiles;
  private readonly held: HeldImages;
  private readonly pins: EstimatePins;
  private readonly transfers: Transfers;
  private readonly indexer: Indexer;
  private readonly link: Link;
  private readonly locks = new KeyedLock();
  private readonly unpacking = new Semaphore(UNPACKING_AT_ONCE);
  private readonly spaces = new Spaces(UNPACKING_AT_ONCE * 4);
  private readonly directSpaces = new DirectSpaces(UNPACKING_AT_ONCE * 2, BOUNCE_BYTES);
  /** By id, the digests of transfers that were completed. */
  private readonly finished = new Map<string, string>();
  private readonly atWork = new Set<Promise<unknown>>();
  private sweeps: NodeJS.Timeout | undefined;
  private arriving = 0;
  private arrivedAt = -Infinity;

  constructor(private readonly options: ImageStoreOptions) {
    this.files = new StoreFiles(options.directory);
    this.held = new HeldImages(this.files, (digest) => this.usedBy(digest).length > 0);
    this.transfers = new Transfers(this.files);
    this.pins = new EstimatePins((digest) => this.files.of(digest).estimate, options.estimateHoldMs);
    this.link = new Link(this.files.link, options.assumedRateBps);
    this.indexer = new Indexer(
      this.files,
      this.held,
      () => this.arriving > 0 || performance.now() - this.arrivedAt < BUSY_MS,
    );
  }

  async open(): Promise<void> {
    const { complete, transfers } = await this.files.scan();
    for (const digest of complete) {
      // One that cannot be read now is left as it is for the next time; the others are of use all the same.
      await this.held.adopt(digest).catch(() => undefined);
    }
    await this.transfers.restore(transfers);
    // Killed between the image's new name and the end of its transfer.
    for (const digest of this.held.digests) await this.dropTransfersOf(digest);
    for (const digest of this.held.digests) await this.takeBackIfCut(digest);
    await this.link.restore();
    for (const digest of this.held.digests) await this.indexer.request(digest);
    this.sweeps = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  async openTransfer(id: string, request: TransferRequest): Promise<TransferState> {
    const { sizeBytes, digest } = request;
    refusals.requireTransferId(id);
    refusals.requireSize(id, sizeBytes);
    if (digest !== undefined) refusals.requireDigest(digest);
    // Who only looks changes nothing.
    if (request.peek !== true) for (const held of this.held.digests) await this.takeBackIfCut(held);
    return this.locks.run(`transfer ${id}`, async () => {
      const complete = digest === undefined ? undefined : this.completeStatus(digest);
      const { rateBps, packedShare } = this.link.measured ?? {};
      const known = { images: this.images(), rateBps, packedShare };
      if (request.peek === true) {
        const present = this.transfers.get(id);
        const arrived = present?.sizeBytes === sizeBytes && !complete ? present.blocks.prefixes() : "";
        return { complete, arrived, ...known };
      }
      if (complete) {
        await this.transfers.drop(id);
        return { complete, arrived: "", ...known };
      }
      await this.requireRoom(refusals.placeOfTransfer(id), 0);
      this.finished.delete(id);
      let transfer = await this.transfers.open(id, sizeBytes);
      if (digest !== undefined) transfer = await this.transfers.bind(transfer, digest);
      return { arrived: transfer.blocks.prefixes(), ...known };
    });
  }

  async putSegment(
    id: string,
    segmentId: string,
    bytes: Uint8Array,
    options?: TargetCallOptions,
  ): Promise<SegmentAnswer> {
    const arrivedAt = performance.now();
    refusals.requireTransferId(id);
    const place = `${refusals.placeOfTransfer(id)}, segment ${segmentId}`;
    if (bytes.length > MAX_SEGMENT_BYTES)
      throw refusals.segmentTooLarge(place, bytes.length, MAX_SEGMENT_BYTES);
    const head = await decodeSegmentInSlices(bytes).catch((error) => {
      throw refusals.segmentCorrupt(place, messageOf(error), error);
    });
    if (head.id !== segmentId) throw refusals.segmentCorrupt(place, `what arrived is segment ${head.id}`);
    const transfer = this.transfers.get(id);
    if (!transfer) return this.lateAnswer(id);
    requireWithin(place, transfer, head);
    if (!hasAll(transfer, head)) {
      const isStored = await transfer.use(() =>
        transfer.ranges.run(head.firstBlock, head.blockCount, () =>
          this.unpacking.run(() => this.store(place, transfer, head, options?.signal)),
        ),
      );
      if (!isStored) return this.lateAnswer(id, transfer);
    }
    this.link.note(arrivedAt, bytes.length, head.literalBytes);
    return { presentBytes: transfer.blocks.presentBytes };
  }

  completeTransfer(id: string, digest: string): Promise<ImageStatus> {
    refusals.requireTransferId(id);
    refusals.requireDigest(digest);
    const completion = this.locks
      .run(digest, () => this.finish(id, digest))
      .finally(() => this.atWork.delete(completion));
    this.atWork.add(completion);
    return completion;
  }

  async fetchIndex(digest: string, take: TakePiece, options?: TargetCallOptions): Promise<boolean> {
    const path = await this.indexPath(digest, options);
    return path !== undefined && giveFile(path, take, options?.signal);
  }

  async indexPath(digest: string, options?: TargetCallOptions): Promise<string | undefined> {
    refusals.requireDigest(digest);
    await this.takeBackIfCut(digest);
    return (await this.indexer.wait(digest, options?.signal)) ? this.files.of(digest).index : undefined;
  }

  async pinEstimate(digest: string, estimate: TransferEstimate): Promise<TransferEstimate> {
    refusals.requireDigest(digest);
    refusals.requireEstimate(digest, estimate);
    return this.locks.run(digest, async () => {
      const complete = this.completeStatus(digest);
      if (complete) {
        const told = await this.pins.getComplete(digest, complete.completedAt ?? 0);
        if (told) return told;
        const nothing = {
          ...estimate,
          totalBytes: complete.sizeBytes,
          ...{ presentBytes: estimate.inUseBytes, sendBytes: 0, etaMs: 0 },
          ...this.link.rate,
        };
        await this.pins.put(digest, nothing);
        return nothing;
      }
      const times = await Promise.all(
        this.transfers
          .ofDigest(digest)
          .map(async (one) => (one.blocks.presentBytes > 0 ? one.changedAt() : 0)),
      );
      const pinned = await this.pins.get(digest, Math.max(0, ...times));
      if (pinned) return pinned;
      await this.pins.put(digest, estimate);
      return estimate;
    });
  }

  async status(digest: string): Promise<ImageStatus | undefined> {
    refusals.requireDigest(digest);
    const complete = this.completeStatus(digest);
    if (complete) return complete;
    const [first, ...others] = this.transfers.ofDigest(digest);
    if (!first) return undefined;
    const { sizeBytes } = first;
    const presentBytes = Math.max(...[first, ...others].map(({ blocks }) => blocks.presentBytes));
    return { digest, sizeBytes, complete: false, presentBytes, usedBy: this.usedBy(digest) };
  }

  async list(): Promise<readonly ImageStatus[]> {
    const arriving = this.transfers.all.map(({ digest }) => digest).filter((digest) => digest !== undefined);
    const digests = new Set([...this.held.digests, ...arriving]);
    const found = await Promise.all([...digests].sort().map((digest) => this.status(digest)));
    return found.filter((status) => status !== undefined);
  }

  async delete(digest: string): Promise<void> {
    refusals.requireDigest(digest);
    await this.locks.run(digest, async () => {
      const users = this.usedBy(digest);
      if (users.length > 0) throw refusals.inUse(digest, users);
      await this.dropTransfersOf(digest);
      this.held.remove(digest);
      this.indexer.forget(digest);
      const { image, manifest, index, estimate } = this.files.of(digest);
      await removeAll([image, manifest, index, estimate]);
    });
  }

  path(digest: string): string {
    if (this.completeStatus(digest)) return this.files.of(digest).image;
    throw refusals.notHeld(this.options, digest, this.transfers.ofDigest(digest).length > 0);
  }

  async verify(digest: string, options?: TargetCallOptions): Promise<ImageStatus> {
    this.path(digest);
    await this.takeBackIfCut(digest);
    const place = refusals.placeOf(digest);
    if (!(await readManifest(this.files.of(digest).manifest, digest))) {
      // Nothing says what each block should be: it is taken anew, or put aside.
      this.indexer.forget(digest);
      await this.held.adopt(digest);
      if (!this.held.look(digest))
        throw storeCorrupt(place, "its file is not the image that it is named after");
    }
    const sizeBytes = this.held.look(digest)?.sizeBytes ?? 0;
    const bad = await this.held.findBad(digest, blocksOf(sizeBytes, options?.signal));
    if (bad.length > 0) await this.takeBack(digest, bad);
    const status = this.completeStatus(digest);
    if (status) return status;
    const where = bad.length > 0 ? `, first at offset ${bad[0] * BLOCK_BYTES}` : "";
    throw storeCorrupt(place, `${bad.length} blocks are wrong on the disk of the image store${where}`);
  }

  linkRate(): LinkRate {
    return this.link.rate;
  }

  async close(): Promise<void> {
    clearInterval(this.sweeps);
    await this.indexer.stop();
    await Promise.allSettled(this.atWork);
    await this.transfers.close();
  }

  // -------------------------------------------------------------- segments

  /** For a segment of a transfer that is over: if its image is complete, nothing is missing. */
  private lateAnswer(id: string, transfer?: Transfer): SegmentAnswer {
    const complete = this.completeStatus(transfer?.digest ?? this.finished.get(id) ?? "");
    if (complete) return { presentBytes: complete.sizeBytes };
    throw refusals.unknownTransfer(id);
  }

  /** @returns false when the transfer was over before its turn came */
  private async store(
    place: string,
    transfer: Transfer,
    head: SegmentHead,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (transfer.isOver) return false;
    if (signal?.aborted) throw new AbortedError("stopped");
    await this.requireRoom(place, head.literalBytes);
    this.arriving++;
    try {
      const content = await unpackSegment(head, this.spaces).catch((error) => {
        throw refusals.segmentCorrupt(place, messageOf(error), error);
      });
      try {
        requireRange(place, transfer, head, content.rangeBytes);
        const { held, spaces, directSpaces } = this;
        const onDamaged = (digest: string, blocks: readonly number[]) => this.takeBack(digest, blocks);
        await applySegment({ place, transfer, held, spaces, directSpaces, onDamaged }, content);
        return true;
      } finally {
        content.release();
      }
    } finally {
      this.arriving--;
      this.arrivedAt = performance.now();
    }
  }

  private async requireRoom(place: string, neededBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.options.directory);
    const free = bavail * bsize - SPARE_DISK_BYTES;
    if (free >= neededBytes) return;
    throw diskFull(
      place,
      neededBytes > 0
        ? `${formatBytes(neededBytes)} are to be written, and ${formatBytes(Math.max(0, free))} are free`
        : "nothing is free",
    );
  }

  // -------------------------------------------------------------- completion

  private async finish(id: string, digest: string): Promise<ImageStatus> {
    const done = this.completeStatus(digest);
    if (!done) {
      const transfer = this.transfers.get(id);
      const finishing = transfer?.use(() =>
        // Nothing of it changes any more while it is looked at.
        transfer.ranges.run(0, transfer.blocks.blockCount, () => this.verifyArrived(transfer, digest)),
      );
      if (!transfer || !finishing) throw refusals.unknownTransfer(id);
      await finishing;
      await this.transfers.finished(transfer);
      await this.link.remember();
      await this.indexer.request(digest);
    }
    await this.dropTransfersOf(digest);
    await this.transfers.drop(id);
    this.rememberFinished(id, digest);
    const status = this.completeStatus(digest);
    if (status) return status;
    throw storeCorrupt(refusals.placeOf(digest), "the image's file was changed as soon as it was complete");
  }

  private async verifyArrived(transfer: Transfer, digest: string): Promise<void> {
    const place = refusals.placeOf(digest);
    const { blocks } = transfer;
    requireAll(place, transfer);
    const found = blocks.digest();
    if (found !== digest) {
      throw storeCorrupt(place, `every block has arrived, but together they are the image ${found}`);
    }
    await this.verifyClaims(transfer, place);
    await transfer.seal();
    // A disk that failed in the meantime leaves nothing sure.
    requireAll(place, transfer);
    await this.verifyClaims(transfer, place);
    const files = this.files.of(digest);
    const { partial } = this.files.ofTransfer(transfer.id);
    await writeManifest(this.files, files.manifest, transfer.sizeBytes, blocks.leaves());
    await chmod(partial, 0o444);
    await utimes(partial, new Date(), new Date());
    await rename(partial, files.image);
    transfer.digest = digest;
    transfer.retire();
    await this.files.syncDirectory();
    this.held.add(digest, transfer.sizeBytes);
  }

  private async verifyClaims(transfer: Transfer, place: string): Promise<void> {
    const bad = await transfer.verifyClaims();
    if (bad.length === 0) return;
    throw storeCorrupt(
      place,
      `${bad.length} blocks are wrong on the disk of the image store, first at offset ${bad[0] * BLOCK_BYTES}`,
    );
  }

  private rememberFinished(id: string, digest: string): void {
    this.finished.set(id, digest);
    const [oldest] = this.finished.keys();
    if (this.finished.size > REMEMBERED_TRANSFERS) this.finished.delete(oldest);
  }

  private sweep(): void {
    for (const { id } of this.transfers.all) {
      const dropped = this.locks
        .run(`transfer ${id}`, () => this.transfers.dropIfIdle(id))
        // What could not be removed is tried the next time, or when the store is opened again.
        .catch(() => undefined)
        .finally(() => this.atWork.delete(dropped));
      this.atWork.add(dropped);
    }
  }

  private async dropTransfersOf(digest: string): Promise<void> {
    for (const { id } of this.transfers.ofDigest(digest)) {
      await this.transfers.drop(id);
      this.rememberFinished(id, digest);
    }
  }

  // -------------------------------------------------------------- what is held

  /** The newest first: the near side does not look at all of very many. */
  private images(): readonly string[] {
    const whole: { digest: string; completedAt: number }[] = [];
    for (const digest of this.held.digests) {
      const found = this.held.look(digest);
      if (found?.isWhole) whole.push({ digest, completedAt: found.completedAt });
    }
    return whole.sort((one, other) => other.completedAt - one.completedAt).map(({ digest }) => digest);
  }

  private async takeBackIfCut(digest: string): Promise<void> {
    const found = this.held.look(digest);
    if (found && !found.isWhole) await this.takeBack(digest, []);
  }

  /** A held image that is damaged counts as arriving again, so that the next push mends it. */
  private takeBack(digest: string, bad: readonly number[]): Promise<void> {
    return this.locks.run(`take back ${digest}`, async () => {
      if (!this.held.look(digest)) return;
      this.indexer.forget(digest);
      await this.held.takeBack(digest, bad);
      await this.transfers.restore([hexOf(digest) ?? ""]);
    });
  }

  private completeStatus(digest: string): ImageStatus | undefined {
    const found = this.held.look(digest);
    if (!found?.isWhole) return undefined;
    const { sizeBytes, completedAt } = found;
    const usedBy = this.usedBy(digest);
    return { digest, sizeBytes, complete: true, presentBytes: sizeBytes, completedAt, usedBy };
  }

  private usedBy(digest: string): readonly string[] {
    return this.options.usedBy?.(digest) ?? [];
  }
}

/** @throws ImageStoreError `image-incomplete` */
function requireAll(place: string, { blocks }: Transfer): void {
  const missing = blocks.missing();
  if (missing) throw refusals.stillMissing(place, missing.bytes, missing.first * BLOCK_BYTES);
}

function* blocksOf(sizeBytes: number, signal: AbortSignal | undefined): Generator<number> {
  for (let block = 0; block < blockCountOf(sizeBytes); block++) {
    if (signal?.aborted) throw new AbortedError("stopped while verifying");
    yield block;
  }
}
