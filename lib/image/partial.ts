import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { BitSet } from "./bitset";
import { ChunkTable } from "./chunk-table";
import { writeFailed } from "./errors";
import type { HeldChunks } from "./held-chunks";
import { RunList, type ImageIndex, type Run } from "./image-index";
import { Journal } from "./journal";

/** Where an arriving image lies. */
export interface PartialFiles {
  readonly partial: string;
  readonly journal: string;
}

/**
 * An image that is arriving: its index, a sparse file, and which of its chunks are in that file. Every change is in the journal, so
 * that opening it again gives the same.
 */
export class Partial {
  /** Chunks that are in the file. */
  readonly have: BitSet;
  /** Chunks that must come over the link, whatever other images hold: what they held was damaged. */
  readonly mustSend: BitSet;
  /** Chunks that were asked for, and not yet arrived. */
  private readonly asked: BitSet;
  private askedBytes = 0;
  private haveBytes = 0;
  private readonly busy = new Set<Promise<unknown>>();
  private closed = false;

  private constructor(
    readonly index: ImageIndex,
    readonly checksum: Buffer,
    private readonly file: FileHandle,
    private readonly journal: Journal,
    private readonly place: string,
  ) {
    this.have = new BitSet(index.count);
    this.mustSend = new BitSet(index.count);
    this.asked = new BitSet(index.count);
  }

  /**
   * Goes on with a partial image, or begins one.
   * @param checksum of the encoded index
   * @throws ImageStoreError `disk-full`
   */
  static async open(files: PartialFiles, index: ImageIndex, checksum: Buffer): Promise<Partial> {
    const file = await open(files.partial, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const resumed = await Journal.resume(files.journal, checksum).catch(() => undefined);
      const journal = resumed?.journal ?? (await Journal.create(files.journal, checksum));
      const partial = new Partial(index, checksum, file, journal, files.partial);
      for (const record of resumed?.records ?? []) {
        if (partial.isWithin(record.runs)) partial.note(record.kind, record.runs);
      }
      return partial;
    } catch (error) {
      await file.close();
      throw writeFailed(files.partial, error);
    }
  }

  /** Bytes in the file. */
  get ownBytes(): number {
    return this.haveBytes;
  }

  /** Bytes of the image that need not be sent (any more): in the file, in other images, repeated, or zero. */
  get presentBytes(): number {
    return this.index.sizeBytes - this.askedBytes;
  }

  /** Bytes of the file still to be written. */
  get unwrittenBytes(): number {
    let bytes = 0;
    for (let position = 0; position < this.index.count; position++) {
      if (!this.index.isHole(position) && !this.have.has(position)) bytes += this.index.lengthOf(position);
    }
    return bytes;
  }

  /** What must be sent, given what else is held; from now on this is what counts as missing. */
  askFor(held: HeldChunks): readonly Run[] {
    const missing = missingRuns(this.index, held, this);
    for (let position = 0; position < this.index.count; position++) this.asked.delete(position);
    this.askedBytes = 0;
    for (const [first, count] of missing) {
      for (let position = first; position < first + count; position++) {
        this.asked.add(position);
        this.askedBytes += this.index.lengthOf(position);
      }
    }
    return missing;
  }

  /** Do these runs name chunks (not holes) of the index only? */
  isWithin(runs: readonly Run[]): boolean {
    let total = 0;
    return runs.every(([first, count]) => {
      total += count;
      if (count < 1 || first + count > this.index.count || total > this.index.count) return false;
      for (let position = first; position < first + count; position++) {
        if (this.index.isHole(position)) return false;
      }
      return true;
    });
  }

  hasAll(runs: readonly Run[]): boolean {
    return runs.every(([first, count]) => {
      for (let position = first; position < first + count; position++) {
        if (!this.have.has(position)) return false;
      }
      return true;
    });
  }

  /**
   * Does something with it that {@link close} waits for.
   * @returns undefined when it is closed
   */
  use<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.closed) return undefined;
    const running = work();
    this.busy.add(running);
    const done = () => this.busy.delete(running);
    running.then(done, done);
    return running;
  }

  read(into: Buffer, offset: number): Promise<number> {
    return this.telling(async () => (await this.file.read(into, 0, into.length, offset)).bytesRead);
  }

  /** Writes verified bytes; they count only once they are {@link keep | kept}. */
  write(bytes: Uint8Array, offset: number): Promise<void> {
    return this.telling(async () => {
      for (let done = 0; done < bytes.length;) {
        done += (await this.file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      }
    });
  }

  /** Notes that chunks are in the file. */
  keep(runs: readonly Run[]): Promise<void> {
    return this.record("have", runs);
  }

  /** Notes that chunks in the file, or their copies elsewhere, are wrong. */
  reject(runs: readonly Run[]): Promise<void> {
    return this.record("send", runs);
  }

  /** Makes the file as long as the image: what ends in a hole is shorter at first. */
  setLength(): Promise<void> {
    return this.telling(() => this.file.truncate(this.index.sizeBytes));
  }

  /** Waits until the file is on the disk. */
  sync(): Promise<void> {
    return this.telling(() => this.file.sync());
  }

  /** Waits for what uses it. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.allSettled(this.busy);
    await this.journal.close();
    await this.file.close();
  }

  private record(kind: "have" | "send", runs: readonly Run[]): Promise<void> {
    return this.telling(async () => {
      await this.journal.append(kind, runs);
      this.note(kind, runs);
    });
  }

  private note(kind: "have" | "send", runs: readonly Run[]): void {
    for (const [first, count] of runs) {
      for (let position = first; position < first + count; position++) {
        const length = this.index.lengthOf(position);
        const had = this.have.has(position);
        if (kind === "have" && !had) {
          this.have.add(position);
          this.haveBytes += length;
          if (this.asked.has(position)) {
            this.asked.delete(position);
            this.askedBytes -= length;
          }
        } else if (kind === "send") {
          this.mustSend.add(position);
          if (had) {
            this.have.delete(position);
            this.haveBytes -= length;
          }
        }
      }
    }
  }

  private async telling<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw writeFailed(this.place, error);
    }
  }
}

/** What of a file is there; for an image of which nothing is, an empty one. */
export interface Presence {
  readonly have: BitSet;
  readonly mustSend: BitSet;
}

/** The chunks that must be sent: those that are neither in the file nor in another image, each once. */
export function missingRuns(index: ImageIndex, held: HeldChunks, presence: Presence): readonly Run[] {
  const own = new ChunkTable(index.count);
  for (let position = 0; position < index.count; position++) {
    if (presence.have.has(position)) own.add(index.keys, position * 4, position);
  }
  const missing = new RunList();
  for (let position = 0; position < index.count; position++) {
    if (index.isHole(position) || presence.have.has(position)) continue;
    if (!presence.mustSend.has(position)) {
      if (held.find(index.keys, position * 4) !== undefined) continue;
      if (own.add(index.keys, position * 4, position) !== position) continue;
    }
    missing.add(position);
  }
  return missing.runs;
}
