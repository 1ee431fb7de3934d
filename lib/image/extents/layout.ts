import { hasGpt, readGpt, type Partition } from "./gpt";
import { PROTECTIVE, isExtended, parseMbr, placeOf, readLogical } from "./mbr";
import { probe } from "./probe";
import { Doubt, type Finding, type Region } from "./region";

/** A stretch of a disk, and what it holds. */
export interface Part extends Partition {
  readonly finding: Finding;
}

const UNKNOWN: Finding = { kind: "unknown", why: "begins with no file system that is known" };

/** The parts of a disk that are not gaps, by ascending offset. They overlap nowhere, except where all bytes of both count. */
export async function readLayout(disk: Region): Promise<Part[]> {
  const table = await readTable(disk);
  if (!table) return [{ ...whole(disk), finding: (await probe(disk)) ?? NOTHING_KNOWN }];
  if ("kind" in table) return [{ ...whole(disk), finding: table }];
  const parts: Part[] = [];
  const inside = table.filter(({ offset }) => offset < disk.length);
  for (const place of markOverlaps(inside)) parts.push(await readPart(disk, place));
  return parts;
}

const NOTHING_KNOWN: Finding = {
  kind: "unknown",
  why: "begins with no partition table and no file system that is known",
};

const whole = ({ length }: Region): Partition => ({ offset: 0, length });

/** A place in a table, and what is known to be wrong with it. */
interface Place extends Partition {
  readonly doubt?: string;
}

async function readPart(disk: Region, { offset, length, doubt }: Place): Promise<Part> {
  const held = Math.min(length, disk.length - offset);
  const region = disk.part(offset, held);
  const finding = (await probe(region)) ?? UNKNOWN;
  const why = doubt ?? (held < length ? "goes on beyond the end of the disk" : undefined);
  return { offset, length: held, finding: why === undefined ? finding : { kind: finding.kind, why } };
}

/** The table's partitions; undefined when there is no table; a finding when all of the disk counts because of it. */
async function readTable(disk: Region): Promise<Place[] | Finding | undefined> {
  const mbr = parseMbr(await disk.readUpTo(0, 512));
  const protective = mbr?.entries.some(({ type }) => type === PROTECTIVE) ?? false;
  if (!mbr || mbr.entries.length === 0) {
    // Partition tools ask what to do then; a system that boots from it ignores the table.
    if (await hasGpt(disk))
      return { kind: "gpt", why: "has a GUID partition table that its first sector does not announce" };
    if (!mbr || mbr.valid) return undefined;
  }
  if (!mbr.valid) {
    const finding = await probe(disk);
    const why = "has a first sector that looks like a partition table, but is none";
    return finding && "why" in finding ? finding : { kind: finding?.kind ?? "unknown", why };
  }
  try {
    const places = protective ? await readGpt(disk) : [];
    const rest = mbr.entries.filter(({ type }) => type !== PROTECTIVE);
    // A hybrid table lists some of the same partitions a second time.
    const listed = new Set(places.map(({ offset, length }) => `${offset} ${length}`));
    for (const place of await readMbrPlaces(disk, rest)) {
      if (!listed.has(`${place.offset} ${place.length}`)) places.push(place);
    }
    if (protective) return places;
    if (await hasGpt(disk))
      return { kind: "gpt", why: "has a partition table of both kinds, and which counts is not known" };
    const finding = await probe(disk);
    return finding
      ? {
          kind: finding.kind,
          why: "has both a partition table and what could be a file system of the whole disk",
        }
      : places;
  } catch (error) {
    if (!(error instanceof Doubt)) throw error;
    return { kind: protective ? "gpt" : "mbr", why: error.message };
  }
}

async function readMbrPlaces(
  disk: Region,
  entries: NonNullable<ReturnType<typeof parseMbr>>["entries"],
): Promise<Place[]> {
  const places: Place[] = [];
  for (const entry of entries) {
    const place = placeOf(entry);
    if (place.offset === 0) throw new Doubt("has a partition that begins with the partition table itself");
    if (!isExtended(entry)) {
      places.push(place);
      continue;
    }
    try {
      places.push(...(await readLogical(disk, place)));
    } catch (error) {
      if (!(error instanceof Doubt)) throw error;
      places.push({ ...place, doubt: error.message });
    }
  }
  return places;
}

/** By ascending offset. Of two partitions that share bytes, at most one can be what it seems to be. */
function markOverlaps(places: readonly Place[]): Place[] {
  const sorted = [...places].sort((one, other) => one.offset - other.offset);
  const overlapping = new Set<number>();
  let longest = 0;
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[longest]!;
    if (sorted[i]!.offset < before.offset + before.length) overlapping.add(i).add(longest);
    if (endOf(sorted[i]!) > endOf(before)) longest = i;
  }
  return sorted.map((place, i) =>
    overlapping.has(i) ? { ...place, doubt: "overlaps with another partition" } : place,
  );
}

const endOf = ({ offset, length }: Partition): number => offset + length;
