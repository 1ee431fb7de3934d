import type { Partition } from "./gpt";
import { expectThat, type Region } from "./region";

const SECTOR_BYTES = 512;

const ENTRIES_AT = 446;

const EXTENDED = [0x05, 0x0f, 0x85];

/** What a disk with a GUID partition table has in its first sector. */
export const PROTECTIVE = 0xee;

/** No tool makes more. */
const MAX_LOGICAL = 256;

/** One of the four entries of a table in a sector: in sectors, relative to what its place says. */
export interface MbrEntry {
  readonly type: number;
  readonly start: number;
  readonly sectors: number;
}

export const isExtended = ({ type }: MbrEntry): boolean => EXTENDED.includes(type);

/** What a first sector is: none of the table's, one with a table (perhaps empty), or one that only looks like it. */
export function parseMbr(
  sector: Buffer,
): { readonly entries: readonly MbrEntry[]; readonly valid: boolean } | undefined {
  if (sector.length < SECTOR_BYTES || sector.readUInt16BE(510) !== 0x55aa) return undefined;
  const table = sector.subarray(ENTRIES_AT, 510);
  const entries: MbrEntry[] = [];
  let valid = true;
  for (let at = 0; at < table.length; at += 16) {
    // Anything else than "active" and "not active" is the program code of something that is no table.
    if (table[at] !== 0 && table[at] !== 0x80) valid = false;
    const entry = {
      type: table[at + 4]!,
      start: table.readUInt32LE(at + 8),
      sectors: table.readUInt32LE(at + 12),
    };
    if (entry.type !== 0 && entry.sectors !== 0) entries.push(entry);
    else if (table.subarray(at, at + 16).some((byte) => byte !== 0)) valid = false;
  }
  return { entries, valid };
}

export function placeOf({ start, sectors }: MbrEntry): Partition {
  return { offset: start * SECTOR_BYTES, length: sectors * SECTOR_BYTES };
}

/**
 * The logical partitions of an extended one: a chain of sectors, each with a table that holds one of them and the next link.
 * @throws Doubt for a chain that leads outside, or round in circles, or is broken
 */
export async function readLogical(disk: Region, extended: Partition): Promise<Partition[]> {
  const region = disk.part(extended.offset, extended.length);
  const partitions: Partition[] = [];
  const seen = new Set<number>();
  for (let at = 0; ;) {
    expectThat(!seen.has(at), "has a chain of logical partitions that leads round in a circle");
    seen.add(at);
    expectThat(seen.size <= MAX_LOGICAL, `has more than ${MAX_LOGICAL} logical partitions`);
    const table = parseMbr(await region.read(at, SECTOR_BYTES));
    expectThat(
      table !== undefined && table.valid,
      `has a chain of logical partitions that is broken at ${at}`,
    );
    const [own, ...more] = table.entries.filter((entry) => !isExtended(entry));
    const [link, ...links] = table.entries.filter(isExtended);
    expectThat(
      more.length === 0 && links.length === 0,
      `has more than one logical partition in the table at ${at}`,
    );
    if (own) {
      const { offset, length } = placeOf(own);
      expectThat(
        offset > 0 && region.holds(at + offset, length),
        `has a logical partition at ${at} outside of it`,
      );
      partitions.push({ offset: extended.offset + at + offset, length });
    }
    if (!link) return partitions;
    // Links count from the beginning of the extended partition, not from the table they are in.
    at = link.start * SECTOR_BYTES;
  }
}
