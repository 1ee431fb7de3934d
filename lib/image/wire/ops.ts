import { VARINT_BYTES, VarintReader, writeVarint } from "./varint";

/** What a piece of an image consists of. */
export type Op =
  | { readonly kind: "zero"; readonly length: number }
  /** The next bytes of the segment's literals. */
  | { readonly kind: "literal"; readonly length: number }
  /** Bytes of another image, at that offset of it. */
  | { readonly kind: "copy"; readonly base: number; readonly offset: number; readonly length: number }
  /** Bytes of this image that have arrived before. */
  | { readonly kind: "self"; readonly offset: number; readonly length: number };

/*
 * Operations as a stream of numbers: length * 4 + kind (zero 0, literal 1, copy 2, self 3), and for those that copy where from:
 *
 *   place * 2 + (1 when the base is another than the last copy's, and its number follows)
 *   place: 0 as far from the offset it goes to as the last copy of that base (what was changed in between was changed in place)
 *          1 where the last copy of that base ended
 *          n + 2 so far (n even: n / 2 forwards, odd: backwards) from the first of these
 */
const KINDS = ["zero", "literal", "copy", "self"] as const;
const IN_PLACE = 0;
const GOES_ON = 1;
const ELSEWHERE = 2;

/** The most bytes that one operation takes. */
const MAX_OP_BYTES = 3 * VARINT_BYTES;
const FIRST_SPACE_BYTES = 16 * 1024;

/** Where copies of one base came from last. */
interface Track {
  shift: number;
  end: number;
}

class Tracks {
  private readonly tracks = new Map<number, Track>();
  last = 0;

  of(base: number): Track {
    let track = this.tracks.get(base);
    if (!track) this.tracks.set(base, (track = { shift: 0, end: 0 }));
    return track;
  }
}

/** The number by which the image itself goes among the bases. */
const SELF = -1;

/** @param from the offset in the image that the first operation is for */
export function encodeOps(
  ops: Iterable<Op>,
  from: number,
): { readonly bytes: Buffer; readonly count: number } {
  let space = Buffer.allocUnsafe(FIRST_SPACE_BYTES);
  const tracks = new Tracks();
  let [at, count, position] = [0, 0, from];
  for (const op of ops) {
    if (at + MAX_OP_BYTES > space.length) {
      const larger = Buffer.allocUnsafe(space.length * 2);
      space.copy(larger, 0, 0, at);
      space = larger;
    }
    at = writeVarint(space, at, op.length * 4 + KINDS.indexOf(op.kind));
    if (op.kind === "copy" || op.kind === "self") {
      const base = op.kind === "copy" ? op.base : SELF;
      const track = tracks.of(base);
      const isOther = base !== SELF && base !== tracks.last;
      at = writeVarint(space, at, placeOf(op.offset, position, track) * 2 + (isOther ? 1 : 0));
      if (isOther) at = writeVarint(space, at, (tracks.last = base));
      track.shift = op.offset - position;
      track.end = op.offset + op.length;
    }
    position += op.length;
    count++;
  }
  return { bytes: space.subarray(0, at), count };
}

function placeOf(offset: number, position: number, track: Track): number {
  const away = offset - position - track.shift;
  if (away === 0) return IN_PLACE;
  if (offset === track.end) return GOES_ON;
  return ELSEWHERE + (away > 0 ? away * 2 : -away * 2 - 1);
}

/** What operations that anyone may have written may do. */
export interface OpLimits {
  /** The offset in the image that the first operation is for. */
  readonly from: number;
  readonly count: number;
  readonly bases: number;
  readonly literalBytes: number;
  /** The least and the most bytes of the image that they may be for. */
  readonly minBytes: number;
  readonly maxBytes: number;
}

/**
 * Reads operations one by one; only the one at hand takes memory. No length is 0, no offset negative or beyond 2^53, no base or
 * literal other than there are; where the copied image ends is for the caller to know.
 * @throws whatever `broken` makes, at the first that is not proper or at the end
 */
export function* decodeOps(
  bytes: Uint8Array,
  limits: OpLimits,
  broken: (problem: string) => Error,
): Generator<Op, void> {
  const reader = new VarintReader(bytes);
  const tracks = new Tracks();
  let literalBytes = 0;
  let position = limits.from;
  const end = limits.from + limits.maxBytes;
  for (let i = 0; i < limits.count; i++) {
    const tag = reader.read();
    if (tag === undefined) throw broken(`operation ${i} is cut short`);
    const kind = KINDS[tag % 4];
    const length = Math.floor(tag / 4);
    if (length < 1 || position + length > end) throw broken(`operation ${i} is for ${length} bytes`);
    if (kind === "zero") yield { kind, length };
    else if (kind === "literal") {
      literalBytes += length;
      if (literalBytes > limits.literalBytes)
        throw broken(`operation ${i} wants more literals than there are`);
      yield { kind, length };
    } else {
      const place = reader.read();
      if (place === undefined) throw broken(`operation ${i} is cut short`);
      let base = kind === "copy" ? tracks.last : SELF;
      if (place % 2 === 1) {
        const other = kind === "copy" ? reader.read() : undefined;
        if (other === undefined) throw broken(`operation ${i} names no base`);
        base = tracks.last = other;
      }
      if (base >= limits.bases) throw broken(`operation ${i} copies from base ${base} of ${limits.bases}`);
      const track = tracks.of(base);
      const offset = offsetOf(Math.floor(place / 2), position, track);
      if (offset < 0 || !Number.isSafeInteger(offset + length)) {
        throw broken(`operation ${i} copies from offset ${offset}`);
      }
      track.shift = offset - position;
      track.end = offset + length;
      yield kind === "copy" ? { kind, base, offset, length } : { kind: "self", offset, length };
    }
    position += length;
  }
  if (!reader.isAtEnd) throw broken(`${bytes.length - reader.at} bytes are left over after its operations`);
  if (literalBytes !== limits.literalBytes) {
    throw broken(`its operations use ${literalBytes} of ${limits.literalBytes} bytes of literals`);
  }
  if (position - limits.from < limits.minBytes) {
    throw broken(`its operations are for ${position - limits.from} bytes, fewer than its blocks have`);
  }
}

function offsetOf(place: number, position: number, track: Track): number {
  if (place === IN_PLACE) return position + track.shift;
  if (place === GOES_ON) return track.end;
  const away = place - ELSEWHERE;
  return position + track.shift + (away % 2 === 0 ? away / 2 : -(away + 1) / 2);
}
