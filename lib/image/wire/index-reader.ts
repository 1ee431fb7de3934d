import { open } from "node:fs/promises";
import { digestOf } from "../digest";
import { MAX_IMAGE_BYTES } from "../limits";
import { BLOCK_BYTES, blockCountOf, blockLengthOf, ImageDigest, LEAF_BYTES, leafOfZeros } from "./digest";
import * as format from "./index-format";
import type { ChunkList } from "./index-format";
import { VarintReader } from "./varint";

const READ_BYTES = 512 * 1024;
/** Of this module, for the loops over millions of entries: what another module exports is looked up anew each time. */
const KEY_BYTES = format.KEY_BYTES;
const MAX_ENTRY = BLOCK_BYTES * 2 + 1;

/** One block of an index. Its arrays are views, valid until the next one is asked for. */
export interface IndexBlock extends ChunkList {
  readonly block: number;
  readonly leaf: Buffer;
  readonly isZeros: boolean;
}

/** Bytes that can be read anywhere. */
interface Readable {
  readonly length: number;
  read(into: Buffer, at: number): Promise<number>;
}

/** Reads an index block by block. */
export class IndexReader {
  private constructor(
    private readonly source: Readable,
    private readonly head: Buffer,
    /** Of the image. */
    readonly sizeBytes: number,
    /** Of the image; what it claims until all {@link blocks} were read. */
    readonly digest: string,
    readonly close: () => Promise<void>,
  ) {}

  /** @throws FormatError */
  static async open(path: string): Promise<IndexReader> {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      const read = async (into: Buffer, at: number) =>
        (await handle.read(into, 0, into.length, at)).bytesRead;
      return await IndexReader.over({ length: size, read }, () => handle.close());
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** @throws FormatError */
  static of(bytes: Uint8Array): Promise<IndexReader> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const read = async (into: Buffer, at: number) => buffer.copy(into, 0, at, at + into.length);
    return IndexReader.over({ length: bytes.length, read }, async () => undefined);
  }

  private static async over(source: Readable, close: () => Promise<void>): Promise<IndexReader> {
    const head = Buffer.alloc(format.HEADER_BYTES);
    if ((await source.read(head, 0)) !== head.length) throw format.broken("it is cut short");
    const sizeBytes = format.decodeHeader(head, MAX_IMAGE_BYTES);
    const end = Buffer.alloc(END_BYTES);
    if ((await source.read(end, source.length - END_BYTES)) !== END_BYTES || end[0] !== format.END) {
      throw format.broken("it is cut short");
    }
    const digest = digestOf(end.subarray(format.RECORD_HEAD_BYTES, format.RECORD_HEAD_BYTES + LEAF_BYTES));
    return new IndexReader(source, head, sizeBytes, digest, close);
  }

  get blockCount(): number {
    return blockCountOf(this.sizeBytes);
  }

  /**
   * All blocks in order, each verified before it is given. At the end the digest was verified too: its leaves are the image's.
   * @throws FormatError
   */
  async *blocks(): AsyncGenerator<IndexBlock, void> {
    const checks = new format.Checks(this.head);
    const leaves = new ImageDigest(this.sizeBytes);
    const list = new EntryList();
    let block = 0;
    for await (const { kind, body } of this.records(checks)) {
      if (kind === format.END) {
        if (block !== this.blockCount) throw format.broken(`it has ${block} blocks of ${this.blockCount}`);
        if (leaves.finish() !== this.digest) throw format.broken("its leaves do not belong to its digest");
        return;
      }
      if (kind === format.ZERO_RUN) {
        const run = body.length === 4 ? body.readUInt32LE(0) : 0;
        if (run < 1 || block + run > this.blockCount) throw format.broken(`it has ${run} zero blocks`);
        for (const end = block + run; block < end; block++) {
          const bytes = blockLengthOf(this.sizeBytes, block);
          const leaf = leafOfZeros(bytes);
          leaves.add(leaf);
          yield Object.assign(list.ofZeros(bytes), { block, leaf, isZeros: true });
        }
        continue;
      }
      if (block >= this.blockCount) throw format.broken("it has more blocks than its image");
      const leaf = body.subarray(0, LEAF_BYTES);
      leaves.add(leaf);
      list.fill(body, blockLengthOf(this.sizeBytes, block), block);
      yield Object.assign(list, { block, leaf, isZeros: false });
      block++;
    }
    throw format.broken("it has no end");
  }

  private async *records(
    checks: format.Checks,
  ): AsyncGenerator<{ readonly kind: number; readonly body: Buffer }> {
    const space = Buffer.allocUnsafeSlow(READ_BYTES + format.MAX_RECORD_BYTES);
    let [position, from, filled] = [format.HEADER_BYTES, 0, 0];
    for (;;) {
      const wanted = from + format.RECORD_HEAD_BYTES <= filled ? recordBytes(space, from) : Infinity;
      if (from + wanted > filled) {
        space.copyWithin(0, from, filled);
        filled -= from;
        from = 0;
        const read = await this.source.read(space.subarray(filled), position);
        if (read === 0) {
          if (filled > 0) throw format.broken("it is cut short");
          return;
        }
        position += read;
        filled += read;
        continue;
      }
      const end = from + wanted - format.CHECK_BYTES;
      if (!checks.next(space.subarray(from, end)).equals(space.subarray(end, end + format.CHECK_BYTES))) {
        throw format.broken("its checksum does not match: it was cut short or changed");
      }
      const kind = space[from];
      yield { kind, body: space.subarray(from + format.RECORD_HEAD_BYTES, end) };
      from += wanted;
      if (kind === format.END && (from < filled || position < this.source.length)) {
        throw format.broken("something comes after its end");
      }
    }
  }
}

const END_BYTES = format.RECORD_HEAD_BYTES + LEAF_BYTES + format.CHECK_BYTES;

/** All bytes of the record there. @throws FormatError */
function recordBytes(space: Buffer, at: number): number {
  const bytes = format.RECORD_HEAD_BYTES + space.readUInt32LE(at + 1) + format.CHECK_BYTES;
  if (space[at] <= format.END && bytes <= format.MAX_RECORD_BYTES) return bytes;
  throw format.broken(`it has a record of kind ${space[at]} with ${bytes} bytes`);
}

/** The entries of one block after the other, in arrays that are used again. */
class EntryList implements ChunkList {
  count = 0;
  readonly ends = new Uint32Array(format.MAX_ENTRIES);
  readonly keys = new Uint32Array(format.MAX_ENTRIES * 2);
  private readonly holes = new Uint8Array(format.MAX_ENTRIES);

  isHole(entry: number): boolean {
    return this.holes[entry] === 1;
  }

  ofZeros(bytes: number): this {
    this.count = 1;
    this.ends[0] = bytes;
    this.keys[0] = this.keys[1] = 0;
    this.holes[0] = 1;
    return this;
  }

  /** @throws FormatError */
  fill(body: Buffer, blockBytes: number, block: number): void {
    const count = body.length >= LEAF_BYTES + 4 ? body.readUInt32LE(LEAF_BYTES) : 0;
    if (count < 1 || count > format.MAX_ENTRIES) throw format.broken(`block ${block} has ${count} entries`);
    const reader = new VarintReader(body, LEAF_BYTES + 4);
    const { ends, holes, keys } = this;
    let end = 0;
    let chunks = 0;
    for (let i = 0; i < count; i++) {
      const tag = reader.read();
      if (tag === undefined || tag < 2 || tag > MAX_ENTRY) {
        throw format.broken(`entry ${i} of block ${block} has no proper length`);
      }
      end += tag >>> 1;
      ends[i] = end;
      holes[i] = tag & 1;
      chunks += 1 - (tag & 1);
    }
    if (end !== blockBytes) throw format.broken(`the entries of block ${block} add up to ${end} bytes`);
    if (body.length - reader.at !== chunks * KEY_BYTES) {
      throw format.broken(`block ${block} has ${body.length - reader.at} bytes of keys for ${chunks} chunks`);
    }
    for (let i = 0, at = reader.at; i < count; i++) {
      const isHole = holes[i] === 1;
      keys[i * 2] = isHole ? 0 : body.readUInt32LE(at);
      keys[i * 2 + 1] = isHole ? 0 : body.readUInt32LE(at + 4);
      if (!isHole) at += KEY_BYTES;
    }
    this.count = count;
  }
}
