import { open, type FileHandle } from "node:fs/promises";
import { sha256 } from "./digest";
import { FormatError, isMissingFile } from "./errors";
import type { Run } from "./image-index";

/*
 * The journal of an arriving image: what of it is on disk. Only appended to; little-endian.
 *
 *   "SPJN"  version (1)  zeros (3)  checksum of the encoded index that its positions belong to (32)
 *   then records: kind (4)  bytes of runs (4)  runs (first 4, count 4)  beginning of the SHA-256 of the record (8)
 *
 * A record is appended after its bytes were written, so a process killed at any point loses at most what it had not acknowledged.
 * Power may fail between the two on disk: then the whole digest finds it out, and the chunks become missing again. A record cut
 * short by a kill ends the reading; the next one is written in its place.
 */
const MAGIC = "SPJN";
const VERSION = 1;
const HEADER_BYTES = 40;
const RECORD_BYTES = 16;
const MAX_RECORD_BYTES = 1024 * 1024;

/** `have`: these chunks are on disk. `send`: these are not, and no other image here may be asked for them. */
export type RecordKind = "have" | "send";
const KINDS: readonly RecordKind[] = ["have", "send"];

export interface JournalRecord {
  readonly kind: RecordKind;
  readonly runs: readonly Run[];
}

export class Journal {
  private tail: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly handle: FileHandle,
    private end: number,
  ) {}

  /** Begins a new, empty journal in place of any other. */
  static async create(path: string, indexChecksum: Uint8Array): Promise<Journal> {
    const head = Buffer.alloc(HEADER_BYTES);
    head.write(MAGIC, 0, "latin1");
    head[4] = VERSION;
    head.set(indexChecksum, 8);
    const handle = await open(path, "w", 0o600);
    try {
      await handle.write(head, 0, HEADER_BYTES, 0);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new Journal(handle, HEADER_BYTES);
  }

  /**
   * Opens a journal to go on with it.
   * @returns undefined when there is none, or it is of another index
   * @throws FormatError for a file that is no journal
   */
  static async resume(
    path: string,
    indexChecksum: Uint8Array,
  ): Promise<{ readonly journal: Journal; readonly records: readonly JournalRecord[] } | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, "r+");
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
    try {
      const bytes = await handle.readFile();
      if (bytes.length < HEADER_BYTES || bytes.toString("latin1", 0, 4) !== MAGIC || bytes[4] !== VERSION) {
        throw new FormatError("journal", `${path} is not a journal of version ${VERSION}`);
      }
      if (!bytes.subarray(8, HEADER_BYTES).equals(indexChecksum)) {
        await handle.close();
        return undefined;
      }
      const { records, end } = readRecords(bytes);
      await handle.truncate(end);
      return { journal: new Journal(handle, end), records };
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** Appends records one after the other, in the order of the calls. */
  append(kind: RecordKind, runs: readonly Run[]): Promise<void> {
    const written = this.tail.then(async () => {
      const record = encodeRecord(kind, runs);
      try {
        await this.handle.write(record, 0, record.length, this.end);
      } catch (error) {
        await this.handle.truncate(this.end).catch(() => undefined);
        throw error;
      }
      this.end += record.length;
    });
    this.tail = written.catch(() => undefined);
    return written;
  }

  async close(): Promise<void> {
    await this.tail;
    await this.handle.close();
  }
}

function encodeRecord(kind: RecordKind, runs: readonly Run[]): Buffer {
  const record = Buffer.alloc(RECORD_BYTES + runs.length * 8);
  record.writeUInt32LE(KINDS.indexOf(kind), 0);
  record.writeUInt32LE(runs.length * 8, 4);
  let at = 8;
  for (const [first, count] of runs) {
    at = record.writeUInt32LE(first, at);
    at = record.writeUInt32LE(count, at);
  }
  sha256(record.subarray(0, at)).copy(record, at, 0, 8);
  return record;
}

function readRecords(bytes: Buffer): { readonly records: readonly JournalRecord[]; readonly end: number } {
  const records: JournalRecord[] = [];
  let at = HEADER_BYTES;
  while (at + RECORD_BYTES <= bytes.length) {
    const kind = KINDS[bytes.readUInt32LE(at)];
    const size = bytes.readUInt32LE(at + 4);
    const end = at + 8 + size;
    if (kind === undefined || size % 8 !== 0 || size > MAX_RECORD_BYTES || end + 8 > bytes.length) break;
    if (sha256(bytes.subarray(at, end)).compare(bytes, end, end + 8, 0, 8) !== 0) break;
    const runs: Run[] = [];
    for (let run = at + 8; run < end; run += 8)
      runs.push([bytes.readUInt32LE(run), bytes.readUInt32LE(run + 4)]);
    records.push({ kind, runs });
    at = end + 8;
  }
  return { records, end: at };
}
