import { crc32c } from "./crc";
import { expectThat } from "./region";

export const EXT4_SUPERBLOCK_AT = 1024;
export const EXT4_SUPERBLOCK_BYTES = 1024;

const COMPAT = { journal: 0x4, sparseSuper2: 0x200 } as const;
const INCOMPAT = { recover: 0x4, metaBg: 0x10, bit64: 0x80, csumSeed: 0x2000 } as const;
const RO_COMPAT = {
  sparseSuper: 0x1,
  gdtCsum: 0x10,
  bigalloc: 0x200,
  metadataCsum: 0x400,
  orphans: 0x10000,
} as const;

/** filetype, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data, encrypt, casefold */
const KNOWN_INCOMPAT =
  0x2 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;

/**
 * sparse_super, large_file, btree_dir, huge_file, gdt_csum, dir_nlink, extra_isize, quota, bigalloc, metadata_csum, readonly,
 * project, shared_blocks, verity
 */
const KNOWN_RO_COMPAT =
  0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000;

/** What ext2 and ext3 have of those. */
const OLD_INCOMPAT = 0x2 | 0x10;
const OLD_RO_COMPAT = 0x1 | 0x2 | 0x4;

/** With 4 KiB blocks 32 TiB: more than any image may have. Of smaller blocks it bounds the memory. */
const MAX_GROUPS = 2 ** 18;

/** An ext2, ext3 or ext4 superblock, as far as it tells which blocks are free (the kernel's fs/ext4/ext4.h). */
export interface Ext4Superblock {
  readonly kind: "ext2" | "ext3" | "ext4";
  readonly blockBytes: number;
  readonly blocks: number;
  /** 1 where block 0 is the boot block alone. */
  readonly firstDataBlock: number;
  /** Blocks that one bit stands for. */
  readonly clusterBlocks: number;
  readonly groupBlocks: number;
  readonly groups: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBytes: number;
  readonly reservedGdtBlocks: number;
  /** From which block of descriptors on they lie in their own groups; none do without `meta_bg`. */
  readonly firstMetaBg: number;
  readonly uuid: Buffer;
  /** How descriptors are summed; bitmaps only with `crc32c`. */
  readonly checksums: "crc32c" | "crc16" | "none";
  readonly checksumSeed: number;
  /** Which groups begin with a copy of the superblock. */
  hasBackup(group: number): boolean;
}

export function isExt4(superblock: Buffer): boolean {
  return superblock.length === EXT4_SUPERBLOCK_BYTES && superblock.readUInt16LE(0x38) === 0xef53;
}

/** ext4 as soon as it has anything that ext3 does not know. */
export function ext4Kind(bytes: Buffer): "ext2" | "ext3" | "ext4" {
  const [incompat, roCompat] = [bytes.readUInt32LE(0x60), bytes.readUInt32LE(0x64)];
  const old = (incompat & ~(OLD_INCOMPAT | INCOMPAT.recover)) === 0 && (roCompat & ~OLD_RO_COMPAT) === 0;
  if (!old) return "ext4";
  return bytes.readUInt32LE(0x5c) & COMPAT.journal ? "ext3" : "ext2";
}

/** @throws Doubt when it was not left clean, has features that are not known, or contradicts itself */
export function parseExt4Superblock(bytes: Buffer): Ext4Superblock {
  const u32 = (at: number) => bytes.readUInt32LE(at);
  const [compat, incompat, roCompat] = [u32(0x5c), u32(0x60), u32(0x64)];
  const metadataCsum = (roCompat & RO_COMPAT.metadataCsum) !== 0;
  requireReadable(bytes, incompat, roCompat, metadataCsum);
  requireClean(bytes, compat, incompat, roCompat);

  const logBlock = u32(0x18);
  expectThat(logBlock <= 6, `has blocks of 2^${10 + logBlock} bytes`);
  const blockBytes = 1024 * 2 ** logBlock;
  const logCluster = roCompat & RO_COMPAT.bigalloc ? u32(0x1c) : logBlock;
  expectThat(logCluster >= logBlock && logCluster <= 20, `has clusters of 2^${10 + logCluster} bytes`);
  const clusterBlocks = 2 ** (logCluster - logBlock);

  const bit64 = (incompat & INCOMPAT.bit64) !== 0;
  const blocks = u32(0x4) + (bit64 ? u32(0x150) * 2 ** 32 : 0);
  const firstDataBlock = u32(0x14);
  expectThat(
    firstDataBlock <= (blockBytes === 1024 ? 1 : 0),
    `has its first data in block ${firstDataBlock}`,
  );
  const groupBlocks = u32(0x20);
  const groupClusters = groupBlocks / clusterBlocks;
  expectThat(
    groupClusters >= 8 && groupClusters % 8 === 0 && groupClusters <= 8 * blockBytes,
    `has groups of ${groupBlocks} blocks`,
  );
  const groups = Math.ceil((blocks - firstDataBlock) / groupBlocks);
  expectThat(groups >= 1 && groups <= MAX_GROUPS, `has ${groups} groups of blocks`);

  const inodeBytes = u32(0x4c) === 0 ? 128 : bytes.readUInt16LE(0x58);
  const inodes = u32(0x28);
  expectThat(
    inodeBytes >= 128 && inodeBytes <= blockBytes && inodes >= 1 && inodes <= 8 * blockBytes,
    `has ${inodes} inodes of ${inodeBytes} bytes in each group`,
  );
  const descriptorBytes = bit64 ? bytes.readUInt16LE(0xfe) : 32;
  expectThat(
    descriptorBytes >= (bit64 ? 64 : 32) &&
      descriptorBytes <= 1024 &&
      Number.isInteger(Math.log2(descriptorBytes)),
    `has group descriptors of ${descriptorBytes} bytes`,
  );
  const uuid = bytes.subarray(0x68, 0x78);
  return {
    kind: ext4Kind(bytes),
    blockBytes,
    blocks,
    firstDataBlock,
    clusterBlocks,
    groupBlocks,
    groups,
    inodeTableBlocks: Math.ceil((inodes * inodeBytes) / blockBytes),
    descriptorBytes,
    reservedGdtBlocks: bytes.readUInt16LE(0xce),
    firstMetaBg: incompat & INCOMPAT.metaBg ? u32(0x104) : Infinity,
    uuid,
    checksums: metadataCsum ? "crc32c" : roCompat & RO_COMPAT.gdtCsum ? "crc16" : "none",
    checksumSeed: incompat & INCOMPAT.csumSeed ? u32(0x270) : crc32c(0xffffffff, uuid),
    hasBackup: backupsOf(bytes, compat, roCompat),
  };
}

function requireReadable(bytes: Buffer, incompat: number, roCompat: number, metadataCsum: boolean): void {
  const unknown = incompat & ~(KNOWN_INCOMPAT | INCOMPAT.recover);
  expectThat(unknown === 0, `has features that are not known (incompat 0x${(unknown >>> 0).toString(16)})`);
  const unknownRo = roCompat & ~(KNOWN_RO_COMPAT | RO_COMPAT.orphans);
  expectThat(
    unknownRo === 0,
    `has features that are not known (ro_compat 0x${(unknownRo >>> 0).toString(16)})`,
  );
  if (!metadataCsum) return;
  expectThat(bytes[0x175] === 1, `has checksums of type ${bytes[0x175]}`);
  const sum = crc32c(0xffffffff, bytes, 0, 0x3fc);
  expectThat(sum === bytes.readUInt32LE(0x3fc), "has a superblock whose checksum is wrong");
}

function requireClean(bytes: Buffer, compat: number, incompat: number, roCompat: number): void {
  const state = bytes.readUInt16LE(0x3a);
  expectThat((incompat & INCOMPAT.recover) === 0, "needs recovery from its journal: it was not unmounted");
  expectThat(state === 1, state & 2 ? "is marked as having errors" : "was not unmounted");
  expectThat(
    bytes.readUInt32LE(0xe8) === 0 && (roCompat & RO_COMPAT.orphans) === 0,
    "has deleted files whose space is still to be set free",
  );
  expectThat(
    (compat & COMPAT.journal) === 0 || bytes.readUInt32LE(0xe0) !== 0,
    "has its journal on another device",
  );
}

function backupsOf(bytes: Buffer, compat: number, roCompat: number): (group: number) => boolean {
  if (compat & COMPAT.sparseSuper2) {
    const two = [bytes.readUInt32LE(0x24c), bytes.readUInt32LE(0x250)];
    return (group) => group === 0 || two.includes(group);
  }
  if ((roCompat & RO_COMPAT.sparseSuper) === 0) return () => true;
  return (group) => group <= 1 || [3, 5, 7].some((base) => isPower(group, base));
}

function isPower(value: number, base: number): boolean {
  while (value > 1 && value % base === 0) value /= base;
  return value === 1;
}
