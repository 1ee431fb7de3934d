import { randomBytes } from "node:crypto";

const WORDS = 3;
/** Above this, probes become long; below, memory is wasted. Tags of neighbours share cache lines, so it may be high. */
const LOAD = 0.91;
/** Entries of a shard at most: what moves at once when a shard grows, a millisecond's work. */
const SHARD_ENTRIES = 32 * 1024;
const FIRST_ENTRIES = 64;
/** Slots are numbered shard by shard; a shard has fewer than this. */
const SHARD_SLOTS = 2 ** 17;
/** A shard may hold more than its share: keys fall as dice do. */
const SLACK_DEVIATIONS = 6;

/** Keys come from images, which strangers may have written: nobody shall know which of them meet in one place. */
const [SEED, OTHER_SEED] = new Uint32Array(Uint8Array.from(randomBytes(8)).buffer);

/**
 * Where the bytes of a chunk are, by its key: an image's number (below 256) and an offset in it (below 2^44). Open addressing in
 * typed arrays, at most 16 bytes an entry when full (up to twice that while it grows). Of a key 60 bits are kept, so what is found
 * is very likely, not certainly, the same chunk: who copies its bytes verifies them.
 */
export class KeyTable {
  private readonly shards: Shard[];
  private entries = 0;

  /** @param budgetEntries no more than so many are taken */
  constructor(private readonly budgetEntries: number) {
    let count = 1;
    while (budgetEntries / count > SHARD_ENTRIES) count *= 2;
    const share = budgetEntries / count;
    const most = Math.ceil((share + (count === 1 ? 1 : SLACK_DEVIATIONS * Math.sqrt(share))) / LOAD);
    this.shards = Array.from({ length: count }, () => new Shard(most));
  }

  /** How many it holds. */
  get size(): number {
    return this.entries;
  }

  /** What it occupies now. */
  get memoryBytes(): number {
    return this.shards.reduce((sum, shard) => sum + shard.memoryBytes, 0);
  }

  /** Remembers where a key's bytes are. The first place stays. False when the key is new and there is no room for it. */
  add(lo: number, hi: number, image: number, offset: number): boolean {
    const mixed = mix(lo, hi);
    const shard = this.shards[mixed & (this.shards.length - 1)];
    const room = this.entries < this.budgetEntries;
    const added = shard.add(mixed, lo, hi, image, offset, room);
    if (added > 0) this.entries++;
    return added >= 0;
  }

  /** The slot of a key, valid until the next `add`; -1 if there is none. */
  find(lo: number, hi: number): number {
    const mixed = mix(lo, hi);
    const number = mixed & (this.shards.length - 1);
    const slot = this.shards[number].find(mixed, lo, hi);
    return slot < 0 ? -1 : number * SHARD_SLOTS + slot;
  }

  imageAt(slot: number): number {
    return this.shards[Math.floor(slot / SHARD_SLOTS)].words[(slot % SHARD_SLOTS) * WORDS + 2] >>> 24;
  }

  offsetAt(slot: number): number {
    const { words } = this.shards[Math.floor(slot / SHARD_SLOTS)];
    const at = (slot % SHARD_SLOTS) * WORDS;
    return words[at + 1] + ((words[at + 2] >>> 12) & 0xfff) * 2 ** 32;
  }
}

/** Of the bits that a slot keeps, so that they suffice to move it. */
function mix(lo: number, hi: number): number {
  let mixed = Math.imul((hi ^ SEED) | 0, 0x9e37_79b1);
  mixed = Math.imul((mixed ^ (mixed >>> 15)) + ((tagOf(lo) | (lo & 0x0fff_0000)) ^ OTHER_SEED), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** The low 16 bits; 0 is an empty slot's, so that 0 becomes 1. */
function tagOf(lo: number): number {
  return lo & 0xffff || 1;
}

/** Words of a slot: the key's high word; the offset's low word; image (8 bits), offset (12), bits 16 to 27 of the key's low word. */
class Shard {
  words = new Uint32Array(0);
  private tags = new Uint16Array(0);
  private capacity = 0;
  private limit = 0;
  private used = 0;

  constructor(private readonly mostSlots: number) {}

  get memoryBytes(): number {
    return this.words.byteLength + this.tags.byteLength;
  }

  find(mixed: number, lo: number, hi: number): number {
    if (this.capacity === 0) return -1;
    const slot = this.slotOf(mixed, lo, hi);
    return this.tags[slot] === 0 ? -1 : slot;
  }

  /** 1 when added, 0 when there already, -1 when there is no room. */
  add(mixed: number, lo: number, hi: number, image: number, offset: number, room: boolean): number {
    if (this.capacity > 0) {
      const slot = this.slotOf(mixed, lo, hi);
      if (this.tags[slot] !== 0) return 0;
      if (room && this.used < this.limit) return this.put(slot, lo, hi, image, offset);
    }
    if (!room || !this.grow()) return -1;
    return this.put(this.slotOf(mixed, lo, hi), lo, hi, image, offset);
  }

  private put(slot: number, lo: number, hi: number, image: number, offset: number): number {
    const at = slot * WORDS;
    this.tags[slot] = tagOf(lo);
    this.words[at] = hi;
    this.words[at + 1] = offset >>> 0;
    this.words[at + 2] =
      (image << 24) | ((Math.floor(offset / 2 ** 32) & 0xfff) << 12) | ((lo >>> 16) & 0xfff);
    this.used++;
    return 1;
  }

  /** Where the key is, or the empty slot where it would be. */
  private slotOf(mixed: number, lo: number, hi: number): number {
    const tag = tagOf(lo);
    const more = (lo >>> 16) & 0xfff;
    // The shard was chosen by the low bits, so the place is chosen by the high ones.
    let slot = Math.floor((mixed / 2 ** 32) * this.capacity);
    for (;;) {
      const found = this.tags[slot];
      if (found === 0) return slot;
      if (found === tag && this.words[slot * WORDS] === hi >>> 0) {
        if ((this.words[slot * WORDS + 2] & 0xfff) === more) return slot;
      }
      if (++slot === this.capacity) slot = 0;
    }
  }

  private grow(): boolean {
    if (this.capacity >= this.mostSlots) return false;
    const { words, tags } = this;
    this.capacity = Math.min(this.mostSlots, Math.max(FIRST_ENTRIES, 2 * this.capacity));
    // One slot stays empty: a search ends there.
    this.limit = Math.min(this.capacity - 1, Math.ceil(this.capacity * LOAD));
    this.words = new Uint32Array(this.capacity * WORDS);
    this.tags = new Uint16Array(this.capacity);
    for (let slot = 0; slot < tags.length; slot++) {
      if (tags[slot] === 0) continue;
      const at = slot * WORDS;
      const lo = tags[slot] | ((words[at + 2] & 0xfff) << 16);
      const to = this.slotOf(mix(lo, words[at]), lo, words[at]);
      this.tags[to] = tags[slot];
      this.words.set(words.subarray(at, at + WORDS), to * WORDS);
    }
    return true;
  }
}
