import type { Region } from "./region";
import { SIGNATURES } from "./signature-table";

const KIB = 1024;
/** Read at once, since most places lie in them. */
const BEGINNING_BYTES = 512 * KIB;
const ENDING_BYTES = 768 * KIB;

/**
 * The first of the signatures that is there. All of it counts then, so a signature left over from earlier times does no harm, but an
 * overlooked one does where the superblock beside it is what was left over.
 */
export async function findSignature(region: Region): Promise<{ kind: string; why: string } | undefined> {
  const endingAt = Math.max(0, region.length - ENDING_BYTES);
  const known = [
    { from: 0, bytes: await region.readUpTo(0, BEGINNING_BYTES) },
    { from: endingAt, bytes: await region.readUpTo(endingAt, ENDING_BYTES) },
  ];
  const holds = async (place: number, sought: string): Promise<boolean> => {
    if (!region.holds(place, sought.length)) return false;
    const stretch = known.find(
      ({ from, bytes }) => from <= place && place + sought.length <= from + bytes.length,
    );
    const found = stretch
      ? stretch.bytes.subarray(place - stretch.from, place - stretch.from + sought.length)
      : await region.read(place, sought.length);
    return found.toString("latin1") === sought;
  };
  for (const { kind, at, bytes, why, unless } of SIGNATURES) {
    if (unless && (await holds(unless.at, unless.bytes))) continue;
    for (const place of typeof at === "function" ? at(region.length) : at) {
      for (const sought of bytes) if (await holds(place, sought)) return { kind, why };
    }
  }
  return undefined;
}
