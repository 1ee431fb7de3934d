import { randomBytes } from "node:crypto";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { hexOf } from "../digest";
import { blockCountOf, LEAF_BYTES } from "./digest";
import * as format from "./index-format";
import type { ChunkList } from "./index-format";
import { writeVarint } from "./varint";

const WRITE_BYTES = 512 * 1024;

/** Writes the index of an image block by block, into a draft that becomes the file when it is finished. */
export class IndexWriter {
  private readonly checks: format.Checks;
  private readonly space = Buffer.allocUnsafeSlow(WRITE_BYTES + format.MAX_RECORD_BYTES);
  private filled: number;
  private next = 0;
  private zeroRun = 0;

  private constructor(
    private readonly path: string,
    private readonly draft: string,
    private readonly handle: FileHandle,
    private readonly sizeBytes: number,
  ) {
    const head = format.encodeHeader(sizeBytes);
    this.checks = new format.Checks(head);
    this.filled = head.copy(this.space);
  }

  /** @param path of the finished file; the draft lies beside it and ends in `.new` */
  static async create(path: string, sizeBytes: number): Promise<IndexWriter> {
    const draft = `${path}.${randomBytes(4).toString("hex")}.new`;
    return new IndexWriter(path, draft, await open(draft, "w", 0o600), sizeBytes);
  }

  /** The next block. What it is given is used no more when it returns. */
  async addBlock(leaf: Uint8Array, chunks: ChunkList): Promise<void> {
    this.endZeros();
    const from = this.begin(format.BLOCK);
    const { space } = this;
    space.set(leaf.subarray(0, LEAF_BYTES), this.filled);
    space.writeUInt32LE(chunks.count, this.filled + LEAF_BYTES);
    let at = this.filled + LEAF_BYTES + 4;
    if (chunks.count > format.MAX_ENTRIES) throw new RangeError(`a block of ${chunks.count} entries`);
    for (let i = 0, begin = 0; i < chunks.count; begin = chunks.ends[i++]) {
      at = writeVarint(space, at, (chunks.ends[i] - begin) * 2 + (chunks.isHole(i) ? 1 : 0));
    }
    for (let i = 0; i < chunks.count; i++) {
      if (chunks.isHole(i)) continue;
      at = space.writeUInt32LE(chunks.keys[i * 2], at);
      at = space.writeUInt32LE(chunks.keys[i * 2 + 1], at);
    }
    this.filled = at;
    this.seal(from);
    this.next++;
    if (this.filled >= WRITE_BYTES) await this.flush();
  }

  /** The next so many blocks are all zeros. */
  addZeros(blocks = 1): void {
    this.zeroRun += blocks;
    this.next += blocks;
  }

  /**
   * Gives the file its name.
   * @param digest of the image
   * @param sync waits until it is on the disk
   */
  async finish(digest: string, sync = false): Promise<void> {
    if (this.next !== blockCountOf(this.sizeBytes)) throw new RangeError(`${this.next} blocks were added`);
    this.endZeros();
    const from = this.begin(format.END);
    this.filled += this.space.write(hexOf(digest) ?? "", this.filled, "hex");
    this.seal(from);
    await this.flush();
    if (sync) await this.handle.sync();
    await this.handle.close();
    await rename(this.draft, this.path);
  }

  /** Removes the draft. To be called when it is not finished. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.draft, { force: true });
  }

  private endZeros(): void {
    if (this.zeroRun === 0) return;
    const from = this.begin(format.ZERO_RUN);
    this.filled = this.space.writeUInt32LE(this.zeroRun, this.filled);
    this.zeroRun = 0;
    this.seal(from);
  }

  private begin(kind: number): number {
    const from = this.filled;
    this.space[from] = kind;
    this.filled += format.RECORD_HEAD_BYTES;
    return from;
  }

  private seal(from: number): void {
    this.space.writeUInt32LE(this.filled - from - format.RECORD_HEAD_BYTES, from + 1);
    this.filled += this.checks.next(this.space.subarray(from, this.filled)).copy(this.space, this.filled);
  }

  private async flush(): Promise<void> {
    for (let done = 0; done < this.filled;) {
      done += (await this.handle.write(this.space, done, this.filled - done)).bytesWritten;
    }
    this.filled = 0;
  }
}
