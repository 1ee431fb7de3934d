import { randomBytes } from "node:crypto";

const SLOT_WORDS = 3;
const LOAD = 0.75;
/** Keys come from the other side of a network: nobody there shall know which of them meet in one place. */
const [SEED, OTHER_SEED] = new Uint32Array(Uint8Array.from(randomBytes(8)).buffer);

/**
 * Which number belongs to a chunk's key: open addressing in one typed array, 16 bytes a chunk. Of a key's four words the first two
 * are kept (64 bits of SHA-256), so a find is very likely, not certain, the same chunk: who copies its bytes verifies them.
 */
export class ChunkTable {
  private readonly slots: Uint32Array;
  private readonly capacity: number;

  /** @param size how many keys will be added at most */
  constructor(size: number) {
    this.capacity = Math.ceil(size / LOAD) + 1;
    this.slots = new Uint32Array(this.capacity * SLOT_WORDS);
  }

  /** The number of the key at `keys[at…]`; undefined if it has none. */
  find(keys: Uint32Array, at: number): number | undefined {
    const slot = this.slotOf(keys[at], keys[at + 1]);
    const stored = this.slots[slot + 2];
    return stored === 0 ? undefined : stored - 1;
  }

  /** Gives the key a number (below 2^32 - 1), unless it has one: the number it has then. */
  add(keys: Uint32Array, at: number, number: number): number {
    const slot = this.slotOf(keys[at], keys[at + 1]);
    const stored = this.slots[slot + 2];
    if (stored !== 0) return stored - 1;
    this.slots[slot] = keys[at];
    this.slots[slot + 1] = keys[at + 1];
    this.slots[slot + 2] = number + 1;
    return number;
  }

  private slotOf(first: number, second: number): number {
    let mixed = Math.imul(first ^ SEED, 0x9e37_79b1);
    mixed = Math.imul((mixed ^ (mixed >>> 15)) + (second ^ OTHER_SEED), 0x85eb_ca6b);
    mixed = (mixed ^ (mixed >>> 13)) >>> 0;
    let place = Math.floor((mixed / 0x1_0000_0000) * this.capacity);
    for (;;) {
      const slot = place * SLOT_WORDS;
      if (this.slots[slot + 2] === 0) return slot;
      if (this.slots[slot] === first && this.slots[slot + 1] === second) return slot;
      place = place + 1 === this.capacity ? 0 : place + 1;
    }
  }
}
