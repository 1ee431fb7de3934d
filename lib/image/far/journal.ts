import { open, type FileHandle } from "node:fs/promises";
import { sha256 } from "../digest";
import { isMissingFile } from "../errors";
import { MAX_IMAGE_BYTES } from "../limits";
import { blockCountOf, LEAF_BYTES } from "../wire/digest";
import { readFully, type ReadableAt } from "./files";

/*
 * The journal of an arriving image: which of its blocks are in the file. Only appended to; little-endian.
 *
 *   "SPJN"  version (2)  zeros (3)  size of the image (8)  id of the transfer (32)  beginning of the SHA-256 of all that (8)
 *   then records: block (4)  kind (4; 1 arrived, 0 gone)  leaf (32)  beginning of the SHA-256 of the header's check and the record (8)
 *
 * A record is appended after its block was written, so a process killed at any point loses at most what it had not acknowledged.
 * Power may fail between the two on disk: so what a former process noted is verified before the image counts as complete. A record
 * cut short by a kill, or damaged, ends the reading; the next one is written in its place.
 */
const MAGIC = "SPJN";
const VERSION = 2;
const HEADER_BYTES = 56;
const CHECK_BYTES = 8;
const RECORD_BYTES = 48;
const READ_RECORDS = 16 * 1024;

/** What happened to a block: it arrived, or (without a leaf) it is not there any more. */
export interface JournalRecord {
  readonly block: number;
  readonly leaf: Uint8Array | undefined;
}

type Begin = (sizeBytes: number) => (record: JournalRecord) => void;

export class Journal {
  private tail: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly handle: FileHandle,
    private readonly seal: Buffer,
    private end: number,
  ) {}

  /** Begins a new, empty journal in place of any other. */
  static async create(path: string, id: string, sizeBytes: number): Promise<Journal> {
    const head = Buffer.alloc(HEADER_BYTES);
    head.write(MAGIC, 0, "latin1");
    head[4] = VERSION;
    head.writeBigUInt64LE(BigInt(sizeBytes), 8);
    head.write(id, 16, "hex");
    const seal = sealOf(head);
    seal.copy(head, HEADER_BYTES - CHECK_BYTES);
    const handle = await open(path, "w+", 0o600);
    try {
      await handle.write(head, 0, HEADER_BYTES, 0);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new Journal(handle, seal, HEADER_BYTES);
  }

  /**
   * Opens a journal to go on with it.
   * @param begin is told the image's size, before any record
   * @returns undefined when there is none of this transfer
   */
  static async resume(path: string, id: string, begin: Begin): Promise<Journal | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, "r+");
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
    try {
      const read = await readJournal(handle, id, begin);
      if (!read) {
        await handle.close();
        return undefined;
      }
      await handle.truncate(read.end);
      return new Journal(handle, read.seal, read.end);
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** The same for who only looks: another process may be writing it. @returns false when there is none of this transfer */
  static async read(path: string, id: string, begin: Begin): Promise<boolean> {
    let handle: FileHandle;
    try {
      handle = await open(path, "r");
    } catch (error) {
      if (isMissingFile(error)) return false;
      throw error;
    }
    try {
      return (await readJournal(handle, id, begin)) !== undefined;
    } finally {
      await handle.close();
    }
  }

  /** Appends records, all or none, in the order of the calls. */
  append(records: readonly JournalRecord[]): Promise<void> {
    const written = this.tail.then(async () => {
      const bytes = Buffer.alloc(records.length * RECORD_BYTES);
      records.forEach((record, i) => this.encode(record, bytes.subarray(i * RECORD_BYTES)));
      try {
        for (let done = 0; done < bytes.length;) {
          const left = bytes.length - done;
          done += (await this.handle.write(bytes, done, left, this.end + done)).bytesWritten;
        }
      } catch (error) {
        await this.handle.truncate(this.end).catch(() => undefined);
        throw error;
      }
      this.end += bytes.length;
    });
    this.tail = written.catch(() => undefined);
    return written;
  }

  async close(): Promise<void> {
    await this.tail;
    await this.handle.close();
  }

  private encode({ block, leaf }: JournalRecord, into: Buffer): void {
    into.writeUInt32LE(block, 0);
    into.writeUInt32LE(leaf ? 1 : 0, 4);
    if (leaf) into.set(leaf, 8);
    checkOf(this.seal, into).copy(into, RECORD_BYTES - CHECK_BYTES, 0, CHECK_BYTES);
  }
}

/**
 * Reads a journal to the end of what is sound of it.
 * @param begin is told the image's size, before any record
 * @returns where that ends; undefined when it is none of this transfer, or of no possible image
 */
export async function readJournal(handle: ReadableAt, id: string, begin: Begin) {
  const head = Buffer.alloc(HEADER_BYTES);
  const bytesRead = await readFully(handle, head, 0);
  const seal = sealOf(head);
  const sizeBytes = Number(head.readBigUInt64LE(8));
  const isSound =
    bytesRead === HEADER_BYTES &&
    head.toString("latin1", 0, 4) === MAGIC &&
    head[4] === VERSION &&
    seal.equals(head.subarray(HEADER_BYTES - CHECK_BYTES)) &&
    head.toString("hex", 16, 48) === id &&
    sizeBytes >= 1 &&
    sizeBytes <= MAX_IMAGE_BYTES;
  if (!isSound) return undefined;
  return { seal, end: await readRecords(handle, seal, blockCountOf(sizeBytes), begin(sizeBytes)) };
}

function sealOf(head: Buffer): Buffer {
  return sha256(head.subarray(0, HEADER_BYTES - CHECK_BYTES)).subarray(0, CHECK_BYTES);
}

function checkOf(seal: Buffer, record: Buffer): Buffer {
  return sha256(Buffer.concat([seal, record.subarray(0, RECORD_BYTES - CHECK_BYTES)]));
}

async function readRecords(
  handle: ReadableAt,
  seal: Buffer,
  blockCount: number,
  note: (record: JournalRecord) => void,
): Promise<number> {
  const space = Buffer.allocUnsafe(READ_RECORDS * RECORD_BYTES);
  let end = HEADER_BYTES;
  for (;;) {
    const bytesRead = await readFully(handle, space, end);
    let at = 0;
    for (; at + RECORD_BYTES <= bytesRead; at += RECORD_BYTES) {
      const record = space.subarray(at, at + RECORD_BYTES);
      const block = record.readUInt32LE(0);
      const kind = record.readUInt32LE(4);
      const isSound =
        block < blockCount &&
        kind <= 1 &&
        checkOf(seal, record).compare(record, RECORD_BYTES - CHECK_BYTES, RECORD_BYTES, 0, CHECK_BYTES) === 0;
      if (!isSound) return end + at;
      note({ block, leaf: kind === 1 ? record.subarray(8, 8 + LEAF_BYTES) : undefined });
    }
    end += at;
    if (at === 0) return end;
  }
}
