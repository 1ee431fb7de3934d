import { Doubt, expectThat, type Region } from "./region";
import { requireXfsChecksum, type XfsSuperblock } from "./xfs-superblock";

/** No tree of 2^32 blocks is higher. */
const MAX_LEVELS = 16;

/** Told by ascending block of the group. */
export type FreeVisitor = (block: number, count: number) => void;

/** What an allocation group's header says of its free space. */
interface GroupHeader {
  readonly root: number;
  readonly levels: number;
  readonly freeBlocks: number;
  readonly longest: number;
  /** Blocks in the group. */
  readonly length: number;
}

/**
 * Walks the tree of free extents of one allocation group.
 * @throws Doubt when it, or the group's header, contradicts itself: what it holds must be ascending, inside of the group, and add
 *   up to what the header says (which also ends every walk, however the tree is knotted)
 */
export async function visitFreeSpace(
  region: Region,
  fs: XfsSuperblock,
  group: number,
  visit: FreeVisitor,
): Promise<void> {
  const header = await readGroupHeader(region, fs, group);
  const firstFree = Math.ceil((4 * fs.sectorBytes) / fs.blockBytes);
  let [end, sum, longest] = [firstFree, 0, 0];
  await walk(region, fs, group, header, (block, count) => {
    expectThat(
      block >= end && count > 0 && block + count <= header.length,
      `has a free extent of ${count} blocks at ${block} in group ${group} that cannot be`,
    );
    [end, sum, longest] = [block + count, sum + count, Math.max(longest, count)];
    visit(block, count);
  });
  expectThat(
    sum === header.freeBlocks && longest === header.longest,
    `has ${sum} free blocks in group ${group}, whose header says ${header.freeBlocks}`,
  );
}

async function readGroupHeader(region: Region, fs: XfsSuperblock, group: number): Promise<GroupHeader> {
  const start = group * fs.groupBlocks * fs.blockBytes;
  const bytes = await region.read(start + fs.sectorBytes, fs.sectorBytes);
  const what = `a header of group ${group}`;
  expectThat(
    bytes.toString("latin1", 0, 4) === "XAGF" && bytes.readUInt32BE(4) === 1,
    `has no ${what.slice(2)}`,
  );
  if (fs.version === 5) {
    requireXfsChecksum(bytes, 216, what);
    expectThat(bytes.subarray(64, 80).equals(fs.metaUuid), `has ${what} of another file system`);
  }
  const length = Math.min(fs.groupBlocks, fs.blocks - group * fs.groupBlocks);
  expectThat(
    bytes.readUInt32BE(8) === group && bytes.readUInt32BE(12) === length,
    `has ${what} that is said to be of group ${bytes.readUInt32BE(8)}, with ${bytes.readUInt32BE(12)} blocks`,
  );
  const levels = bytes.readUInt32BE(28);
  expectThat(levels >= 1 && levels <= MAX_LEVELS, `has a tree of ${levels} levels in group ${group}`);
  return {
    root: bytes.readUInt32BE(16),
    levels,
    freeBlocks: bytes.readUInt32BE(52),
    longest: bytes.readUInt32BE(56),
    length,
  };
}

async function walk(
  region: Region,
  fs: XfsSuperblock,
  group: number,
  header: GroupHeader,
  visit: FreeVisitor,
): Promise<void> {
  const headerBytes = fs.version === 5 ? 56 : 16;
  const maxPointers = Math.floor((fs.blockBytes - headerBytes) / 12);
  // Each leaf but a lonely root holds an extent, each higher than the last: there are not more of them than blocks.
  const descend = async (block: number, level: number): Promise<void> => {
    const bytes = await readTreeBlock(region, fs, group, header, block, level);
    const count = bytes.readUInt16BE(6);
    const most = level === 0 ? Math.floor((fs.blockBytes - headerBytes) / 8) : maxPointers;
    const least = level === 0 && header.levels === 1 ? 0 : 1;
    expectThat(count >= least && count <= most, `has ${count} entries in block ${block} of group ${group}`);
    for (let i = 0; i < count; i++) {
      const at = headerBytes + 8 * i;
      if (level === 0) visit(bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4));
      else await descend(bytes.readUInt32BE(headerBytes + 8 * maxPointers + 4 * i), level - 1);
    }
  };
  await descend(header.root, header.levels - 1);
}

async function readTreeBlock(
  region: Region,
  fs: XfsSuperblock,
  group: number,
  header: GroupHeader,
  block: number,
  level: number,
): Promise<Buffer> {
  const what = `a tree of free space in group ${group}`;
  if (block === 0 || block >= header.length) throw new Doubt(`has ${what} that leads to block ${block}`);
  const bytes = await region.read((group * fs.groupBlocks + block) * fs.blockBytes, fs.blockBytes);
  const magic = bytes.toString("latin1", 0, 4);
  expectThat(magic === (fs.version === 5 ? "AB3B" : "ABTB"), `has ${what} that is broken at block ${block}`);
  if (fs.version === 5) {
    requireXfsChecksum(bytes, 52, what);
    expectThat(
      bytes.subarray(32, 48).equals(fs.metaUuid) && bytes.readUInt32BE(48) === group,
      `has ${what} that belongs elsewhere`,
    );
  }
  expectThat(
    bytes.readUInt16BE(4) === level,
    `has ${what} with level ${bytes.readUInt16BE(4)} instead of ${level}`,
  );
  return bytes;
}
