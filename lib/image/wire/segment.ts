import { digestOf, hexOf, sha256 } from "../digest";
import { FormatError } from "../errors";
import { BLOCK_BYTES, LEAF_BYTES, sha256InSlices } from "./digest";
import { decodeOps, encodeOps, type Op } from "./ops";
import { looksPackable, pack, unpack, type Packing } from "./packing";
import { Spaces } from "./spaces";

/*
 * An encoded segment, little-endian. It describes whole blocks completely, and may arrive in any order and any number of times.
 *
 *   0  "SPSG"    4  version (2)    5  how the operations are packed (0 stored, 1 brotli)    6  the literals likewise    7  zero
 *   8  first block (4)            12  number of blocks (4)       16  number of bases (4)    20  number of operations (4)
 *  24  bytes of operations (4)    28  of them packed (4)         32  bytes of literals (4)  36  of them packed (4)
 *  40  digests of the bases (32 each)
 *   …  a bit for each block, lowest first: 1 when it has a leaf, 0 when it is all zeros
 *   …  leaves (32 each)
 *   …  operations, then literals, each as packed
 *   …  SHA-256 of all before (32); its first 16 bytes in hex are the segment's id
 */
const MAGIC = "SPSG";
const VERSION = 2;
const STORED = 0;
const BROTLI = 1;
const HEADER_BYTES = 40;
const TRAILER_BYTES = 32;
const ID_BYTES = 16;
/** Below this, packing gains less than it costs. */
const WORTH_PACKING_BYTES = 64;

/** The most blocks that one segment may describe. */
export const MAX_SEGMENT_BLOCKS = 4096;
/** The most bytes of literals in one segment. */
export const MAX_LITERAL_BYTES = 8 * 2 ** 20;
/** The most images that one segment may copy from. */
export const MAX_BASES = 64;
/** The most operations in one segment, and the most bytes that they may take. */
export const MAX_OPS = 2 ** 20;
export const MAX_OPS_BYTES = 4 * 2 ** 20;
/** The largest encoded segment: what a far side need accept as a body. */
export const MAX_SEGMENT_BYTES = MAX_LITERAL_BYTES + MAX_OPS_BYTES + 256 * 1024;

/** What a segment is made of. */
export interface SegmentParts {
  readonly firstBlock: number;
  readonly blockCount: number;
  /** Digests of the images that copies refer to. */
  readonly bases: readonly string[];
  /** They cover the blocks exactly; the last block of an image may be shorter. */
  readonly ops: readonly Op[];
  /** The bytes of all literal operations, one after the other. */
  readonly literals: readonly Uint8Array[];
  /** One for each block; undefined where it is all zeros. */
  readonly leaves: readonly (Uint8Array | undefined)[];
}

/** A segment that can be sent. */
export interface EncodedSegment {
  readonly id: string;
  readonly bytes: Buffer;
  /** Gives its memory back: nobody may use `bytes` any more. Idempotent. */
  release(): void;
}

/** What is known of a segment that was not unpacked. */
export interface SegmentHead {
  readonly id: string;
  readonly firstBlock: number;
  readonly blockCount: number;
  readonly bases: readonly string[];
  /** One for each block; undefined where it is all zeros. */
  readonly leaves: readonly (Buffer | undefined)[];
  readonly opCount: number;
  readonly literalBytes: number;
  readonly packed: {
    readonly ops: Uint8Array;
    readonly opsBytes: number;
    readonly opsCodec: number;
    readonly literals: Uint8Array;
    readonly literalsCodec: number;
  };
}

/** An unpacked segment. */
export interface SegmentContent {
  readonly firstBlock: number;
  readonly blockCount: number;
  readonly bases: readonly string[];
  /** Read anew from the beginning by each iteration, one at a time. They were checked: iterating throws nothing. */
  readonly ops: Iterable<Op>;
  readonly literals: Uint8Array;
  readonly leaves: readonly (Buffer | undefined)[];
  /** Of the image: what the operations add up to. */
  readonly rangeBytes: number;
  /** Gives its memory back: nobody may use `literals` and `ops` any more. Idempotent. */
  release(): void;
}

/**
 * Packs a segment.
 * @param packing of the literals
 * @param spaces for its memory, to be used again after `release`
 * @throws RangeError for more than a segment may hold
 */
export async function encodeSegment(
  parts: SegmentParts,
  packing: Packing,
  spaces = new Spaces(0),
): Promise<EncodedSegment> {
  const { firstBlock, blockCount, bases, leaves } = parts;
  const literalBytes = parts.literals.reduce((sum, piece) => sum + piece.length, 0);
  const ops = encodeOps(parts.ops, firstBlock * BLOCK_BYTES);
  requireFits(blockCount, bases.length, leaves.length, literalBytes, ops);
  const joined =
    parts.literals.length === 1 ? undefined : joinInto(spaces.take(literalBytes), parts.literals);
  const raw = joined?.subarray(0, literalBytes) ?? parts.literals[0];
  const leafCount = leaves.reduce((sum, leaf) => (leaf ? sum + 1 : sum), 0);
  const bitsBytes = Math.ceil(blockCount / 8);
  const bodyAt = HEADER_BYTES + bases.length * 32 + bitsBytes + leafCount * LEAF_BYTES;
  const space = spaces.take(bodyAt + ops.bytes.length + literalBytes + TRAILER_BYTES);
  const opsPart = await packInto(space, bodyAt, ops.bytes, { quality: 5, window: 18 });
  const literalsPart = await packInto(space, opsPart.end, raw, packing);
  if (joined) spaces.give(joined);
  space.fill(0, 0, bodyAt);
  space.write(MAGIC, 0, "latin1");
  space[4] = VERSION;
  space[5] = opsPart.codec;
  space[6] = literalsPart.codec;
  const numbers = [firstBlock, blockCount, bases.length, ops.count];
  numbers.push(ops.bytes.length, opsPart.end - bodyAt, literalBytes, literalsPart.end - opsPart.end);
  numbers.forEach((number, i) => space.writeUInt32LE(number, 8 + i * 4));
  let at = HEADER_BYTES;
  for (const base of bases) at += space.write(hexOf(base) ?? "", at, "hex");
  const bitsAt = at;
  at += bitsBytes;
  leaves.forEach((leaf, i) => {
    if (!leaf) return;
    space[bitsAt + (i >> 3)] |= 1 << (i & 7);
    space.set(leaf, at);
    at += LEAF_BYTES;
  });
  const { end } = literalsPart;
  const hash = await sha256InSlices(space.subarray(0, end));
  hash.copy(space, end);
  let isReleased = false;
  return {
    id: hash.toString("hex", 0, ID_BYTES),
    bytes: space.subarray(0, end + TRAILER_BYTES),
    release: () => {
      if (!isReleased) spaces.give(space);
      isReleased = true;
    },
  };
}

function joinInto(space: Buffer, pieces: readonly Uint8Array[]): Buffer {
  let filled = 0;
  for (const piece of pieces) {
    space.set(piece, filled);
    filled += piece.length;
  }
  return space;
}

function requireFits(
  blocks: number,
  bases: number,
  leaves: number,
  literalBytes: number,
  ops: { readonly bytes: Uint8Array; readonly count: number },
): void {
  const isFitting =
    blocks >= 1 &&
    blocks <= MAX_SEGMENT_BLOCKS &&
    leaves === blocks &&
    bases <= MAX_BASES &&
    literalBytes <= MAX_LITERAL_BYTES &&
    ops.count <= MAX_OPS &&
    ops.bytes.length <= MAX_OPS_BYTES;
  if (isFitting) return;
  throw new RangeError(
    `no segment holds ${blocks} blocks with ${leaves} leaves, ${bases} bases, ${ops.count} operations in ${ops.bytes.length} bytes and ${literalBytes} bytes of literals`,
  );
}

async function packInto(
  space: Buffer,
  at: number,
  raw: Uint8Array,
  packing: Packing,
): Promise<{ readonly codec: number; readonly end: number }> {
  const isWorthIt = raw.length >= WORTH_PACKING_BYTES && looksPackable(raw);
  const packed = isWorthIt ? await pack(raw, space.subarray(at), packing) : undefined;
  if (packed !== undefined) return { codec: BROTLI, end: at + packed };
  space.set(raw, at);
  return { codec: STORED, end: at + raw.length };
}

/**
 * Reads what a segment is about, of one that anyone may have written. Its bytes are those that were sent (the checksum says so);
 * whether they are the image's is for the leaves to say, and whether those are, for the image's digest.
 * @throws FormatError
 */
export function decodeSegment(bytes: Uint8Array): SegmentHead {
  const buffer = requireSegment(bytes);
  return readHead(buffer, sha256(buffer.subarray(0, buffer.length - TRAILER_BYTES)));
}

/** As {@link decodeSegment}, without holding up everything else while a large one is hashed. */
export async function decodeSegmentInSlices(bytes: Uint8Array): Promise<SegmentHead> {
  const buffer = requireSegment(bytes);
  return readHead(buffer, await sha256InSlices(buffer.subarray(0, buffer.length - TRAILER_BYTES)));
}

function requireSegment(bytes: Uint8Array): Buffer {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length > MAX_SEGMENT_BYTES)
    throw broken(`it has ${buffer.length} bytes, more than ${MAX_SEGMENT_BYTES}`);
  if (buffer.length < HEADER_BYTES + TRAILER_BYTES)
    throw broken(`it has ${buffer.length} bytes: it was cut short`);
  if (buffer.toString("latin1", 0, 4) !== MAGIC) throw broken(`it does not begin with ${MAGIC}`);
  if (buffer[4] !== VERSION) throw broken(`it is of version ${buffer[4]}, and only ${VERSION} is known`);
  return buffer;
}

function readHead(buffer: Buffer, hash: Buffer): SegmentHead {
  const end = buffer.length - TRAILER_BYTES;
  if (!hash.equals(buffer.subarray(end))) {
    throw broken("its checksum does not match: it was cut short or changed on the way");
  }
  const [firstBlock, blockCount, baseCount, opCount, opsBytes, opsPacked, literalBytes, literalsPacked] =
    Array.from({ length: 8 }, (_, i) => buffer.readUInt32LE(8 + i * 4));
  const [opsCodec, literalsCodec] = [buffer[5], buffer[6]];
  if (opsCodec > BROTLI || literalsCodec > BROTLI)
    throw broken(`its packing ${opsCodec}, ${literalsCodec} is not known`);
  if (blockCount < 1 || blockCount > MAX_SEGMENT_BLOCKS) throw broken(`it describes ${blockCount} blocks`);
  if (baseCount > MAX_BASES) throw broken(`it copies from ${baseCount} images`);
  if (opCount > MAX_OPS || opsBytes > MAX_OPS_BYTES || opsPacked > MAX_OPS_BYTES)
    throw broken(`it has ${opCount} operations in ${opsBytes} bytes`);
  if (literalBytes > MAX_LITERAL_BYTES) throw broken(`it has ${literalBytes} bytes of literals`);
  const bitsAt = HEADER_BYTES + baseCount * 32;
  const leavesAt = bitsAt + Math.ceil(blockCount / 8);
  const opsAt = end - opsPacked - literalsPacked;
  if (opsAt < leavesAt) throw broken("its parts do not add up to its length");
  const { leaves, end: leavesEnd } = readLeaves(buffer.subarray(0, opsAt), bitsAt, leavesAt, blockCount);
  if (leavesEnd !== opsAt) throw broken("its parts do not add up to its length");
  const bases = Array.from({ length: baseCount }, (_, i) =>
    digestOf(buffer.subarray(HEADER_BYTES + i * 32, HEADER_BYTES + (i + 1) * 32)),
  );
  return {
    id: hash.toString("hex", 0, ID_BYTES),
    firstBlock,
    blockCount,
    bases,
    leaves,
    opCount,
    literalBytes,
    packed: {
      ops: buffer.subarray(opsAt, opsAt + opsPacked),
      opsBytes,
      opsCodec,
      literals: buffer.subarray(opsAt + opsPacked, end),
      literalsCodec,
    },
  };
}

function readLeaves(
  buffer: Buffer,
  bitsAt: number,
  leavesAt: number,
  blockCount: number,
): { readonly leaves: readonly (Buffer | undefined)[]; readonly end: number } {
  const leaves: (Buffer | undefined)[] = [];
  let at = leavesAt;
  for (let i = 0; i < blockCount; i++) {
    if (((buffer[bitsAt + (i >> 3)] >> (i & 7)) & 1) === 0) leaves.push(undefined);
    else {
      if (at + LEAF_BYTES > buffer.length) throw broken("its leaves do not fit into it");
      leaves.push(buffer.subarray(at, at + LEAF_BYTES));
      at += LEAF_BYTES;
    }
  }
  return { leaves, end: at };
}

/**
 * Unpacks a segment, in memory bounded by the limits above, and checks all its operations. `release` gives the memory back.
 * @throws FormatError
 */
export async function unpackSegment(head: SegmentHead, spaces = new Spaces(0)): Promise<SegmentContent> {
  const { firstBlock, blockCount, bases, leaves, literalBytes, packed } = head;
  const given: Buffer[] = [];
  const release = () => {
    for (const space of given.splice(0)) spaces.give(space);
  };
  const part = async (bytes: Uint8Array, codec: number, length: number, what: string) => {
    if (codec === STORED) {
      if (bytes.length === length) return bytes;
      throw broken(`its ${what} have ${bytes.length} bytes, but it says ${length}`);
    }
    // A byte more, to find out what would unpack to more.
    const space = spaces.take(length + 1);
    given.push(space);
    if ((await unpack(bytes, space.subarray(0, length + 1))) !== length)
      throw broken(`its ${what} do not unpack to ${length} bytes`);
    return space.subarray(0, length);
  };
  try {
    const opBytes = await part(packed.ops, packed.opsCodec, packed.opsBytes, "operations");
    const limits = {
      from: firstBlock * BLOCK_BYTES,
      count: head.opCount,
      bases: bases.length,
      literalBytes,
      minBytes: (blockCount - 1) * BLOCK_BYTES + 1,
      maxBytes: blockCount * BLOCK_BYTES,
    };
    let rangeBytes = 0;
    for (const op of decodeOps(opBytes, limits, broken)) rangeBytes += op.length;
    const literals = await part(packed.literals, packed.literalsCodec, literalBytes, "literals");
    const ops = { [Symbol.iterator]: () => decodeOps(opBytes, limits, broken) };
    return { firstBlock, blockCount, bases, ops, literals, leaves, rangeBytes, release };
  } catch (error) {
    release();
    throw error;
  }
}

function broken(problem: string): FormatError {
  return new FormatError("segment", problem);
}
