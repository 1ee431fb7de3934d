import { crc32c } from "./crc";
import { Doubt, expectThat, type Region } from "./region";

/** spinodes, meta_uuid, bigtime, nrext64, exchange-range, parent, ftype: none of them changes what counts as free. */
const KNOWN_INCOMPAT = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80;

const NEEDS_REPAIR = 0x10;

/** finobt, rmapbt, reflink, inobtcount */
const KNOWN_RO_COMPAT = 0x1 | 0x2 | 0x4 | 0x8;

const META_UUID = 0x4;

/** An allocation group has at least 16 MiB, but for the smallest file systems: more groups than that no image has. */
const MAX_GROUPS = 2 ** 18;

/** An XFS superblock, as far as it tells which blocks are free (the kernel's fs/xfs/libxfs/xfs_format.h). */
export interface XfsSuperblock {
  readonly version: 4 | 5;
  readonly blockBytes: number;
  readonly sectorBytes: number;
  readonly blocks: number;
  readonly groups: number;
  readonly groupBlocks: number;
  readonly logOffset: number;
  readonly logBytes: number;
  /** As users see it. */
  readonly uuid: Buffer;
  /** As it is in the metadata. */
  readonly metaUuid: Buffer;
}

/** @throws Doubt when it has features that are not known, or contradicts itself */
export async function readXfsSuperblock(region: Region): Promise<XfsSuperblock> {
  const bytes = await region.read(0, 512);
  const version = bytes.readUInt16BE(100) & 0xf;
  expectThat(version === 4 || version === 5, `is of version ${version}`);
  const [blockBytes, sectorBytes] = [bytes.readUInt32BE(4), bytes.readUInt16BE(102)];
  expectThat(isPowerOfTwo(sectorBytes, 512, 32_768), `has sectors of ${sectorBytes} bytes`);
  expectThat(isPowerOfTwo(blockBytes, sectorBytes, 65_536), `has blocks of ${blockBytes} bytes`);
  if (version === 5) await requireVersion5(region, sectorBytes);
  expectThat(bytes[126] === 0, "was never made to its end (mkfs was interrupted)");
  expectThat(
    bytes.readBigUInt64BE(16) === 0n && bytes.readUInt32BE(24) === 0,
    "has a part on a realtime device",
  );

  const blocks = Number(bytes.readBigUInt64BE(8));
  const [groupBlocks, groups] = [bytes.readUInt32BE(84), bytes.readUInt32BE(88)];
  expectThat(groups >= 1 && groups <= MAX_GROUPS, `has ${groups} allocation groups`);
  expectThat(
    groupBlocks >= 64 && blocks <= groups * groupBlocks && blocks > (groups - 1) * groupBlocks,
    `has ${blocks} blocks in ${groups} groups of ${groupBlocks}`,
  );
  const size = blocks * blockBytes;
  expectThat(
    region.holds(0, size),
    `is said to have ${size} bytes, more than the ${region.length} there are`,
  );

  const uuid = bytes.subarray(32, 48);
  const metaUuid = version === 5 && bytes.readUInt32BE(216) & META_UUID ? bytes.subarray(248, 264) : uuid;
  const layout = { version, blockBytes, sectorBytes, blocks, groups, groupBlocks, uuid, metaUuid } as const;
  return { ...layout, ...logPlace(bytes, layout) };
}

function logPlace(
  bytes: Buffer,
  { blockBytes, groups, groupBlocks, blocks }: Omit<XfsSuperblock, "logOffset" | "logBytes">,
) {
  const start = bytes.readBigUInt64BE(48);
  expectThat(start !== 0n, "has its log on another device");
  // The upper bits of a block number are the group, and groups need not have a power of two of blocks.
  const groupBits = bytes[124]!;
  expectThat(
    2 ** groupBits >= groupBlocks && groupBits <= 32,
    `counts the blocks of a group in ${groupBits} bits`,
  );
  const group = Number(start >> BigInt(groupBits));
  const block = Number(start & ((1n << BigInt(groupBits)) - 1n));
  const logBlocks = bytes.readUInt32BE(96);
  expectThat(
    group < groups && block + logBlocks <= groupBlocks && group * groupBlocks + block + logBlocks <= blocks,
    `has its log at block ${block} of group ${group}, outside of it`,
  );
  const logOffset = (group * groupBlocks + block) * blockBytes;
  return { logOffset, logBytes: logBlocks * blockBytes };
}

async function requireVersion5(region: Region, sectorBytes: number): Promise<void> {
  const sector = await region.read(0, sectorBytes);
  requireXfsChecksum(sector, 224, "a superblock");
  const [compat, roCompat, incompat, logIncompat] = [208, 212, 216, 220].map((at) =>
    sector.readUInt32BE(at),
  ) as [number, number, number, number];
  expectThat((incompat & NEEDS_REPAIR) === 0, "is marked as needing repair");
  const unknown = { compat, ro_compat: roCompat & ~KNOWN_RO_COMPAT, incompat: incompat & ~KNOWN_INCOMPAT };
  for (const [name, bits] of Object.entries(unknown)) {
    expectThat(bits === 0, `has features that are not known (${name} 0x${(bits >>> 0).toString(16)})`);
  }
  expectThat(logIncompat === 0, "has entries in its log that are still to be replayed");
}

/**
 * Metadata of version 5 has a CRC-32C, in little-endian order, made with its own four bytes as zeros.
 * @throws Doubt when it is wrong
 */
export function requireXfsChecksum(bytes: Buffer, at: number, what: string): void {
  const sum = crc32c(crc32c(crc32c(0xffffffff, bytes, 0, at), Buffer.alloc(4)), bytes, at + 4);
  if (~sum >>> 0 !== bytes.readUInt32LE(at)) throw new Doubt(`has ${what} whose checksum is wrong`);
}

function isPowerOfTwo(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && Number.isInteger(Math.log2(value));
}
