import * as fc from "fast-check";
import { FormatError } from "../../../lib/image";
import { sha256, sha256Text } from "../../../lib/image/digest";
import { decodeIndex, encodeIndex } from "../../../lib/image/index-encoding";
import { ImageIndexBuilder, type ImageIndex } from "../../../lib/image/image-index";
import { MAX_CHUNK_BYTES, MAX_HOLE_BYTES } from "../../../lib/image/limits";

const digest = `sha256:${"5a".repeat(32)}`;

const index = fc
  .array(
    fc.oneof(
      fc.record({
        hole: fc.constant(false),
        length: fc.integer({ min: 1, max: MAX_CHUNK_BYTES }),
        salt: fc.nat(),
      }),
      fc.record({
        hole: fc.constant(true),
        length: fc.integer({ min: 1, max: MAX_HOLE_BYTES }),
        salt: fc.nat(),
      }),
    ),
    { minLength: 1, maxLength: 700 },
  )
  .map((entries): ImageIndex => {
    const builder = new ImageIndexBuilder();
    for (const { hole, length, salt } of entries) {
      if (hole) builder.addHole(length);
      else builder.add(length, sha256Text(Buffer.from(String(salt))));
    }
    return builder.finish(digest);
  });

/** Puts a valid checksum on bytes that were tampered with, so that what lies behind it is reached. */
function sealed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length > 32) sha256(copy.subarray(0, copy.length - 32)).copy(copy, copy.length - 32);
  return copy;
}

describe("an encoded index", () => {
  it("gives back the same index", () => {
    fc.assert(
      fc.property(index, (original) => {
        const read = decodeIndex(encodeIndex(original));
        expect(read.digest).toBe(original.digest);
        expect(read.sizeBytes).toBe(original.sizeBytes);
        expect(read.keys).toEqual(original.keys);
        let offset = 0;
        for (let position = 0; position < original.count; position++) {
          expect(read.isHole(position)).toBe(original.isHole(position));
          expect(read.lengthOf(position)).toBe(original.lengthOf(position));
          expect(read.offsetOf(position)).toBe(offset);
          offset += read.lengthOf(position);
        }
        expect(read.offsetOf(read.count)).toBe(read.sizeBytes);
      }),
      { numRuns: 40 },
    );
  });

  it("takes less than 19 bytes a chunk", () => {
    const builder = new ImageIndexBuilder();
    for (let i = 0; i < 10_000; i++) builder.add(4_000 + i, sha256Text(Buffer.from(String(i))));
    expect(encodeIndex(builder.finish(digest)).length).toBeLessThan(190_000);
  });

  it("is refused when any byte of it was changed, or it was cut anywhere", () => {
    fc.assert(
      fc.property(index, fc.nat(), fc.integer({ min: 1, max: 255 }), (original, place, flip) => {
        const bytes = encodeIndex(original);
        const at = place % bytes.length;
        const cut = bytes.subarray(0, at);
        bytes[at] ^= flip;
        expect(() => decodeIndex(bytes)).toThrow(FormatError);
        expect(() => decodeIndex(cut)).toThrow(FormatError);
      }),
      { numRuns: 200 },
    );
  });

  it("with a valid checksum but senseless content is refused or is consistent, and never costs much memory", () => {
    const before = process.memoryUsage().arrayBuffers;
    fc.assert(
      fc.property(
        index,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
        (original, edits) => {
          const bytes = encodeIndex(original);
          for (const [place, value] of edits) bytes[place % Math.min(bytes.length, 120)] = value;
          let read: ImageIndex;
          try {
            read = decodeIndex(sealed(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
            return;
          }
          expect(read.offsetOf(read.count)).toBe(read.sizeBytes);
          for (let position = 0; position < read.count; position++) {
            expect(read.lengthOf(position)).toBeGreaterThan(0);
            if (!read.isHole(position)) expect(read.lengthOf(position)).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64_000_000);
  });

  it("of random bytes is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        expect(() => decodeIndex(sealed(Buffer.concat([Buffer.from("SPIX\x01\0\0\0"), noise])))).toThrow(
          FormatError,
        );
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["four thousand million entries", 48, 0xffff_ffff],
    ["more chunks than entries", 52, 0xffff_ffff],
  ])("that claims %s is refused without taking memory for them", (_claim, at, value) => {
    const builder = new ImageIndexBuilder();
    builder.add(5_000, sha256Text(Buffer.from("x")));
    const bytes = encodeIndex(builder.finish(digest));
    bytes.writeUInt32LE(value, at);
    expect(() => decodeIndex(sealed(bytes))).toThrow(/do not fit/);
  });

  it("of another version says so", () => {
    const builder = new ImageIndexBuilder();
    builder.addHole(1);
    const bytes = encodeIndex(builder.finish(digest));
    bytes[4] = 9;
    expect(() => decodeIndex(bytes)).toThrow("it is of version 9, and only 1 is known");
  });
});
