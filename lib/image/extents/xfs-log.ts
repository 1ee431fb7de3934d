import type { XfsSuperblock } from "./xfs-superblock";
import { Doubt, expectThat, type Region } from "./region";

/** The log's unit. Each begins with the number of the cycle it was written in; a record's first with this, and then the cycle. */
const BLOCK_BYTES = 512;
const RECORD_MAGIC = 0xfeedbabe;

/** What may be under way at the same time: 8 buffers of 256 KiB. Only so near to the head can the log have gaps. */
const WINDOW_BLOCKS = 4096;

const UNMOUNT = 0x20;

/**
 * Requires that the log ends with the record that unmounting leaves, so that nothing in it is still to be replayed. As xfsprogs
 * and the kernel do (xlog_find_tail): find the head, where the numbers of the cycles change; look at the record before it. Where
 * they would repair or guess, this is in doubt.
 * @throws Doubt unless it is so
 */
export async function requireCleanXfsLog(region: Region, fs: XfsSuperblock): Promise<void> {
  const log = new Log(region, fs.logOffset, Math.floor(fs.logBytes / BLOCK_BYTES));
  const head = await log.findHead();
  const window = Math.min(WINDOW_BLOCKS, head);
  const bytes = await log.read(head - window, window);
  const cycle = cycleAt(bytes, window - 1);
  for (let block = 0; block < window; block++) {
    expectThat(cycleAt(bytes, block) === cycle, UNCLEAR);
  }
  const start = lastRecord(bytes, window);
  const header = bytes.subarray(start * BLOCK_BYTES, (start + 1) * BLOCK_BYTES);
  expectThat(header.subarray(304, 320).equals(fs.uuid), "has a log that belongs to another file system");
  const [version, length, bufferBytes] = [
    header.readUInt32BE(8),
    header.readUInt32BE(12),
    header.readUInt32BE(320),
  ];
  // From version 2 on large records have more than one block of header.
  const headers = version & 2 && bufferBytes > 32_768 ? Math.ceil(bufferBytes / 32_768) : 1;
  const ends = start + headers + Math.ceil(length / BLOCK_BYTES);
  expectThat(ends === window && start + headers < window, UNMOUNTED_NOT);
  // An operation's flags are its byte 9, and unmounting is one operation alone.
  const flags = bytes[(start + headers) * BLOCK_BYTES + 9]!;
  expectThat(header.readUInt32BE(40) === 1 && (flags & UNMOUNT) !== 0, UNMOUNTED_NOT);
}

const UNCLEAR = "has a log whose end is not clear";
const UNMOUNTED_NOT = "was not unmounted: its log is still to be replayed";

function lastRecord(bytes: Buffer, blocks: number): number {
  for (let block = blocks - 1; block >= 0; block--) {
    if (bytes.readUInt32BE(block * BLOCK_BYTES) === RECORD_MAGIC) return block;
  }
  throw new Doubt(UNMOUNTED_NOT);
}

function cycleAt(bytes: Buffer, block: number): number {
  const first = bytes.readUInt32BE(block * BLOCK_BYTES);
  return first === RECORD_MAGIC ? bytes.readUInt32BE(block * BLOCK_BYTES + 4) : first;
}

class Log {
  constructor(
    private readonly region: Region,
    private readonly offset: number,
    private readonly blocks: number,
  ) {
    expectThat(blocks > 1, "has no log");
  }

  read(first: number, count: number): Promise<Buffer> {
    return this.region.read(this.offset + first * BLOCK_BYTES, count * BLOCK_BYTES);
  }

  /**
   * The block that would be written next; the log's length when it is just full. The log is a ring: all blocks before the head are
   * of one cycle, all after it of the one before, or of none where they were never written (or cleared, as xfs_admin does).
   */
  async findHead(): Promise<number> {
    const [first, last] = [await this.cycle(0), await this.cycle(this.blocks - 1)];
    expectThat(first !== 0, "has a log that was never written");
    if (first === last) return this.blocks;
    expectThat(last === first - 1 || last === 0, UNCLEAR);
    let [low, high] = [0, this.blocks - 1];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if ((await this.cycle(middle)) === first) low = middle;
      else high = middle;
    }
    const after = await this.read(high, Math.min(WINDOW_BLOCKS, this.blocks - high));
    for (let block = 0; block * BLOCK_BYTES < after.length; block++) {
      expectThat(cycleAt(after, block) < first, UNCLEAR);
    }
    return high;
  }

  private async cycle(block: number): Promise<number> {
    return cycleAt(await this.read(block, 1), 0);
  }
}
