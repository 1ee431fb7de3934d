import { MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from "../limits";

/** Up to here a cut is made unlikely, after it likely: lengths gather around it (FastCDC's normalised chunking). */
const NORMAL_BYTES = 4096;

/*
 * Two bytes are rolled in at a time, so that one shift serves both. The first of the two is then judged on a hash that is shifted
 * once too far: its mask is shifted likewise, and bit 31 is left out of the masks so that nothing falls off.
 */
const STRICT_MASK = 0x7ffe0000;
const LOOSE_MASK = 0x7fe00000;
const STRICT_MASK_SHIFTED = STRICT_MASK << 1;
const LOOSE_MASK_SHIFTED = LOOSE_MASK << 1;

const GEAR = gearTable();
const GEAR_SHIFTED = GEAR.map((value) => value << 1);

/** 256 well-mixed numbers. They are part of the index format: other numbers cut elsewhere, and nothing would match. */
function gearTable(): Int32Array {
  const table = new Int32Array(256);
  let state = 0x5b11_1a7e;
  for (let i = 0; i < 256; i++) {
    state = (state + 0x9e37_79b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    table[i] = mixed ^ (mixed >>> 16);
  }
  return table;
}

/**
 * Where the chunk that begins at `start` ends. The bytes from `start` to `end` must be all that there are of the extent, or at
 * least {@link MAX_CHUNK_BYTES}.
 */
export function cutPoint(bytes: Uint8Array, start: number, end: number): number {
  const limit = Math.min(end, start + MAX_CHUNK_BYTES);
  if (limit - start <= MIN_CHUNK_BYTES) return limit;
  const normal = Math.min(limit, start + NORMAL_BYTES);
  let hash = 0;
  let at = start + MIN_CHUNK_BYTES;
  for (; at + 1 < normal; at += 2) {
    hash = ((hash << 2) + GEAR_SHIFTED[bytes[at]]) | 0;
    if ((hash & STRICT_MASK_SHIFTED) === 0) return at + 1;
    hash = (hash + GEAR[bytes[at + 1]]) | 0;
    if ((hash & STRICT_MASK) === 0) return at + 2;
  }
  for (; at + 1 < limit; at += 2) {
    hash = ((hash << 2) + GEAR_SHIFTED[bytes[at]]) | 0;
    if ((hash & LOOSE_MASK_SHIFTED) === 0) return at + 1;
    hash = (hash + GEAR[bytes[at + 1]]) | 0;
    if ((hash & LOOSE_MASK) === 0) return at + 2;
  }
  return limit;
}
