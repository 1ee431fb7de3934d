import * as fc from "fast-check";
import { brotliCompressSync } from "node:zlib";
import { FormatError } from "../../../lib/image";
import { sha256 } from "../../../lib/image/digest";
import { decodeSegment, encodeSegment, unpackSegment } from "../../../lib/image/segment";
import { bytesOf } from "./support/images";

const digest = `sha256:${"c3".repeat(32)}`;

function sealed(bytes: Buffer): Buffer {
  sha256(bytes.subarray(0, bytes.length - 32)).copy(bytes, bytes.length - 32);
  return bytes;
}

describe("a segment", () => {
  it("gives back its runs and bytes, packed or not", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200_000 }),
        fc.constantFrom("noise" as const, "text" as const),
        fc.array(fc.tuple(fc.nat(4_000_000_000), fc.integer({ min: 1, max: 1_000 })), {
          minLength: 1,
          maxLength: 40,
        }),
        async (length, kind, runs) => {
          const raw = bytesOf(length, length, kind);
          const { id, bytes } = await encodeSegment(digest, runs, raw);
          const read = decodeSegment(bytes);
          expect(read).toMatchObject({ id, digest, rawBytes: length });
          expect(read.runs).toEqual(runs);
          expect((await unpackSegment(read)).equals(raw)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("packs text, and stores what does not pack", async () => {
    const text = await encodeSegment(digest, [[0, 1]], bytesOf(1, 100_000, "text"));
    const noise = await encodeSegment(digest, [[0, 1]], bytesOf(1, 100_000));
    expect(text.bytes.length).toBeLessThan(60_000);
    expect(noise.bytes.length).toBeLessThan(100_200);
  });

  it("is refused after any one of 500 random changes or cuts", async () => {
    const { bytes } = await encodeSegment(digest, [[3, 9]], bytesOf(2, 30_000, "text"));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(bytes);
        changed[at] ^= flip;
        expect(() => decodeSegment(changed)).toThrow(FormatError);
        expect(() => decodeSegment(bytes.subarray(0, at))).toThrow(FormatError);
      }),
      { numRuns: 500 },
    );
  });

  it("with a valid checksum but senseless content is refused or unpacks to what it says", async () => {
    const { bytes } = await encodeSegment(digest, [[3, 9]], bytesOf(2, 3_000, "text"));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 33), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 5,
        }),
        async (edits) => {
          const changed = Buffer.from(bytes);
          for (const [at, value] of edits) changed[at] = value;
          try {
            const read = decodeSegment(sealed(changed));
            expect((await unpackSegment(read)).length).toBe(read.rawBytes);
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it("that would unpack to far more than it says is stopped", async () => {
    const bomb = brotliCompressSync(Buffer.alloc(50_000_000));
    const { bytes } = await encodeSegment(digest, [[0, 1]], bytesOf(3, bomb.length));
    bytes[5] = 1;
    bomb.copy(bytes, 60);
    const read = decodeSegment(sealed(bytes));
    await expect(unpackSegment(read)).rejects.toThrow(`its body does not unpack to ${bomb.length} bytes`);
  });
});
