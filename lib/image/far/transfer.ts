import { chmod, stat } from "node:fs/promises";
import { BitSet } from "../bitset";
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
  /** Blocks that may have bytes in the file, other than zeros, that nobody vouches for. */
  private readonly touched: BitSet | "all";
  private readonly busy = new Set<Promise<unknown>>();
  private unsyncedBytes = 0;
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

  /**
   * Does something with it that {@link close} waits for.
   * @returns undefined when it is over
   */
  use<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.isOver) return undefined;
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
      let zerosFrom = 0;
      for (const [from, to] of data) {
        if (wasTouched) await this.empty(block, zerosFrom, from);
        await this.file.writePart(bytes, from, to, block * BLOCK_BYTES);
        this.unsyncedBytes += to - from;
        zerosFrom = to;
      }
      if (wasTouched) await this.empty(block, zerosFrom, blockLengthOf(this.sizeBytes, block));
    });
    this.syncSome();
  }

  /** Notes that blocks are in the file. */
  async keep(records: readonly { readonly block: number; readonly leaf: Uint8Array }[]): Promise<void> {
    await this.telling(() => this.journal.append(records));
    for (const { block, leaf } of records) this.blocks.set(block, leaf, "verified");
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
    try {
      await this.file.cached.truncate(this.sizeBytes);
      await this.file.cached.sync();
    } catch (error) {
      this.blocks.doubtAll();
      throw writeFailed(this.files.partial, error);
    }
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

  /** Makes a part of a block zero. */
  private async empty(block: number, from: number, to: number): Promise<void> {
    if (from >= to) return;
    const before = Buffer.allocUnsafe(to - from);
    await this.read(before, block * BLOCK_BYTES + from);
    if (isZeros(before)) return;
    await this.file.writeCached(ZERO_BLOCK, from, to, block * BLOCK_BYTES);
    this.unsyncedBytes += to - from;
  }

  private syncSome(): void {
    if (this.unsyncedBytes < SYNC_BYTES || this.syncing) return;
    this.unsyncedBytes = 0;
    this.syncing = this.file.cached
      .datasync()
      // A disk says only once that it lost what it was given: from then on nothing written before is sure.
      .catch(() => this.blocks.doubtAll())
      .finally(() => (this.syncing = undefined));
  }

  private async telling<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw writeFailed(this.files.partial, error);
    }
  }
}
