import type { Transform } from "node:stream";
import { brotliCompressSync, constants, createBrotliCompress, createBrotliDecompress } from "node:zlib";

/** How hard to pack. */
export interface Packing {
  /** Of brotli: 0 (fast) to 11. */
  readonly quality: number;
  /** Bits of brotli's window: 10 to 24. */
  readonly window: number;
}

/** Packing that saves less is not worth the far side's time. */
const WORTH_IT = 0.97;
const SAMPLES = 32;
const SAMPLE_BYTES = 2048;
const SAMPLE_PACKING: Packing = { quality: 1, window: 16 };
const PIECE_BYTES = 64 * 1024;
/** What is unpacked is more: each piece is a turn of the event loop. */
const UNPACKED_PIECE_BYTES = 512 * 1024;

/**
 * Samples tell noise (packed files, encrypted disks) from the rest for a fraction of the work of packing it in vain. A part that is
 * noise and a part that is not are packable together.
 */
export function looksPackable(raw: Uint8Array): boolean {
  if (raw.length <= SAMPLES * SAMPLE_BYTES) return true;
  const step = Math.floor((raw.length - SAMPLE_BYTES) / (SAMPLES - 1));
  const samples = Buffer.concat(
    Array.from({ length: SAMPLES }, (_, i) => raw.subarray(i * step, i * step + SAMPLE_BYTES)),
  );
  return brotliCompressSync(samples, { params: paramsOf(SAMPLE_PACKING) }).length < samples.length * WORTH_IT;
}

/**
 * Packs into space that is used again, piece by piece.
 * @returns how many bytes of `into` are filled; undefined when it does not pack to less than it is, or does not fit
 */
export function pack(raw: Uint8Array, into: Buffer, packing: Packing): Promise<number | undefined> {
  const room = into.subarray(0, Math.min(into.length, Math.floor(raw.length * WORTH_IT)));
  const params = { ...paramsOf(packing), [constants.BROTLI_PARAM_SIZE_HINT]: raw.length };
  return through(createBrotliCompress({ params, chunkSize: PIECE_BYTES }), raw, room);
}

/**
 * Unpacks into space that is used again.
 * @returns how many bytes of `into` are filled; undefined when it does not unpack, or not to that little
 */
export async function unpack(packed: Uint8Array, into: Buffer): Promise<number | undefined> {
  try {
    return await through(createBrotliDecompress({ chunkSize: UNPACKED_PIECE_BYTES }), packed, into);
  } catch {
    return undefined;
  }
}

function paramsOf({ quality, window }: Packing): Record<number, number> {
  return { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_LGWIN]: window };
}

function through(stream: Transform, input: Uint8Array, into: Buffer): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    let filled = 0;
    stream.on("data", (piece: Buffer) => {
      if (filled + piece.length <= into.length) filled += piece.copy(into, filled);
      else {
        stream.destroy();
        resolve(undefined);
      }
    });
    stream.on("end", () => resolve(filled));
    stream.on("error", reject);
    stream.end(input);
  });
}
