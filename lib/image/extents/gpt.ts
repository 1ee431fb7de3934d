import { crc32 } from "./crc";
import { Doubt, expectThat, type Region } from "./region";

/** The specification asks for room for 128 entries of 128 bytes; so many bytes of them are read at most. */
const MAX_ENTRIES_BYTES = 1024 * 1024;

export const MAX_PARTITIONS = 1024;

const SECTOR_BYTES = [512, 4096];

/** A partition as a table has it: in bytes, perhaps beyond the disk. */
export interface Partition {
  readonly offset: number;
  readonly length: number;
}

/**
 * The partitions of a GUID partition table (UEFI specification, chapter 5), from the backup where the primary is damaged.
 * @throws Doubt when both are, or the first whose checksums are right makes no sense
 */
export async function readGpt(disk: Region): Promise<Partition[]> {
  let damaged = false;
  for (const backup of [false, true]) {
    for (const sectorBytes of SECTOR_BYTES) {
      const sector = backup ? Math.floor(disk.length / sectorBytes) - 1 : 1;
      if (!(await isGptHeader(disk, sector * sectorBytes))) continue;
      const table = await readTable(disk, sector, sectorBytes);
      if (table) return partitionsIn(table.entries, table.entryBytes, sectorBytes);
      damaged = true;
    }
  }
  throw new Doubt(
    damaged
      ? "has a GUID partition table whose checksum is wrong, and so is its copy's"
      : "has no header of a GUID partition table, neither at its beginning nor at its end",
  );
}

/** Is there a header of a GUID partition table anywhere? For disks whose first sector announces none. */
export async function hasGpt(disk: Region): Promise<boolean> {
  for (const sectorBytes of SECTOR_BYTES) {
    if (await isGptHeader(disk, sectorBytes)) return true;
    if (await isGptHeader(disk, (Math.floor(disk.length / sectorBytes) - 1) * sectorBytes)) return true;
  }
  return false;
}

async function isGptHeader(disk: Region, offset: number): Promise<boolean> {
  return offset > 0 && (await disk.readUpTo(offset, 8)).toString("latin1") === "EFI PART";
}

/** The entries as they are on the disk; undefined when a checksum is wrong. */
async function readTable(
  disk: Region,
  sector: number,
  sectorBytes: number,
): Promise<{ readonly entries: Buffer; readonly entryBytes: number } | undefined> {
  const header = await disk.readUpTo(sector * sectorBytes, sectorBytes);
  if (header.length < sectorBytes) return undefined;
  const [headerBytes, sum] = [header.readUInt32LE(12), header.readUInt32LE(16)];
  if (headerBytes < 92 || headerBytes > sectorBytes) return undefined;
  header.writeUInt32LE(0, 16);
  if (crc32(header.subarray(0, headerBytes)) !== sum) return undefined;
  // A header that was moved, with the disk growing or shrinking around it, no longer tells where things are.
  expectThat(
    Number(header.readBigUInt64LE(24)) === sector,
    "has a GUID partition table that was made elsewhere",
  );

  const [count, entryBytes] = [header.readUInt32LE(80), header.readUInt32LE(84)];
  expectThat(
    entryBytes >= 128 && entryBytes % 8 === 0 && count * entryBytes <= MAX_ENTRIES_BYTES,
    `has a partition table of ${count} entries of ${entryBytes} bytes`,
  );
  const entries = await disk.readUpTo(Number(header.readBigUInt64LE(72)) * sectorBytes, count * entryBytes);
  return crc32(entries) === header.readUInt32LE(88) ? { entries, entryBytes } : undefined;
}

function partitionsIn(entries: Buffer, entryBytes: number, sectorBytes: number): Partition[] {
  const partitions: Partition[] = [];
  for (let at = 0; at + entryBytes <= entries.length; at += entryBytes) {
    if (entries.subarray(at, at + 16).every((byte) => byte === 0)) continue;
    const [first, last] = [
      Number(entries.readBigUInt64LE(at + 32)),
      Number(entries.readBigUInt64LE(at + 40)),
    ];
    expectThat(first > 0 && last >= first, `has a partition from sector ${first} to ${last}`);
    partitions.push({ offset: first * sectorBytes, length: (last - first + 1) * sectorBytes });
    expectThat(partitions.length <= MAX_PARTITIONS, `has more than ${MAX_PARTITIONS} partitions`);
  }
  return partitions;
}
