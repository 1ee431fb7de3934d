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
 * The partitions of a GUID partition table (UEFI specification, chapter 5), from the backup where the primary is broken.
 * @throws Doubt when both are
 */
export async function readGpt(disk: Region): Promise<Partition[]> {
  let doubt: unknown;
  for (const backup of [false, true]) {
    for (const sectorBytes of SECTOR_BYTES) {
      const at = backup ? Math.floor(disk.length / sectorBytes) - 1 : 1;
      try {
        if (await isGptHeader(disk, at * sectorBytes)) return await readTable(disk, at, sectorBytes);
      } catch (error) {
        if (!(error instanceof Doubt)) throw error;
        doubt ??= error;
      }
    }
  }
  throw (
    doubt ?? new Doubt("has no header of a GUID partition table, neither at its beginning nor at its end")
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

async function readTable(disk: Region, sector: number, sectorBytes: number): Promise<Partition[]> {
  const header = await disk.read(sector * sectorBytes, sectorBytes);
  const headerBytes = header.readUInt32LE(12);
  expectThat(
    headerBytes >= 92 && headerBytes <= sectorBytes,
    `has a partition table header of ${headerBytes} bytes`,
  );
  const sum = header.readUInt32LE(16);
  header.writeUInt32LE(0, 16);
  expectThat(
    crc32(header.subarray(0, headerBytes)) === sum,
    "has a partition table header whose checksum is wrong",
  );
  expectThat(
    Number(header.readBigUInt64LE(24)) === sector,
    "has a partition table header from another place",
  );

  const [count, entryBytes] = [header.readUInt32LE(80), header.readUInt32LE(84)];
  expectThat(
    entryBytes >= 128 && entryBytes % 8 === 0 && count * entryBytes <= MAX_ENTRIES_BYTES,
    `has a partition table of ${count} entries of ${entryBytes} bytes`,
  );
  const entries = await disk.read(Number(header.readBigUInt64LE(72)) * sectorBytes, count * entryBytes);
  expectThat(crc32(entries) === header.readUInt32LE(88), "has a partition table whose checksum is wrong");

  const partitions: Partition[] = [];
  for (let at = 0; at < entries.length; at += entryBytes) {
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
