// AssemblyScript: remembers where windows of bytes were seen, and finds them again. Compiled by scripts/kernel.mjs;
// lib/image/delta/delta-index.ts calls it.

/** Where things are in memory. */
const GEAR: usize = 0;
const INPUT: usize = 4096;
const BLOCK: usize = 1 << 20;
const FOUND: usize = INPUT + BLOCK + 4096;
const TABLE: usize = FOUND + (BLOCK / 32 + 1) * 16;

/** Bytes that a window has. A 32-bit gear hash, which chooses windows, remembers as many. */
const WINDOW: usize = 32;
/** Windows that are chosen are at least so far apart, or else a byte repeated might choose them all. */
const APART: usize = 32;
/** Entries in a bucket. */
const WAYS: usize = 4;

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PLACE_BITS: u64 = 52;
const PLACE: u64 = (1 << PLACE_BITS) - 1;

let bucketBits: u64 = 0;
let chosenBelow: u32 = 0;

/** To be called once, before anything else, with memory that is zero. */
export function prepare(bits: u32): void {
  bucketBits = bits;
  let state: u32 = 0x2545f491;
  for (let i: usize = 0; i < 256; i++) {
    state += 0x9e3779b9;
    let mixed: u32 = (state ^ (state >> 16)) * 0x85ebca6b;
    mixed = (mixed ^ (mixed >> 13)) * 0xc2b2ae35;
    store<u32>(GEAR + (i << 2), mixed ^ (mixed >> 16));
  }
}

/** Of all windows, below / 2^32 are chosen. */
export function choose(below: u32): void {
  chosenBelow = below;
}

/** Remembers the chosen windows of the first `length` bytes of the input, which are those from a place on. */
export function add(length: usize, placeLo: u32, placeHi: u32): void {
  const place = ((<u64>placeHi) << 32) | placeLo;
  const limit = INPUT + length;
  for (let end = chosen(INPUT, limit); end !== 0; end = chosen(end + APART - WINDOW, limit)) {
    put(windowHash(end - WINDOW), place + (end - WINDOW - INPUT));
  }
}

/** Looks up the chosen windows that end in the input's bytes [start, end). Returns how many were found. */
export function find(start: usize, end: usize): usize {
  let count: usize = 0;
  const limit = INPUT + end;
  const first = INPUT + (start >= WINDOW ? start - WINDOW + 1 : 0);
  for (let at = chosen(first, limit); at !== 0; at = chosen(at + APART - WINDOW, limit)) {
    const place = get(windowHash(at - WINDOW));
    if (place === 0) continue;
    store<u32>(FOUND + (count << 4), <u32>(at - WINDOW - INPUT));
    store<u64>(FOUND + (count << 4), place & PLACE, 8);
    count++;
  }
  return count;
}

/** The end of the first chosen window that lies in [from, limit); 0 if there is none. */
function chosen(from: usize, limit: usize): usize {
  if (from + WINDOW > limit) return 0;
  const below = chosenBelow;
  let hash: u32 = 0;
  let at = from;
  for (const judged = from + WINDOW - 1; at < judged; at++) hash = (hash << 1) + gear(at);
  for (; at + 4 <= limit; at += 4) {
    hash = (hash << 1) + gear(at);
    if (hash < below) return at + 1;
    hash = (hash << 1) + gear(at + 1);
    if (hash < below) return at + 2;
    hash = (hash << 1) + gear(at + 2);
    if (hash < below) return at + 3;
    hash = (hash << 1) + gear(at + 3);
    if (hash < below) return at + 4;
  }
  for (; at < limit; at++) {
    hash = (hash << 1) + gear(at);
    if (hash < below) return at + 1;
  }
  return 0;
}

function gear(at: usize): u32 {
  return load<u32>(GEAR + ((<usize>load<u8>(at)) << 2));
}

function windowHash(at: usize): u64 {
  let hash: u64 = 0;
  for (let i: usize = 0; i < WINDOW; i += 8) {
    hash = rotl<u64>((hash ^ load<u64>(at + i)) * PRIME_1, 29) * PRIME_2;
  }
  return hash ^ (hash >> 32);
}

/** The bucket is chosen by the low bits; an entry keeps the high ones, and where the window was. */
function bucket(hash: u64): usize {
  return TABLE + <usize>(hash & ((1 << bucketBits) - 1)) * (WAYS << 3);
}

function put(hash: u64, place: u64): void {
  const at = bucket(hash);
  const entry = (hash & ~PLACE) | place;
  for (let i: usize = 0; i < WAYS; i++) {
    const present = load<u64>(at + (i << 3));
    if (present === 0) {
      store<u64>(at + (i << 3), entry);
      return;
    }
    // The first place stays: of bytes that come again and again, it is the one that the far side has longest.
    if ((present & ~PLACE) === (hash & ~PLACE)) return;
  }
  store<u64>(at + ((<usize>((hash >> 40) & (WAYS - 1))) << 3), entry);
}

function get(hash: u64): u64 {
  const at = bucket(hash);
  for (let i: usize = 0; i < WAYS; i++) {
    const present = load<u64>(at + (i << 3));
    if (present === 0) return 0;
    if ((present & ~PLACE) === (hash & ~PLACE)) return present;
  }
  return 0;
}

export function inputAt(): usize {
  return INPUT;
}

export function foundAt(): usize {
  return FOUND;
}

export function tableAt(): usize {
  return TABLE;
}
