import { open, type FileHandle } from "node:fs/promises";
import { sha256 } from "../digest";
import { isMissingFile } from "../errors";

/*
 * The journal of a snapshot on its way: which blocks its service has taken. Only appended to; little-endian.
 *
 *   "SPSJ"  version (1)  zeros (3)  when it was begun, ms since 1970 (8)  name of the choice of blocks (32)
 *   id of the snapshot, padded with zeros (48)  beginning of the SHA-256 of all that (8)
 *   then records: block (4)  beginning of the SHA-256 of the header's check and the block (4)
 *
 * A record is written after the service took the block, and synced. A process killed at any point loses at most what it had on its
 * way. A record that was cut short, or damaged, ends the reading; the next one is written in its place.
 */
const MAGIC = "SPSJ";
const VERSION = 1;
const ID_BYTES = 48;
const ID_AT = 48;
const CHECK_AT = ID_AT + ID_BYTES;
const CHECK_BYTES = 8;
const HEADER_BYTES = CHECK_AT + CHECK_BYTES;
const RECORD_BYTES = 8;
/** Every block of the largest image, several times over. */
const MAX_BYTES = 2 ** 30;

/** Which snapshot a journal is about. */
export interface JournalHead {
  readonly snapshotId: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** See `nameOfChoice`: 32 bytes. */
  readonly choice: Uint8Array;
}

/** What a journal says. */
export interface JournalContent extends JournalHead {
  /** In the order in which they were taken. */
  readonly blocks: readonly number[];
}

/** Reads what is sound of a journal's bytes. @returns undefined when its head is not; `end` is where the next record goes */
export function parseJournal(bytes: Buffer): (JournalContent & { readonly end: number }) | undefined {
  if (bytes.length < HEADER_BYTES || bytes.toString("latin1", 0, 4) !== MAGIC || bytes[4] !== VERSION) {
    return undefined;
  }
  const seal = sealOf(bytes);
  if (!seal.equals(bytes.subarray(CHECK_AT, HEADER_BYTES))) return undefined;
  const id = bytes.subarray(ID_AT, CHECK_AT);
  const blocks: number[] = [];
  let end = HEADER_BYTES;
  for (; end + RECORD_BYTES <= bytes.length; end += RECORD_BYTES) {
    const block = bytes.readUInt32LE(end);
    if (checkOf(seal, block) !== bytes.readUInt32LE(end + 4)) break;
    blocks.push(block);
  }
  return {
    snapshotId: id.toString("latin1", 0, id.indexOf(0)),
    startedAt: Number(bytes.readBigUInt64LE(8)),
    choice: Buffer.from(bytes.subarray(16, 48)),
    ...{ blocks, end },
  };
}

/** The bytes of a journal without records. */
export function encodeJournalHead({ snapshotId, startedAt, choice }: JournalHead): Buffer {
  if (snapshotId.length >= ID_BYTES) throw new RangeError(`the id ${snapshotId} is too long`);
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(MAGIC, 0, "latin1");
  head[4] = VERSION;
  head.writeBigUInt64LE(BigInt(Math.floor(startedAt)), 8);
  head.set(choice, 16);
  head.write(snapshotId, ID_AT, "latin1");
  sealOf(head).copy(head, CHECK_AT);
  return head;
}

/** The bytes of one record after this head. */
export function encodeRecord(head: Buffer, block: number): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  record.writeUInt32LE(block, 0);
  record.writeUInt32LE(checkOf(head.subarray(CHECK_AT, HEADER_BYTES), block), 4);
  return record;
}

/** A journal that is being written. */
export class SnapshotJournal {
  private queued: Buffer[] = [];
  /** Writes what is queued, once what is being written now is on disk. */
  private next: Promise<void> | undefined;
  private tail: Promise<void> = Promise.resolve();

  private constructor(
    private readonly handle: FileHandle,
    private readonly head: Buffer,
    private end: number,
  ) {}

  /** Begins a new one in place of any other. On disk when this returns. */
  static async create(path: string, head: JournalHead): Promise<SnapshotJournal> {
    const bytes = encodeJournalHead(head);
    const handle = await open(path, "w+", 0o600);
    try {
      await writeAll(handle, bytes, 0);
      await handle.datasync();
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new SnapshotJournal(handle, bytes, HEADER_BYTES);
  }

  /** What is in a journal; undefined when there is none that is sound. */
  static async read(path: string): Promise<JournalContent | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, "r");
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
    try {
      return parseJournal(await readAll(handle));
    } finally {
      await handle.close();
    }
  }

  /** Goes on with one; what is torn at its end is cut off. @returns undefined when there is none that is sound */
  static async resume(path: string): Promise<SnapshotJournal | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, "r+");
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
    try {
      const bytes = await readAll(handle);
      const content = parseJournal(bytes);
      if (content) {
        await handle.truncate(content.end);
        return new SnapshotJournal(handle, Buffer.from(bytes.subarray(0, HEADER_BYTES)), content.end);
      }
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return undefined;
  }

  /** Notes that a block was taken. On disk when this returns; those that come meanwhile share the next write. */
  append(block: number): Promise<void> {
    this.queued.push(encodeRecord(this.head, block));
    this.next ??= this.tail
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        return (this.tail = this.flush());
      });
    return this.next;
  }

  async close(): Promise<void> {
    await (this.next ?? this.tail).catch(() => undefined);
    await this.handle.close();
  }

  private async flush(): Promise<void> {
    const bytes = Buffer.concat(this.queued.splice(0));
    await writeAll(this.handle, bytes, this.end);
    await this.handle.datasync();
    this.end += bytes.length;
  }
}

/** As much as a journal can have: what is no file has no end. */
async function readAll(handle: FileHandle): Promise<Buffer> {
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(Math.min(size, MAX_BYTES));
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}

function sealOf(head: Buffer): Buffer {
  return sha256(head.subarray(0, CHECK_AT)).subarray(0, CHECK_BYTES);
}

function checkOf(seal: Buffer, block: number): number {
  const bytes = Buffer.alloc(CHECK_BYTES + 4);
  seal.copy(bytes, 0, 0, CHECK_BYTES);
  bytes.writeUInt32LE(block, CHECK_BYTES);
  return sha256(bytes).readUInt32LE(0);
}
