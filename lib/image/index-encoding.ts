import { digestOf, hexOf, KEY_BYTES, sha256 } from "./digest";
import { FormatError } from "./errors";
import { ImageIndex } from "./image-index";
import { MAX_CHUNK_BYTES, MAX_HOLE_BYTES, MAX_IMAGE_BYTES, MAX_INDEX_BYTES } from "./limits";

/*
 * An encoded index, little-endian:
 *
 *   0  "SPIX"    4  version (1)    5  zeros (3)    8  size of the image (8)    16  SHA-256 of the image (32)
 *  48  number of entries (4)      52  number of those that are chunks (4)
 *  56  one variable-length number for each entry: its length * 2, + 1 for a hole
 *   …  keys of the chunks (16 each)
 *   …  SHA-256 of all before (32)
 */
const MAGIC = "SPIX";
const VERSION = 1;
const HEADER_BYTES = 56;
const TRAILER_BYTES = 32;
const HOLE = 0x8000_0000;

/** Bytes of an index's head that {@link decodeIndexHead} needs. */
export const INDEX_HEAD_BYTES = HEADER_BYTES;

export function encodeIndex(index: ImageIndex): Buffer {
  let chunks = 0;
  let lengthBytes = 0;
  for (let position = 0; position < index.count; position++) {
    if (!index.isHole(position)) chunks++;
    lengthBytes += varintBytes(lengthNumber(index, position));
  }
  const out = Buffer.alloc(HEADER_BYTES + lengthBytes + chunks * KEY_BYTES + TRAILER_BYTES);
  out.write(MAGIC, 0, "latin1");
  out[4] = VERSION;
  out.writeBigUInt64LE(BigInt(index.sizeBytes), 8);
  out.write(hexOf(index.digest) ?? "", 16, "hex");
  out.writeUInt32LE(index.count, 48);
  out.writeUInt32LE(chunks, 52);
  let at = HEADER_BYTES;
  for (let position = 0; position < index.count; position++) {
    let value = lengthNumber(index, position);
    for (; value >= 0x80; value = Math.floor(value / 0x80)) out[at++] = (value % 0x80) | 0x80;
    out[at++] = value;
  }
  const keys = new Uint8Array(index.keys.buffer, index.keys.byteOffset, index.keys.byteLength);
  for (let position = 0; position < index.count; position++) {
    if (index.isHole(position)) continue;
    out.set(keys.subarray(position * KEY_BYTES, (position + 1) * KEY_BYTES), at);
    at += KEY_BYTES;
  }
  sha256(out.subarray(0, at)).copy(out, at);
  return out;
}

/** What the head of an encoded index says; not verified further. @throws FormatError */
export function decodeIndexHead(bytes: Uint8Array): { readonly digest: string; readonly sizeBytes: number } {
  const buffer = asBuffer(bytes);
  if (buffer.length < HEADER_BYTES) throw broken(`it has ${buffer.length} bytes, fewer than its head`);
  if (buffer.toString("latin1", 0, 4) !== MAGIC) throw broken(`it does not begin with ${MAGIC}`);
  if (buffer[4] !== VERSION) throw broken(`it is of version ${buffer[4]}, and only ${VERSION} is known`);
  const size = buffer.readBigUInt64LE(8);
  if (size > BigInt(MAX_IMAGE_BYTES))
    throw broken(`its image has ${size} bytes, more than ${MAX_IMAGE_BYTES}`);
  return { digest: digestOf(buffer.subarray(16, 48)), sizeBytes: Number(size) };
}

/** The checksum at the end, by which two encodings are told apart. */
export function indexChecksum(encoded: Uint8Array): Buffer {
  return Buffer.from(encoded.subarray(encoded.length - TRAILER_BYTES));
}

/**
 * Reads an index that anyone may have written: it never reads outside the bytes, and takes memory in proportion to them.
 * @throws FormatError
 */
export function decodeIndex(bytes: Uint8Array): ImageIndex {
  const buffer = asBuffer(bytes);
  if (buffer.length > MAX_INDEX_BYTES)
    throw broken(`it has ${buffer.length} bytes, more than ${MAX_INDEX_BYTES}`);
  const { digest, sizeBytes } = decodeIndexHead(buffer);
  if (buffer.length < HEADER_BYTES + TRAILER_BYTES) throw broken("it is cut short");
  const end = buffer.length - TRAILER_BYTES;
  if (!sha256(buffer.subarray(0, end)).equals(buffer.subarray(end))) {
    throw broken("its checksum does not match: it was cut short or changed on the way");
  }
  const count = buffer.readUInt32LE(48);
  const chunks = buffer.readUInt32LE(52);
  const keysAt = end - chunks * KEY_BYTES;
  if (chunks > count || keysAt < HEADER_BYTES || count > keysAt - HEADER_BYTES) {
    throw broken(`${count} entries with ${chunks} chunks do not fit into ${buffer.length} bytes`);
  }
  const lengths = readLengths(buffer.subarray(0, keysAt), count, chunks, sizeBytes);
  const keys = new Uint32Array(count * (KEY_BYTES / 4));
  const keyBytes = Buffer.from(keys.buffer);
  for (let position = 0, at = keysAt; position < count; position++) {
    if ((lengths[position] & HOLE) !== 0) continue;
    buffer.copy(keyBytes, position * KEY_BYTES, at, at + KEY_BYTES);
    at += KEY_BYTES;
  }
  return new ImageIndex(digest, sizeBytes, lengths, keys);
}

function readLengths(buffer: Buffer, count: number, chunks: number, sizeBytes: number): Uint32Array {
  const lengths = new Uint32Array(count);
  let at = HEADER_BYTES;
  let total = 0;
  let seen = 0;
  for (let position = 0; position < count; position++) {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (at >= buffer.length || scale > 0x80 ** 4) throw broken(`entry ${position} has no proper length`);
      const byte = buffer[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 0x80;
    }
    const isHole = value % 2 === 1;
    const length = Math.floor(value / 2);
    if (length < 1 || length > (isHole ? MAX_HOLE_BYTES : MAX_CHUNK_BYTES)) {
      throw broken(`entry ${position} is a ${isHole ? "hole" : "chunk"} of ${length} bytes`);
    }
    if (!isHole) seen++;
    lengths[position] = isHole ? (length | HOLE) >>> 0 : length;
    total += length;
  }
  if (at !== buffer.length) throw broken(`${buffer.length - at} bytes are left over after the lengths`);
  if (seen !== chunks) throw broken(`it has ${seen} chunks, but says ${chunks}`);
  if (total !== sizeBytes)
    throw broken(`its entries add up to ${total} bytes, but the image has ${sizeBytes}`);
  return lengths;
}

function lengthNumber(index: ImageIndex, position: number): number {
  return index.lengthOf(position) * 2 + (index.isHole(position) ? 1 : 0);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes++;
  return bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function broken(problem: string): FormatError {
  return new FormatError("image index", problem);
}
