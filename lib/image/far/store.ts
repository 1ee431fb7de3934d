import { performance } from "node:perf_hooks";
import { AbortedError, messageOf } from "../../errors";
import type { ImageStatus, SegmentAnswer, TransferEstimate } from "../../site/api";
import { hexOf } from "../digest";
import { storeCorrupt } from "../errors";
import { BLOCK_BYTES, blockCountOf } from "../wire/digest";
import { decodeSegmentInSlices, MAX_SEGMENT_BYTES } from "../wire/segment";
import type { TakePiece, TargetCallOptions, TransferRequest, TransferState } from "../wire/target";
import { completeImage } from "./completion";
import { KeyedLock } from "./concurrency";
import type { ImageStore, ImageStoreOptions, LinkRate } from "./contract";
import { requireRoom } from "./disk-room";
import { Estimates } from "./estimates";
import { removeAll, StoreFiles } from "./files";
import { giveFile } from "./give-file";
import { HeldImages } from "./held";
import { Indexer } from "./indexer";
import { SegmentIntake } from "./intake";
import { Link } from "./link";
import { readManifest } from "./manifest";
import * as mishaps from "./mishaps";
import * as refusals from "./refusals";
import { Retention } from "./retention";
import { hasAll, requireWithin } from "./segment-fit";
import { Statuses } from "./statuses";
import type { Transfer } from "./transfer";
import { Transfers } from "./transfers";
import { Unwatched } from "./unwatched";

/** Transfers that nobody goes on with are looked for this often: each takes disk, and open files. */
const SWEEP_MS = 60 * 60_000;

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
  private readonly statuses: Statuses;
  private readonly link: Link;
  private readonly estimates: Estimates;
  private readonly intake: SegmentIntake;
  private readonly indexer: Indexer;
  private readonly locks = new KeyedLock();
  private readonly unwatched: Unwatched;
  private readonly retention: Retention;
  private sweeps: NodeJS.Timeout | undefined;

  constructor(private readonly options: ImageStoreOptions) {
    const usedBy = (digest: string) => options.usedBy?.(digest) ?? [];
    const files = (this.files = new StoreFiles(options.directory));
    const unwatched = (this.unwatched = new Unwatched(options.onProblem));
    const held = (this.held = new HeldImages(files, (digest) => usedBy(digest).length > 0));
    const transfers = (this.transfers = new Transfers(files, (id) => unwatched.tell(mishaps.unusable(id))));
    this.statuses = new Statuses(held, transfers, usedBy);
    this.retention = new Retention({
      options,
      files,
      held,
      transfers,
      evict: (digest) => this.evict(digest),
    });
    this.link = new Link(files.link, options.assumedRateBps);
    this.estimates = new Estimates(files, transfers, this.link, options.estimateHoldMs);
    this.intake = new SegmentIntake({
      held,
      requireRoom: (place, bytes) => this.requireRoom(place, bytes),
      onDamaged: (digest, blocks) => this.takeBack(digest, blocks),
    });
    this.indexer = new Indexer(files, held, () => this.intake.isBusy);
  }

  async open(): Promise<void> {
    const { complete, transfers } = await this.files.scan();
    // What cannot be read now is left as it is for the next time; the others are of use all the same.
    for (const digest of complete)
      await this.unwatched.run(mishaps.unreadable(digest), () => this.adopt(digest));
    for (const id of transfers)
      await this.unwatched.run(mishaps.notResumed(id), () => this.transfers.restore([id]));
    for (const digest of this.held.digests) {
      // Killed between the image's new name and the end of its transfer.
      await this.unwatched.run(mishaps.notSwept(digest), () => this.dropTransfersOf(digest));
      await this.unwatched.run(mishaps.unreadable(digest), () => this.takeBackIfCut(digest));
    }
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
      const complete = digest === undefined ? undefined : this.statuses.complete(digest);
      if (request.peek === true) {
        const present = this.transfers.get(id);
        const arrived = present?.sizeBytes === sizeBytes && !complete ? present.blocks.prefixes() : "";
        return { complete, arrived, ...this.known() };
      }
      if (complete) {
        await this.retention.noteWanted(complete.digest);
        await this.transfers.drop(id);
        return { complete, arrived: "", ...this.known() };
      }
      await this.requireRoom(refusals.placeOfTransfer(id), 0);
      let transfer = await this.transfers.open(id, sizeBytes);
      if (digest !== undefined) transfer = await this.transfers.bind(transfer, digest);
      const known = this.known();
      transfer.offered = new Set(known.images);
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
    return this.unwatched.track(this.locks.run(digest, () => this.finish(id, digest)));
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
      const complete = this.statuses.complete(digest);
      if (complete) await this.retention.noteWanted(digest);
      return complete
        ? this.estimates.ofComplete(complete, estimate)
        : this.estimates.ofArriving(digest, estimate);
    });
  }

  async status(digest: string): Promise<ImageStatus | undefined> {
    refusals.requireDigest(digest);
    const status = this.statuses.of(digest);
    if (status?.complete) await this.retention.noteWanted(digest);
    return status;
  }

  list(): Promise<readonly ImageStatus[]> {
    return Promise.resolve(this.statuses.all());
  }

  async delete(digest: string): Promise<void> {
    refusals.requireDigest(digest);
    await this.locks.run(digest, async () => {
      const users = this.statuses.usedBy(digest);
      if (users.length > 0) throw refusals.inUse(digest, users);
      await this.dropTransfersOf(digest);
      await this.remove(digest);
    });
  }

  path(digest: string): string {
    if (this.statuses.complete(digest)) return this.files.of(digest).image;
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
    const status = this.statuses.complete(digest);
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
    await this.unwatched.done();
    await this.transfers.close();
  }

  // -------------------------------------------------------------- segments

  /** For a segment of a transfer that is over: if its image is complete, nothing is missing. */
  private lateAnswer(id: string, transfer?: Transfer): SegmentAnswer {
    const complete = this.statuses.complete(transfer?.digest ?? this.transfers.finishedAs(id) ?? "");
    if (complete) return { presentBytes: complete.sizeBytes };
    throw refusals.unknownTransfer(id);
  }

  // -------------------------------------------------------------- completion

  private async finish(id: string, digest: string): Promise<ImageStatus> {
    const done = this.statuses.complete(digest);
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
      this.settle();
    }
    await this.dropTransfersOf(digest);
    await this.transfers.drop(id);
    this.transfers.noteFinished(id, digest);
    const status = this.statuses.complete(digest);
    if (status) return status;
    throw storeCorrupt(refusals.placeOf(digest), "the image's file was changed as soon as it was complete");
  }

  private sweep(): void {
    for (const { id } of this.transfers.all) {
      const dropping = this.locks.run(`transfer ${id}`, () =>
        this.unwatched.run(mishaps.notDropped(id), () => this.transfers.dropIfIdle(id)),
      );
      void this.unwatched.track(dropping);
    }
    this.settle();
  }

  private settle(): void {
    void this.unwatched.track(this.unwatched.run(mishaps.NOT_SETTLED, () => this.retention.settle()));
  }

  private async dropTransfersOf(digest: string): Promise<void> {
    for (const { id } of this.transfers.ofDigest(digest)) {
      await this.transfers.drop(id);
      this.transfers.noteFinished(id, digest);
    }
  }

  // -------------------------------------------------------------- what is held

  /** Takes an image that is under its final name, if it is what it is named after. */
  private async adopt(digest: string): Promise<void> {
    await this.held.adopt(digest);
    if (!this.held.look(digest)) this.unwatched.tell(mishaps.anotherImage(digest));
  }

  /** Nothing else goes on with an image that is evicted, and nothing comes in between the look and its end. */
  private async evict(digest: string): Promise<boolean> {
    const removal = this.locks.tryRun(digest, async () => {
      const isWanted = this.statuses.usedBy(digest).length > 0 || this.transfers.ofDigest(digest).length > 0;
      if (isWanted || !this.statuses.complete(digest)) return false;
      await this.remove(digest);
      return true;
    });
    return (await removal) ?? false;
  }

  private async remove(digest: string): Promise<void> {
    this.held.remove(digest);
    this.indexer.forget(digest);
    const { image, manifest, index, estimate } = this.files.of(digest);
    await removeAll([image, manifest, index, estimate]);
  }

  private requireRoom(place: string, bytes: number): Promise<void> {
    return requireRoom(this.options.directory, place, bytes, (needed) => this.retention.makeRoom(needed));
  }

  /** What whoever opens a transfer is told of the site. */
  private known() {
    const { rateBps, packedShare } = this.link.measured ?? {};
    return { images: this.statuses.newestFirst(), rateBps, packedShare };
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
}

function* blocksOf(sizeBytes: number, signal: AbortSignal | undefined): Generator<number> {
  for (let block = 0; block < blockCountOf(sizeBytes); block++) {
    if (signal?.aborted) throw new AbortedError("stopped while verifying");
    yield block;
  }
}
