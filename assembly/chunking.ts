// AssemblyScript: cuts a block into chunks and gives each its key. Compiled by scripts/kernel.mjs; lib/image/chunking/kernel.ts calls it.

/** Where things are in memory. kernel.ts knows these by the functions at the end. */
const GEAR: usize = 0;
const INPUT: usize = 4096;
const BLOCK: usize = 1 << 20;
const ENDS: usize = INPUT + BLOCK + 4096;
const MAX_ENTRIES: usize = 4096;
const KEYS: usize = ENDS + MAX_ENTRIES * 4;

/** Zeros are holes where they fill an aligned page of this size. */
const PAGE: usize = 4096;

/** Lengths of chunks. Part of the index format, as is everything below: other numbers cut elsewhere, and nothing would match. */
const MIN_BYTES: usize = 768;
const NORMAL_BYTES: usize = 2560;
const MAX_BYTES: usize = 16384;
/** A cut is after the byte at which the gear hash is below this: unlikely up to the normal length, likely after it. */
const STRICT_BELOW: u32 = 0x000a0000;
const LOOSE_BELOW: u32 = 0x00400000;

/** Bytes that a 32-bit gear hash remembers. */
const GEAR_WINDOW: usize = 32;

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;

/** To be called once, before anything else. */
export function prepare(): void {
  let state: u32 = 0x5b111a7e;
  for (let i: usize = 0; i < 256; i++) {
    state += 0x9e3779b9;
    let mixed: u32 = (state ^ (state >> 16)) * 0x85ebca6b;
    mixed = (mixed ^ (mixed >> 13)) * 0xc2b2ae35;
    store<u32>(GEAR + (i << 2), mixed ^ (mixed >> 16));
  }
}

/** Cuts the first `length` bytes of the input. Returns the number of entries. */
export function chunk(length: usize): usize {
  const limit = INPUT + length;
  let count: usize = 0;
  let at = INPUT;
  while (at < limit) {
    let end = at;
    while (end < limit && isZero(end, min(end + PAGE, limit))) end = min(end + PAGE, limit);
    if (end > at) {
      store<u32>(ENDS + (count << 2), <u32>(end - INPUT));
      store<u64>(KEYS + (count << 3), 0);
      count++;
      at = end;
      continue;
    }
    end = min(at + PAGE, limit);
    while (end < limit && !isZero(end, min(end + PAGE, limit))) end = min(end + PAGE, limit);
    while (at < end) {
      const cut = cutPoint(at, end);
      store<u32>(ENDS + (count << 2), <u32>(cut - INPUT));
      store<u64>(KEYS + (count << 3), key(at, cut));
      count++;
      at = cut;
    }
  }
  return count;
}

function isZero(start: usize, end: usize): bool {
  let at = start;
  for (; at + 64 <= end; at += 64) {
    const some = v128.or(
      v128.or(v128.load(at), v128.load(at, 16)),
      v128.or(v128.load(at, 32), v128.load(at, 48)),
    );
    if (v128.any_true(some)) return false;
  }
  for (; at < end; at++) if (load<u8>(at) !== 0) return false;
  return true;
}

/** Where the chunk that begins at `start` ends, in a run of data up to `runEnd`. */
function cutPoint(start: usize, runEnd: usize): usize {
  if (runEnd - start <= MIN_BYTES) return runEnd;
  const limit = min(runEnd, start + MAX_BYTES);
  const normal = min(limit, start + NORMAL_BYTES);
  let at = start + MIN_BYTES - GEAR_WINDOW;
  let hash: u32 = 0;
  for (const from = start + MIN_BYTES; at < from; at++) hash = (hash << 1) + gear(at);
  for (; at + 4 <= normal; at += 4) {
    hash = (hash << 1) + gear(at);
    if (hash < STRICT_BELOW) return at + 1;
    hash = (hash << 1) + gear(at + 1);
    if (hash < STRICT_BELOW) return at + 2;
    hash = (hash << 1) + gear(at + 2);
    if (hash < STRICT_BELOW) return at + 3;
    hash = (hash << 1) + gear(at + 3);
    if (hash < STRICT_BELOW) return at + 4;
  }
  for (; at + 4 <= limit; at += 4) {
    hash = (hash << 1) + gear(at);
    if (hash < LOOSE_BELOW) return at + 1;
    hash = (hash << 1) + gear(at + 1);
    if (hash < LOOSE_BELOW) return at + 2;
    hash = (hash << 1) + gear(at + 2);
    if (hash < LOOSE_BELOW) return at + 3;
    hash = (hash << 1) + gear(at + 3);
    if (hash < LOOSE_BELOW) return at + 4;
  }
  return limit;
}

function gear(at: usize): u32 {
  return load<u32>(GEAR + ((<usize>load<u8>(at)) << 2));
}

/** XXH64 with seed 0. Zero is the key of holes: a chunk whose hash is zero has 1. */
function key(start: usize, end: usize): u64 {
  let at = start;
  let hash: u64 = PRIME_5;
  if (end - start >= 32) {
    let a: u64 = PRIME_1 + PRIME_2;
    let b: u64 = PRIME_2;
    let c: u64 = 0;
    let d: u64 = 0 - PRIME_1;
    for (; at + 32 <= end; at += 32) {
      a = rotl<u64>(a + load<u64>(at) * PRIME_2, 31) * PRIME_1;
      b = rotl<u64>(b + load<u64>(at, 8) * PRIME_2, 31) * PRIME_1;
      c = rotl<u64>(c + load<u64>(at, 16) * PRIME_2, 31) * PRIME_1;
      d = rotl<u64>(d + load<u64>(at, 24) * PRIME_2, 31) * PRIME_1;
    }
    hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  }
  hash += <u64>(end - start);
  for (; at + 8 <= end; at += 8) {
    hash ^= rotl<u64>(load<u64>(at) * PRIME_2, 31) * PRIME_1;
    hash = rotl<u64>(hash, 27) * PRIME_1 + PRIME_4;
  }
  if (at + 4 <= end) {
    hash ^= <u64>load<u32>(at) * PRIME_1;
    hash = rotl<u64>(hash, 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  for (; at < end; at++) {
    hash ^= <u64>load<u8>(at) * PRIME_5;
    hash = rotl<u64>(hash, 11) * PRIME_1;
  }
  hash = (hash ^ (hash >> 33)) * PRIME_2;
  hash = (hash ^ (hash >> 29)) * PRIME_3;
  hash ^= hash >> 32;
  return hash === 0 ? 1 : hash;
}

function merge(hash: u64, lane: u64): u64 {
  return (hash ^ (rotl<u64>(lane * PRIME_2, 31) * PRIME_1)) * PRIME_1 + PRIME_4;
}

export function inputAt(): usize {
  return INPUT;
}

export function endsAt(): usize {
  return ENDS;
}

export function keysAt(): usize {
  return KEYS;
}
