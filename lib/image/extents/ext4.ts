import { crc32c } from "./crc";
import { readExt4Groups, type Ext4Groups } from "./ext4-groups";
import {
  EXT4_SUPERBLOCK_AT,
  EXT4_SUPERBLOCK_BYTES,
  ext4Kind,
  isExt4,
  parseExt4Superblock,
  type Ext4Superblock,
} from "./ext4-superblock";
import { ExtentsBuilder, type Extents } from "./extents";
import { Doubt, expectThat, type Finding, type Region } from "./region";

/** Bitmaps read at a time, and then looked through without a pause: 2 ms when every second block is free. */
const BATCH = 8;

/** The blocks in use of an ext2, ext3 or ext4 file system that was left clean; undefined when there is none. */
export async function findExt4(region: Region): Promise<Finding | undefined> {
  const bytes = await region.readUpTo(EXT4_SUPERBLOCK_AT, EXT4_SUPERBLOCK_BYTES);
  if (!isExt4(bytes)) return undefined;
  try {
    const fs = parseExt4Superblock(bytes);
    const size = fs.blocks * fs.blockBytes;
    expectThat(
      region.holds(0, size),
      `is said to have ${size} bytes, more than the ${region.length} there are`,
    );
    return { kind: fs.kind, inUse: await readUsage(region, fs, size) };
  } catch (error) {
    if (error instanceof Doubt) return { kind: ext4Kind(bytes), why: error.message };
    throw error;
  }
}

async function readUsage(region: Region, fs: Ext4Superblock, size: number): Promise<Extents> {
  const groups = await readExt4Groups(region, fs);
  const builder = new ExtentsBuilder(region.length);
  builder.add(0, fs.firstDataBlock * fs.blockBytes);
  for (let first = 0; first < fs.groups; first += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, fs.groups - first) }, (_, i) => first + i);
    const bitmaps = await Promise.all(
      numbers.map((group) =>
        groups.uninitialised[group]
          ? undefined
          : region.read(groups.bitmap[group]! * fs.blockBytes, fs.blockBytes),
      ),
    );
    for (const [i, group] of numbers.entries()) addGroup(builder, fs, groups, group, bitmaps[i]);
  }
  // What follows the file system in its partition belongs to nobody known.
  builder.add(size, region.length);
  // Marked in the bitmaps as well; but a copy of the superblock is what one wants to have when they are not.
  return builder.finish().union(groups.metadata);
}

function addGroup(
  builder: ExtentsBuilder,
  fs: Ext4Superblock,
  groups: Ext4Groups,
  group: number,
  bitmap: Buffer | undefined,
): void {
  const firstBlock = fs.firstDataBlock + group * fs.groupBlocks;
  const clusters = Math.ceil(Math.min(fs.groupBlocks, fs.blocks - firstBlock) / fs.clusterBlocks);
  const [start, unit] = [firstBlock * fs.blockBytes, fs.clusterBlocks * fs.blockBytes];
  let free: number;
  if (bitmap) {
    if (fs.checksums === "crc32c") {
      const length = fs.groupBlocks / fs.clusterBlocks / 8;
      const sum =
        crc32c(fs.checksumSeed, bitmap, 0, length) & (fs.descriptorBytes >= 64 ? 0xffffffff : 0xffff);
      expectThat(
        sum >>> 0 === groups.checksum[group],
        `has a block bitmap of group ${group} whose checksum is wrong`,
      );
    }
    free = clusters - addBits(builder, bitmap, clusters, start, unit);
  } else {
    free = clusters;
    let counted = 0;
    for (const [from, to] of groups.metadata.within(start, start + clusters * unit)) {
      const [first, last] = [Math.floor((from - start) / unit), Math.ceil((to - start) / unit)];
      builder.add(start + first * unit, start + last * unit);
      // Two ranges may share a cluster.
      free -= Math.max(0, last - Math.max(first, counted));
      counted = last;
    }
  }
  expectThat(
    free === groups.free[group],
    `says that ${groups.free[group]} of the blocks of group ${group} are free, but its bitmap says ${free}`,
  );
}

/** Adds the ranges of the bits that are set, and returns how many are. */
function addBits(builder: ExtentsBuilder, bitmap: Buffer, bits: number, start: number, unit: number): number {
  let [count, runStart] = [0, -1];
  for (let bit = 0; bit < bits;) {
    const byte = bitmap[bit >>> 3]!;
    // Bits come in long runs: whole bytes of the same need no look at each.
    if ((bit & 7) === 0 && bit + 8 <= bits && byte === (runStart >= 0 ? 0xff : 0)) {
      bit += 8;
      continue;
    }
    const set = (byte >>> (bit & 7)) & 1;
    if (set && runStart < 0) {
      runStart = bit;
    } else if (!set && runStart >= 0) {
      builder.add(start + runStart * unit, start + bit * unit);
      count += bit - runStart;
      runStart = -1;
    }
    bit++;
  }
  if (runStart >= 0) {
    builder.add(start + runStart * unit, start + bits * unit);
    count += bits - runStart;
  }
  return count;
}
