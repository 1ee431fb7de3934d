import { chmod, stat } from "node:fs/promises";
import { BitSet } from "./bit-set";
import { isMissingFile, writeFailed } from "../errors";
import { BLOCK_BYTES, blockLengthOf, isZeros, leafOf, ZERO_BLOCK } from "../wire/digest";
import { DirectFile } from "./direct-file";
import type { TransferFiles } from "./files";
import { Journal, type JournalRecord } from "./journal";
import { LeafTable } from "./leaf-table";
import { RangeLock } from "./range-lock";

/** What was written goes to the disk in the background in steps of so much, so that little is left to wait for at the end. */
const SYNC_BYTES = 64 * 2 ** 20;

/** A part of a block. */
export type Part = readonly [from: number, to: number];

/**
 * One image that is arriving: a sparse file, and the leaves of the blocks in it. Every change is in the journal, so that opening it
 * again gives the same.
 */
export class Transfer {
  /** Work on blocks that must not happen twice at once. */
  readonly ranges = new RangeLock();
  /** Held images that its sender was told of when it last opened it. */
  offered: ReadonlySet<string> = new Set();
  /** Held images that segments of it copied from, in this process. */
  readonly copied = new Set<string>();
  /** Blocks that may have bytes in the file, other than zeros, that nobody vouches for. */
  private readonly touched: BitSet | "all";
  private readonly busy = new Set<Promise<unknown>>();
  private unsyncedBytes = 0;
  /** Blocks of which bytes may be in the page cache alone. What a former process left may all be. */
  private unsynced: Set<number> | "all";
  /** Blocks that a failed sync has taken, and that were not written again since. */
  private readonly lost = new Set<number>();
  private lostTo: unknown;
  private usedAt = 0;
  private syncing: Promise<void> | undefined;
  private retired = false;
  private closing: Promise<void> | undefined;

  private constructor(
    readonly id: string,
    /** Of the image, once it is known. */
    public digest: string | undefined,
    readonly blocks: LeafTable,
    private readonly files: TransferFiles,
    private readonly file: DirectFile,
    private readonly journal: Journal,
    isNew: boolean,
  ) {
    this.touched = isNew ? new BitSet(blocks.blockCount) : "all";
    this.unsynced = isNew ? new Set() : "all";
    if (isNew) this.noteUse();
  }

  /** Begins one. @throws ImageStoreError `disk-full` */
  static async create(id: string, sizeBytes: number, files: TransferFiles): Promise<Transfer> {
    try {
      const file = await DirectFile.open(files.partial, "w+");
      try {
        const journal = await Journal.create(files.journal, id, sizeBytes);
        return new Transfer(id, undefined, new LeafTable(sizeBytes), files, file, journal, true);
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      throw writeFailed(files.partial, error);
    }
  }

  /** Goes on with one that a former process left; undefined when its files cannot be used. */
  static async resume(
    id: string,
    digest: string | undefined,
    files: TransferFiles,
  ): Promise<Transfer | undefined> {
    let blocks: LeafTable | undefined;
    const journal = await Journal.resume(files.journal, id, (sizeBytes) => {
      const table = (blocks = new LeafTable(sizeBytes));
      return ({ block, leaf }) => (leaf ? table.set(block, leaf, "claimed") : table.clear(block));
    });
    if (!journal || !blocks) return undefined;
    try {
      // It was made read-only when it was about to become the image.
      await chmod(files.partial, 0o600);
      const file = await DirectFile.open(files.partial, "r+");
      return new Transfer(id, digest, blocks, files, file, journal, false);
    } catch (error) {
      await journal.close();
      if (isMissingFile(error)) return undefined;
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.blocks.sizeBytes;
  }

  /** Nothing may be written any more. */
  get isOver(): boolean {
    return this.retired || this.closing !== undefined;
  }

  /** Its file becomes a complete image: from now on nothing is written, whatever waits in line. */
  retire(): void {
    this.retired = true;
  }

  /** When something of it last arrived, milliseconds since 1970. */
  async changedAt(): Promise<number> {
    return (await stat(this.files.journal).catch(() => undefined))?.mtimeMs ?? 0;
  }

  /** Somebody goes on with it. */
  noteUse(): void {
    this.usedAt = Date.now();
  }

  /** Did somebody go on with it within so long? */
  isLive(withinMs: number): boolean {
    return !this.isOver && (this.busy.size > 0 || Date.now() - this.usedAt < withinMs);
  }

  /** Did nobody go on with it for so long? */
  async isIdle(idleMs: number): Promise<boolean> {
    const changedAt = await this.changedAt();
    return changedAt > 0 && this.busy.size === 0 && Date.now() - Math.max(changedAt, this.usedAt) > idleMs;
  }

  /**
   * Does something with it that {@link close} waits for.
   * @returns undefined when it is over
   */
  use<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.isOver) return undefined;
    this.noteUse();
    const running = work();
    this.busy.add(running);
    const done = () => this.busy.delete(running);
    running.then(done, done);
    return running;
  }

  /** Reads bytes of the image; where the file ends earlier there are zeros. */
  async read(into: Uint8Array, offset: number): Promise<void> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.file.cached.read(into, done, into.length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    into.fill(0, done);
  }

  /** Does the block in the file have the leaf that it should have? Of one that has arrived. */
  async isSound(block: number, space: Buffer): Promise<boolean> {
    const bytes = space.subarray(0, blockLengthOf(this.sizeBytes, block));
    await this.read(bytes, block * BLOCK_BYTES);
    return this.blocks.leafOf(block)?.equals(leafOf(bytes)) ?? false;
  }

  /**
   * Writes a block. It counts only once it is {@link keep | kept}; another version of it that had arrived does not any more.
   * @param data the parts of it that may differ from zero; where nothing was before, the rest stays a hole
   */
  async write(block: number, bytes: Uint8Array, data: readonly Part[], leaf: Uint8Array): Promise<void> {
    await this.telling(async () => {
      if (this.blocks.leafOf(block)?.equals(leaf) === false) await this.forget([block]);
      const wasTouched = this.touched === "all" || this.touched.has(block);
      if (this.touched !== "all" && data.length > 0) this.touched.add(block);
      this.lost.delete(block);
      // Before it is written: a sync that fails meanwhile may have been that of its first bytes.
      const { unsynced } = this;
      const wasUnsynced = unsynced === "all" || unsynced.has(block);
      if (unsynced !== "all") unsynced.add(block);
      let isCached = false;
      let zerosFrom = 0;
      for (const [from, to] of data) {
        if (wasTouched && (await this.empty(block, zerosFrom, from))) isCached = true;
        if (!(await this.file.writePart(bytes, from, to, block * BLOCK_BYTES))) isCached = true;
        this.unsyncedBytes += to - from;
        zerosFrom = to;
      }
      const end = blockLengthOf(this.sizeBytes, block);
      if (wasTouched && (await this.empty(block, zerosFrom, end))) isCached = true;
      if (!isCached && !wasUnsynced) unsynced.delete(block);
    });
    this.syncSome();
  }

  /** Notes that blocks are in the file. @throws when a sync that failed meanwhile took some of them */
  async keep(records: readonly { readonly block: number; readonly leaf: Uint8Array }[]): Promise<void> {
    const isThere = ({ block }: { readonly block: number }) => !this.lost.has(block);
    await this.telling(() => this.journal.append(records.filter(isThere)));
    for (const { block, leaf } of records.filter(isThere)) this.blocks.set(block, leaf, "verified");
    if (!records.every(isThere)) throw writeFailed(this.files.partial, this.lostTo);
  }

  /** Notes that blocks are not in the file (any more). */
  async forget(blocks: readonly number[]): Promise<void> {
    if (blocks.length === 0) return;
    const records = blocks.map((block): JournalRecord => ({ block, leaf: undefined }));
    await this.telling(() => this.journal.append(records));
    for (const block of blocks) this.blocks.clear(block);
  }

  /** Reads again what only a former process vouches for; what is not as it should be counts as missing. @returns those blocks */
  async verifyClaims(): Promise<readonly number[]> {
    const space = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const bad: number[] = [];
    for (let block = 0; block < this.blocks.blockCount; block++) {
      if (this.blocks.stateOf(block) !== "claimed") continue;
      const leaf = this.blocks.leafOf(block);
      if (leaf && (await this.isSound(block, space))) this.blocks.set(block, leaf, "verified");
      else bad.push(block);
    }
    await this.forget(bad);
    return bad;
  }

  /** Makes the file as long as the image, and waits until it is on the disk. @throws ImageStoreError `disk-full` */
  async seal(): Promise<void> {
    await this.syncing;
    await this.telling(async () => {
      await this.file.cached.truncate(this.sizeBytes);
      await this.sync(() => this.file.cached.sync());
    });
  }

  /** Waits for what uses it. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.closeFiles();
    return this.closing;
  }

  private async closeFiles(): Promise<void> {
    await Promise.allSettled(this.busy);
    await this.syncing;
    await this.journal.close();
    await this.file.close();
  }

  /** Makes a part of a block zero. @returns whether it had to be written */
  private async empty(block: number, from: number, to: number): Promise<boolean> {
    if (from >= to) return false;
    const before = Buffer.allocUnsafe(to - from);
    await this.read(before, block * BLOCK_BYTES + from);
    if (isZeros(before)) return false;
    await this.file.writeCached(ZERO_BLOCK, from, to, block * BLOCK_BYTES);
    this.unsyncedBytes += to - from;
    return true;
  }

  private syncSome(): void {
    if (this.unsyncedBytes < SYNC_BYTES || this.syncing) return;
    this.unsyncedBytes = 0;
    this.syncing = this.sync(() => this.file.cached.datasync())
      // What it took is to be sent again: whoever completes the image is told.
      .catch(() => undefined)
      .finally(() => (this.syncing = undefined));
  }

  /**
   * A disk says only once that it lost what it was given, and the page cache goes on to show it: blocks that went through the cache
   * since the last good sync count as missing then. The others are looked at again.
   */
  private async sync(work: () => Promise<void>): Promise<void> {
    const before = this.unsynced;
    this.unsynced = new Set();
    try {
      await work();
    } catch (error) {
      const gone = before === "all" ? this.blocks.present() : [...before];
      const records: JournalRecord[] = [];
      for (const block of new Set([...gone, ...this.unsynced])) {
        this.lost.add(block);
        this.blocks.clear(block);
        records.push({ block, leaf: undefined });
      }
      this.lostTo = error;
      this.unsynced = new Set();
      this.blocks.doubtAll();
      await this.journal.append(records).catch(() => undefined);
      throw error;
    }
  }

  private async telling<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw writeFailed(this.files.partial, error);
    }
  }
}
