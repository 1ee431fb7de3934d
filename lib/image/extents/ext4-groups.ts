import { crc16, crc32c } from "./crc";
import type { Ext4Superblock } from "./ext4-superblock";
import { Extents } from "./extents";
import { expectThat, type Region } from "./region";

const BLOCK_UNINIT = 2;

/** What the group descriptors say, in columns: 21 bytes a group. */
export interface Ext4Groups {
  /** Block of each group's block bitmap. */
  readonly bitmap: Float64Array;
  /** Free clusters, for checking. */
  readonly free: Float64Array;
  /** The bitmap's checksum, 16 or 32 bits of it. */
  readonly checksum: Uint32Array;
  /** 1 where the bitmap was never written: nothing but metadata is in the group. */
  readonly uninitialised: Uint8Array;
  /** Superblocks, descriptors, bitmaps and inode tables of all groups, in bytes. */
  readonly metadata: Extents;
}

/** @throws Doubt when a descriptor's checksum is wrong, or it points outside of the file system */
export async function readExt4Groups(region: Region, fs: Ext4Superblock): Promise<Ext4Groups> {
  const { groups, blockBytes, descriptorBytes } = fs;
  const bitmap = new Float64Array(groups);
  const free = new Float64Array(groups);
  const checksum = new Uint32Array(groups);
  const uninitialised = new Uint8Array(groups);
  const metadata: [number, number][] = [];
  const keep = (block: number, count: number, what: string, group: number) => {
    expectThat(
      block >= fs.firstDataBlock && block + count <= fs.blocks,
      `has the ${what} of group ${group} at block ${block}, outside of it`,
    );
    const last = metadata[metadata.length - 1];
    // Tables follow one another with flex_bg: one range instead of sixteen.
    if (last && last[1] === block * blockBytes) last[1] += count * blockBytes;
    else metadata.push([block * blockBytes, (block + count) * blockBytes]);
  };

  const perBlock = blockBytes / descriptorBytes;
  for (let group = 0; group < groups; group++) {
    const base = baseMetadataBlocks(fs, group);
    const first = fs.firstDataBlock + group * fs.groupBlocks;
    if (base > 0) keep(first, Math.min(base, fs.blocks - first), "superblock", group);
  }
  for (let first = 0; first < groups; first += perBlock) {
    const bytes = await region.read(descriptorBlock(fs, first / perBlock) * blockBytes, blockBytes);
    for (let group = first; group < Math.min(first + perBlock, groups); group++) {
      const start = (group - first) * descriptorBytes;
      const descriptor = bytes.subarray(start, start + descriptorBytes);
      requireChecksum(fs, descriptor, group);
      const wide = descriptorBytes >= 64;
      const place = (low: number) =>
        descriptor.readUInt32LE(low) + (wide ? descriptor.readUInt32LE(low + 0x20) * 2 ** 32 : 0);
      bitmap[group] = place(0);
      free[group] = descriptor.readUInt16LE(0xc) + (wide ? descriptor.readUInt16LE(0x2c) * 65_536 : 0);
      checksum[group] = descriptor.readUInt16LE(0x18) + (wide ? descriptor.readUInt16LE(0x38) * 65_536 : 0);
      // Without descriptor checksums the flag means nothing (as in the kernel).
      if (fs.checksums !== "none" && descriptor.readUInt16LE(0x12) & BLOCK_UNINIT) uninitialised[group] = 1;
      keep(place(0), 1, "block bitmap", group);
      keep(place(4), 1, "inode bitmap", group);
      keep(place(8), fs.inodeTableBlocks, "inode table", group);
    }
  }
  return { bitmap, free, checksum, uninitialised, metadata: Extents.of(metadata) };
}

/** In which block the descriptors number `index` (counted in blocks of them) are. */
function descriptorBlock(fs: Ext4Superblock, index: number): number {
  const superblock = fs.blockBytes === 1024 ? 1 : 0;
  if (index < fs.firstMetaBg) return superblock + 1 + index;
  const group = index * (fs.blockBytes / fs.descriptorBytes);
  // With blocks of 1 KiB and no boot block (bigalloc) the first group's superblock is in its second block.
  const shift = fs.blockBytes === 1024 && index === 0 && fs.firstDataBlock === 0 ? 1 : 0;
  return fs.firstDataBlock + group * fs.groupBlocks + (fs.hasBackup(group) ? 1 : 0) + shift;
}

/** How many blocks a group begins with that hold the superblock and descriptors, also those set aside for growing. */
function baseMetadataBlocks(fs: Ext4Superblock, group: number): number {
  const perBlock = fs.blockBytes / fs.descriptorBytes;
  const superblock = fs.hasBackup(group) ? 1 : 0;
  // The first group's superblock is in block 1 when blocks have 1 KiB, also where its bits begin with block 0.
  const shift = group === 0 && fs.blockBytes === 1024 && fs.firstDataBlock === 0 ? 1 : 0;
  if (group < fs.firstMetaBg * perBlock) {
    if (superblock === 0) return 0;
    const descriptors = Math.min(Math.ceil(fs.groups / perBlock), fs.firstMetaBg);
    return shift + superblock + descriptors + fs.reservedGdtBlocks;
  }
  const inMeta = group % perBlock;
  return shift + superblock + (inMeta === 0 || inMeta === 1 || inMeta === perBlock - 1 ? 1 : 0);
}

function requireChecksum(fs: Ext4Superblock, descriptor: Buffer, group: number): void {
  if (fs.checksums === "none") return;
  const number = Buffer.alloc(4);
  number.writeUInt32LE(group);
  let sum: number;
  if (fs.checksums === "crc32c") {
    sum = crc32c(crc32c(fs.checksumSeed, number), descriptor, 0, 0x1e);
    sum = crc32c(crc32c(sum, Buffer.alloc(2)), descriptor, 0x20) & 0xffff;
  } else {
    sum = crc16(crc16(crc16(0xffff, fs.uuid), number), descriptor.subarray(0, 0x1e));
    sum = crc16(sum, descriptor.subarray(0x20));
  }
  expectThat(
    sum === descriptor.readUInt16LE(0x1e),
    `has a descriptor of group ${group} whose checksum is wrong`,
  );
}
