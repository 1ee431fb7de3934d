import { readFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { AbortedError, messageOf } from "../../errors";
import type { ImageStatus, SegmentAnswer, TransferEstimate } from "../../site/api";
import { hexOf } from "../digest";
import { storeCorrupt } from "../errors";
import { BLOCK_BYTES, blockCountOf } from "../wire/digest";
import { decodeSegmentInSlices, MAX_SEGMENT_BYTES } from "../wire/segment";
import type { TargetCallOptions, TransferRequest, TransferState } from "../wire/target";
import { completeImage } from "./completion";
import { KeyedLock } from "./concurrency";
import type { ImageStore, ImageStoreOptions, LinkRate } from "./contract";
import { requireRoom } from "./disk-room";
import { Estimates } from "./estimates";
import { removeAll, StoreFiles } from "./files";
import { HeldImages } from "./held";
import { Indexer } from "./indexer";
import { SegmentIntake } from "./intake";
import { Link } from "./link";
import { readManifest } from "./manifest";
import * as refusals from "./refusals";
import { hasAll, requireWithin } from "./segment-fit";
import type { Transfer } from "./transfer";
import { Transfers } from "./transfers";

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
  private readonly transfers: Transfers;
  private readonly link: Link;
  private readonly estimates: Estimates;
  private readonly intake: SegmentIntake;
  private readonly indexer: Indexer;
  private readonly locks = new KeyedLock();
  /** By id, the digests of transfers that were completed. */
  private readonly finished = new Map<string, string>();
  private readonly atWork = new Set<Promise<unknown>>();
  private sweeps: NodeJS.Timeout | undefined;

  constructor(private readonly options: ImageStoreOptions) {
    this.files = new StoreFiles(options.directory);
    this.held = new HeldImages(this.files, (digest) => this.usedBy(digest).length > 0);
    this.transfers = new Transfers(this.files);
    this.link = new Link(this.files.link, options.assumedRateBps);
    this.estimates = new Estimates(this.files, this.transfers, this.link, options.estimateHoldMs);
    this.intake = new SegmentIntake({
      held: this.held,
      requireRoom: (place, bytes) => requireRoom(options.directory, place, bytes),
      onDamaged: (digest, blocks) => this.takeBack(digest, blocks),
    });
    this.indexer = new Indexer(this.files, this.held, () => this.intake.isBusy);
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
      await requireRoom(this.options.directory, refusals.placeOfTransfer(id), 0);
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
    if (!hasAll(transfer, head) && !(await this.intake.put(place, transfer, head, options?.signal)))
      return this.lateAnswer(id, transfer);
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

  async fetchIndex(digest: string, options?: TargetCallOptions): Promise<Uint8Array | undefined> {
    const path = await this.indexPath(digest, options);
    return path === undefined ? undefined : readFile(path).catch(() => undefined);
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
      return complete
        ? this.estimates.ofComplete(complete, estimate)
        : this.estimates.ofArriving(digest, estimate);
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

  // -------------------------------------------------------------- completion

  private async finish(id: string, digest: string): Promise<ImageStatus> {
    const done = this.completeStatus(digest);
    if (!done) {
      const transfer = this.transfers.get(id);
      const finishing = transfer?.use(() =>
        // Nothing of it changes any more while it is looked at.
        transfer.ranges.run(0, transfer.blocks.blockCount, async () => {
          await completeImage(this.files, transfer, digest);
          this.held.add(digest, transfer.sizeBytes);
        }),
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

function* blocksOf(sizeBytes: number, signal: AbortSignal | undefined): Generator<number> {
  for (let block = 0; block < blockCountOf(sizeBytes); block++) {
    if (signal?.aborted) throw new AbortedError("stopped while verifying");
    yield block;
  }
}
