import { promisify } from "node:util";
import { brotliCompressSync, brotliDecompress, constants, createBrotliCompress } from "node:zlib";
import { digestOf, hexOf, sha256 } from "./digest";
import { FormatError } from "./errors";
import { MAX_SEGMENT_BYTES, MAX_SEGMENT_RAW_BYTES } from "./limits";
import type { Run } from "./image-index";

/*
 * An encoded segment, little-endian. It needs nothing but the index of its image to be understood, and may arrive in any order and
 * any number of times.
 *
 *   0  "SPSG"    4  version (1)    5  codec (0 stored, 1 brotli)    6  zeros (2)    8  SHA-256 of the image (32)
 *  40  number of runs (4)         44  bytes of the image in it (4)                 48  bytes of the body (4)
 *  52  runs: first position in the index (4), number of entries (4)
 *   …  body
 *   …  SHA-256 of all before (32); its first 16 bytes in hex are the segment's id
 */
const MAGIC = "SPSG";
const VERSION = 1;
const STORED = 0;
const BROTLI = 1;
const HEADER_BYTES = 52;
const TRAILER_BYTES = 32;
const MAX_RUNS = 16_384;
/** Compression that saves less is not worth the far side's time. */
const WORTH_IT = 0.97;

const SAMPLES = 8;
const SAMPLE_BYTES = 4096;
/** Fast, with a window of 1 MiB, the usual segment: a larger one would only cost memory at both ends. */
const FAST = { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 20 };
const PIECE_BYTES = 64 * 1024;

const decompress = promisify(brotliDecompress);

/** A segment that was read, its body still packed. */
export interface Segment {
  readonly id: string;
  readonly digest: string;
  readonly runs: readonly Run[];
  readonly rawBytes: number;
  readonly codec: number;
  readonly body: Buffer;
}

/** Bytes that {@link sealSegment} needs for a segment of so many runs and bytes of the image. */
export function segmentSpace(runs: number, rawBytes: number): number {
  return HEADER_BYTES + runs * 8 + rawBytes + TRAILER_BYTES;
}

/** The part of the space for a segment where the image's bytes are to be put before it is sealed. */
export function rawPart(space: Buffer, runs: number, rawBytes: number): Buffer {
  const from = HEADER_BYTES + runs * 8;
  return space.subarray(from, from + rawBytes);
}

/**
 * Makes a segment in place, from the bytes of `runs` (one after the other) in its {@link rawPart}.
 * @param scratch as long as the image's bytes at least
 */
export async function sealSegment(
  digest: string,
  runs: readonly Run[],
  space: Buffer,
  rawBytes: number,
  scratch: Buffer,
): Promise<{ readonly id: string; readonly bytes: Buffer }> {
  const body = rawPart(space, runs.length, rawBytes);
  const worthwhile = scratch.subarray(0, Math.floor(rawBytes * WORTH_IT));
  const packed = looksPackable(body) ? await pack(body, worthwhile) : undefined;
  const bodyBytes = packed?.copy(body) ?? rawBytes;
  space.fill(0, 0, HEADER_BYTES);
  space.write(MAGIC, 0, "latin1");
  space[4] = VERSION;
  space[5] = packed ? BROTLI : STORED;
  space.write(hexOf(digest) ?? "", 8, "hex");
  space.writeUInt32LE(runs.length, 40);
  space.writeUInt32LE(rawBytes, 44);
  space.writeUInt32LE(bodyBytes, 48);
  let at = HEADER_BYTES;
  for (const [first, count] of runs) {
    at = space.writeUInt32LE(first, at);
    at = space.writeUInt32LE(count, at);
  }
  at += bodyBytes;
  const hash = sha256(space.subarray(0, at));
  hash.copy(space, at);
  return { id: hash.toString("hex", 0, 16), bytes: space.subarray(0, at + TRAILER_BYTES) };
}

/** Packs chunks of one image: the bytes of `runs`, one after the other. */
export function encodeSegment(
  digest: string,
  runs: readonly Run[],
  raw: Uint8Array,
): Promise<{ readonly id: string; readonly bytes: Buffer }> {
  const space = Buffer.alloc(segmentSpace(runs.length, raw.length));
  rawPart(space, runs.length, raw.length).set(raw);
  return sealSegment(digest, runs, space, raw.length, Buffer.alloc(raw.length));
}

/** Samples tell noise (packed files, encrypted disks) from the rest for a fraction of the work of packing it in vain. */
function looksPackable(raw: Buffer): boolean {
  if (raw.length <= SAMPLES * SAMPLE_BYTES) return true;
  const step = Math.floor((raw.length - SAMPLE_BYTES) / (SAMPLES - 1));
  const samples = Buffer.concat(
    Array.from({ length: SAMPLES }, (_, i) => raw.subarray(i * step, i * step + SAMPLE_BYTES)),
  );
  return brotliCompressSync(samples, { params: FAST }).length < samples.length * WORTH_IT;
}

/**
 * Packs into space that is used again, piece by piece: large pieces that come and go leave the heap of the C library in shreds.
 * @returns the packed bytes, a part of `into`; undefined when they do not fit
 */
function pack(raw: Buffer, into: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const params = { ...FAST, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length };
    const stream = createBrotliCompress({ params, chunkSize: PIECE_BYTES });
    let filled = 0;
    stream.on("data", (piece: Buffer) => {
      if (filled + piece.length <= into.length) filled += piece.copy(into, filled);
      else {
        stream.destroy();
        resolve(undefined);
      }
    });
    stream.on("end", () => resolve(into.subarray(0, filled)));
    stream.on("error", reject);
    stream.end(raw);
  });
}

/**
 * Reads a segment that anyone may have written. Its bytes are those that were sent (the checksum says so); whether they are the
 * image's is for the index to say.
 * @throws FormatError
 */
export function decodeSegment(bytes: Uint8Array): Segment {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.length > MAX_SEGMENT_BYTES)
    throw broken(`it has ${buffer.length} bytes, more than ${MAX_SEGMENT_BYTES}`);
  if (buffer.length < HEADER_BYTES + TRAILER_BYTES)
    throw broken(`it has ${buffer.length} bytes: it was cut short`);
  if (buffer.toString("latin1", 0, 4) !== MAGIC) throw broken(`it does not begin with ${MAGIC}`);
  if (buffer[4] !== VERSION) throw broken(`it is of version ${buffer[4]}, and only ${VERSION} is known`);
  const end = buffer.length - TRAILER_BYTES;
  const hash = sha256(buffer.subarray(0, end));
  if (!hash.equals(buffer.subarray(end))) {
    throw broken("its checksum does not match: it was cut short or changed on the way");
  }
  const codec = buffer[5];
  const runCount = buffer.readUInt32LE(40);
  const rawBytes = buffer.readUInt32LE(44);
  const bodyBytes = buffer.readUInt32LE(48);
  if (codec !== STORED && codec !== BROTLI) throw broken(`its codec ${codec} is not known`);
  if (runCount < 1 || runCount > MAX_RUNS) throw broken(`it has ${runCount} runs`);
  if (rawBytes < 1 || rawBytes > MAX_SEGMENT_RAW_BYTES)
    throw broken(`it holds ${rawBytes} bytes of the image`);
  if (HEADER_BYTES + runCount * 8 + bodyBytes !== end) throw broken("its parts do not add up to its length");
  const runs: Run[] = [];
  for (let i = 0, at = HEADER_BYTES; i < runCount; i++, at += 8) {
    runs.push([buffer.readUInt32LE(at), buffer.readUInt32LE(at + 4)]);
  }
  return {
    id: hash.toString("hex", 0, 16),
    digest: digestOf(buffer.subarray(8, 40)),
    runs,
    rawBytes,
    codec,
    body: buffer.subarray(end - bodyBytes, end),
  };
}

/** The image's bytes in a segment: exactly `rawBytes` of them. @throws FormatError */
export async function unpackSegment(segment: Segment): Promise<Buffer> {
  let raw = segment.body;
  if (segment.codec === BROTLI) {
    try {
      raw = await decompress(segment.body, {
        maxOutputLength: segment.rawBytes,
        chunkSize: segment.rawBytes + 1_024,
      });
    } catch {
      throw broken(`its body does not unpack to ${segment.rawBytes} bytes`);
    }
  }
  if (raw.length === segment.rawBytes) return raw;
  throw broken(`its body has ${raw.length} bytes, but it says ${segment.rawBytes}`);
}

function broken(problem: string): FormatError {
  return new FormatError("segment", problem);
}
