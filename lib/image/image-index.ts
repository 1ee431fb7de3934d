import { KEY_BYTES, sha256Text } from "./digest";

const HOLE = 0x8000_0000;
const OFFSET_EVERY = 256;
const KEY = Buffer.alloc(KEY_BYTES);
const KEY_WORDS = KEY_BYTES / 4;

/** Positions `[first, count]` in an index. */
export type Run = readonly [number, number];

/** Positions, added in order, as runs. */
export class RunList {
  private readonly list: [number, number][] = [];

  get runs(): readonly Run[] {
    return this.list;
  }

  add(position: number): void {
    const last = this.list.at(-1);
    if (last && last[0] + last[1] === position) last[1]++;
    else this.list.push([position, 1]);
  }
}

/**
 * What an image consists of: its size, the SHA-256 of the whole, and its chunks and holes in order. 20 bytes of memory an entry.
 * An entry is named by its position; a hole's key is all zeros.
 */
export class ImageIndex {
  private readonly offsets: Float64Array;
  private readonly keyBytes: Buffer;

  /** @internal Use `ImageIndexBuilder`, `decodeIndex` or `indexFile`. */
  constructor(
    readonly digest: string,
    readonly sizeBytes: number,
    private readonly lengths: Uint32Array,
    /** Four words an entry. */
    readonly keys: Uint32Array,
  ) {
    this.keyBytes = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength);
    this.offsets = new Float64Array(Math.floor(lengths.length / OFFSET_EVERY) + 1);
    let offset = 0;
    for (let position = 0; position < lengths.length; position++) {
      if (position % OFFSET_EVERY === 0) this.offsets[position / OFFSET_EVERY] = offset;
      offset += this.lengthOf(position);
    }
    if (lengths.length % OFFSET_EVERY === 0) this.offsets[lengths.length / OFFSET_EVERY] = offset;
  }

  /** Number of entries. */
  get count(): number {
    return this.lengths.length;
  }

  isHole(position: number): boolean {
    return (this.lengths[position] & HOLE) !== 0;
  }

  /** Bytes. */
  lengthOf(position: number): number {
    return this.lengths[position] & ~HOLE;
  }

  /** Where in the image the entry begins; for the position after the last, the size. */
  offsetOf(position: number): number {
    const checkpoint = Math.floor(position / OFFSET_EVERY);
    let offset = this.offsets[checkpoint];
    for (let at = checkpoint * OFFSET_EVERY; at < position; at++) offset += this.lengthOf(at);
    return offset;
  }

  /** Bytes in these runs. */
  bytesOf(runs: readonly Run[]): number {
    let bytes = 0;
    for (const [first, count] of runs) {
      for (let position = first; position < first + count; position++) bytes += this.lengthOf(position);
    }
    return bytes;
  }

  /** Are these the bytes of that entry? */
  matches(position: number, bytes: Uint8Array): boolean {
    if (bytes.length !== this.lengthOf(position)) return false;
    const from = position * KEY_BYTES;
    KEY.write(sha256Text(bytes), 0, KEY_BYTES, "latin1");
    return KEY.compare(this.keyBytes, from, from + KEY_BYTES) === 0;
  }
}

/** Gathers the entries of an index in growing typed arrays. */
export class ImageIndexBuilder {
  private lengths = new Uint32Array(1024);
  private keys = new Uint32Array(1024 * KEY_WORDS);
  private keyBytes = Buffer.from(this.keys.buffer);
  private count = 0;
  private size = 0;

  addChunk(bytes: Uint8Array): void {
    this.add(bytes.length, sha256Text(bytes));
  }

  /** A chunk of that length, by its SHA-256 with a character for each byte. */
  add(length: number, hash: string): void {
    this.grow();
    this.lengths[this.count] = length;
    this.keyBytes.write(hash, this.count * KEY_BYTES, KEY_BYTES, "latin1");
    this.count++;
    this.size += length;
  }

  addHole(length: number): void {
    this.grow();
    this.lengths[this.count] = (length | HOLE) >>> 0;
    this.count++;
    this.size += length;
  }

  finish(digest: string): ImageIndex {
    return new ImageIndex(
      digest,
      this.size,
      this.lengths.slice(0, this.count),
      this.keys.slice(0, this.count * KEY_WORDS),
    );
  }

  private grow(): void {
    if (this.count < this.lengths.length) return;
    const lengths = new Uint32Array(this.lengths.length * 2);
    lengths.set(this.lengths);
    const keys = new Uint32Array(this.keys.length * 2);
    keys.set(this.keys);
    this.lengths = lengths;
    this.keys = keys;
    this.keyBytes = Buffer.from(keys.buffer);
  }
}
