/** The chunk format in plain words, to hold the kernel to: slow, and written apart from it. */

export interface Entry {
  readonly end: number;
  /** 0n for a hole. */
  readonly key: bigint;
}

const PAGE = 4096;
const MIN = 768;
const NORMAL = 2560;
const MAX = 16384;
const STRICT_BELOW = 0x000a0000;
const LOOSE_BELOW = 0x00400000;
const WINDOW = 32;
const GROUP = 4;

const GEAR = Array.from({ length: 256 }, (_, i) => {
  const state = (0x5b111a7e + Math.imul(i + 1, 0x9e3779b9)) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
});

export function referenceEntries(block: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  const pages = Array.from({ length: Math.ceil(block.length / PAGE) }, (_, i) =>
    block.subarray(i * PAGE, (i + 1) * PAGE).every((byte) => byte === 0),
  );
  for (let page = 0; page < pages.length;) {
    const first = page;
    while (page < pages.length && pages[page] === pages[first]) page++;
    const end = Math.min(page * PAGE, block.length);
    if (pages[first]) entries.push({ end, key: 0n });
    else
      for (let at = first * PAGE; at < end;) {
        const cut = cutPoint(block, at, end);
        entries.push({ end: cut, key: xxh64(block.subarray(at, cut)) || 1n });
        at = cut;
      }
  }
  return entries;
}

function cutPoint(block: Uint8Array, start: number, end: number): number {
  const limit = Math.min(end, start + MAX);
  // Bytes are judged in whole groups: those that the first limit leaves over are judged by the next rule, or not at all.
  let at = start + MIN;
  for (const [until, below] of [
    [Math.min(limit, start + NORMAL), STRICT_BELOW],
    [limit, LOOSE_BELOW],
  ]) {
    for (; at + GROUP <= until; at += GROUP) {
      for (let i = at; i < at + GROUP; i++) if (gearHash(block, i) < below) return i + 1;
    }
  }
  return limit;
}

/** Of the 32 bytes that end with the one at `at`. */
function gearHash(block: Uint8Array, at: number): number {
  let hash = 0;
  for (let i = at - WINDOW + 1; i <= at; i++) hash = (Math.imul(hash, 2) + GEAR[block[i]]) >>> 0;
  return hash;
}

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const u64 = (value: bigint) => BigInt.asUintN(64, value);
const rotl = (value: bigint, by: bigint) => u64((value << by) | (value >> (64n - by)));
const round = (lane: bigint, input: bigint) => u64(rotl(u64(lane + input * P2), 31n) * P1);

/** XXH64 with seed 0, after doc/xxhash_spec.md of the xxHash project. */
export function xxh64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let hash = P5;
  if (bytes.length >= 32) {
    const lanes = [u64(P1 + P2), P2, 0n, u64(-P1)];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], view.getBigUint64(at + 8 * i, true));
    }
    hash = u64(rotl(lanes[0], 1n) + rotl(lanes[1], 7n) + rotl(lanes[2], 12n) + rotl(lanes[3], 18n));
    for (const lane of lanes) hash = u64((hash ^ round(0n, lane)) * P1 + P4);
  }
  hash = u64(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) {
    hash = u64(rotl(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4);
  }
  if (at + 4 <= bytes.length) {
    hash = u64(rotl(hash ^ u64(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < bytes.length; at++) hash = u64(rotl(hash ^ u64(BigInt(bytes[at]) * P5), 11n) * P1);
  hash = u64((hash ^ (hash >> 33n)) * P2);
  hash = u64((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
}
