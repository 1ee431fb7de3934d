import * as fc from "fast-check";
import { Chunker } from "../../../../lib/image/chunking";
import { BLOCK_BYTES, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from "../../../../lib/image/limits";
import { bytesOf } from "../support/images";

interface Piece {
  readonly hole: boolean;
  readonly bytes: Buffer;
}

/** The pieces of `bytes` when they are written in parts of these sizes, in turn. */
function pieces(bytes: Uint8Array, parts: readonly number[] = [bytes.length || 1]): Piece[] {
  const found: Piece[] = [];
  const chunker = new Chunker({
    data: (data) => found.push({ hole: false, bytes: Buffer.from(data) }),
    hole: (length) => found.push({ hole: true, bytes: Buffer.alloc(length) }),
  });
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const part = parts[turn % parts.length];
    chunker.write(bytes.subarray(at, at + part));
    at += part;
  }
  chunker.end();
  return found;
}

const join = (found: readonly Piece[]) => Buffer.concat(found.map((piece) => piece.bytes));
const texts = (found: readonly Piece[]) => found.map((piece) => piece.bytes.toString("latin1"));

/** Noise, text and zeros in stretches, aligned or not. */
const image = fc
  .array(
    fc.record({
      kind: fc.constantFrom("noise", "text", "zeros", "aligned zeros"),
      length: fc.integer({ min: 1, max: 60_000 }),
      seed: fc.integer({ min: 0, max: 1_000 }),
    }),
    { maxLength: 8 },
  )
  .map((stretches) => {
    const parts: Buffer[] = [];
    let size = 0;
    for (const { kind, length, seed } of stretches) {
      const padding = kind === "aligned zeros" ? (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES : 0;
      const part =
        kind === "noise" || kind === "text" ? bytesOf(seed, length, kind) : Buffer.alloc(length + padding);
      parts.push(part);
      size += part.length;
    }
    return Buffer.concat(parts);
  });

describe("content-defined chunks", () => {
  it("give back the input when they are put together, whatever it is", () => {
    fc.assert(
      fc.property(image, (bytes) => expect(join(pieces(bytes)).equals(bytes)).toBe(true)),
      { numRuns: 60 },
    );
  });

  it("do not depend on how the input is split into writes", () => {
    fc.assert(
      fc.property(
        image,
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 5 }),
        (bytes, parts) => {
          const average = parts.reduce((sum, part) => sum + part, 0) / parts.length;
          // Writes of a byte or two take long and show no more.
          fc.pre(average > 200);
          expect(texts(pieces(bytes, parts))).toEqual(texts(pieces(bytes)));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("keep within their bounds, and only the last before a hole or the end is shorter", () => {
    fc.assert(
      fc.property(image, (bytes) => {
        const found = pieces(bytes);
        found.forEach((piece, i) => {
          const next = found[i + 1];
          if (piece.hole) return;
          expect(piece.bytes.length).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
          if (next && !next.hole) expect(piece.bytes.length).toBeGreaterThanOrEqual(MIN_CHUNK_BYTES);
        });
      }),
      { numRuns: 60 },
    );
  });

  it("never lie across an aligned block of zeros, and no two holes touch", () => {
    fc.assert(
      fc.property(image, (bytes) => {
        let offset = 0;
        let wasHole = false;
        for (const piece of pieces(bytes)) {
          if (piece.hole) {
            expect(wasHole).toBe(false);
            expect(offset % BLOCK_BYTES).toBe(0);
          } else {
            for (
              let at = Math.ceil(offset / BLOCK_BYTES) * BLOCK_BYTES;
              at + BLOCK_BYTES <= offset + piece.bytes.length;
              at += BLOCK_BYTES
            ) {
              expect(bytes.subarray(at, at + BLOCK_BYTES).some((byte) => byte !== 0)).toBe(true);
            }
          }
          wasHole = piece.hole;
          offset += piece.bytes.length;
        }
      }),
      { numRuns: 60 },
    );
  });

  it("are about 4 KiB on average", () => {
    const found = pieces(bytesOf(7, 8_000_000));
    const average = 8_000_000 / found.length;
    expect(average).toBeGreaterThan(3_500);
    expect(average).toBeLessThan(5_500);
  });

  it("change only near an insertion", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1_000 }),
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.integer({ min: 1, max: 5_000 }),
        (seed, at, length) => {
          const before = bytesOf(seed, 1_000_000);
          const after = Buffer.concat([
            before.subarray(0, at),
            bytesOf(seed + 5_000, length),
            before.subarray(at),
          ]);
          const known = new Set(texts(pieces(before)));
          const changed = texts(pieces(after)).filter((text) => !known.has(text));
          const bytes = changed.reduce((sum, text) => sum + text.length, 0);
          expect(bytes).toBeLessThan(length + 12 * MAX_CHUNK_BYTES);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("cut where they always cut: the places are part of the index format", () => {
    const lengths = pieces(bytesOf(42, 60_000)).map((piece) => piece.bytes.length);
    expect(lengths).toEqual([
      4699, 1495, 4609, 5154, 4943, 6177, 4424, 4539, 4164, 4987, 4384, 3565, 4190, 2670,
    ]);
  });

  it("tell a hole of any length as pieces of at most a GiB", () => {
    const holes: number[] = [];
    const chunker = new Chunker({ data: () => undefined, hole: (length) => holes.push(length) });
    const zeros = Buffer.alloc(64 * 1024 * 1024);
    for (let i = 0; i < 17; i++) chunker.write(zeros);
    chunker.end();
    expect(holes).toEqual([2 ** 30, 2 ** 26]);
  });
});
