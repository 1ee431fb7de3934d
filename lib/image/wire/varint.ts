/** Numbers take seven bits a byte, the lowest first; up to 2^53. */
const BASE = 0x80;
const MAX_BYTES = 8;

/** Writes one; returns where the next goes. */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  let rest = value;
  for (; rest >= BASE; rest = Math.floor(rest / BASE)) into[at++] = (rest % BASE) | BASE;
  into[at++] = rest;
  return at;
}

/** Bytes that one takes at most. */
export const VARINT_BYTES = MAX_BYTES;

/** Reads numbers one after the other, never past the end. */
export class VarintReader {
  constructor(
    private readonly bytes: Uint8Array,
    public at = 0,
  ) {}

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** Undefined when there is no proper number at this place. */
  read(): number | undefined {
    const first = this.bytes[this.at];
    if (first < BASE) {
      this.at++;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_BYTES; i++) {
      if (this.at >= this.bytes.length) return undefined;
      const byte = this.bytes[this.at++];
      value += (byte % BASE) * scale;
      if (byte < BASE) return value <= Number.MAX_SAFE_INTEGER ? value : undefined;
      scale *= BASE;
    }
    return undefined;
  }
}
