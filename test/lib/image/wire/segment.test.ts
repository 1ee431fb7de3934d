import * as fc from "fast-check";
import { sha256 } from "../../../../lib/image/digest";
import { FormatError } from "../../../../lib/image/errors";
import { BLOCK_BYTES, leafOf } from "../../../../lib/image/wire/digest";
import { encodeOps, type Op } from "../../../../lib/image/wire/ops";
import {
  decodeSegment,
  encodeSegment,
  MAX_LITERAL_BYTES,
  unpackSegment,
  type SegmentParts,
} from "../../../../lib/image/wire/segment";
import { Spaces } from "../../../../lib/image/wire/spaces";
import { bytesOf } from "../support/images";

const FAST = { quality: 1, window: 20 };
const digest = (n: number) => `sha256:${n.toString(16).padStart(64, "0")}`;

/** Any operations for `blocks` blocks, the last of which may be shorter. */
function opsFor(blocks: number): fc.Arbitrary<Op[]> {
  const piece = fc.record({
    kind: fc.constantFrom("zero", "literal", "copy", "self"),
    length: fc.integer({ min: 1, max: 300_000 }),
    base: fc.integer({ min: 0, max: 2 }),
    offset: fc.oneof(fc.integer({ min: 0, max: 2 ** 40 }), fc.constant(-1)),
  });
  return fc
    .tuple(fc.array(piece, { maxLength: 60 }), fc.integer({ min: 1, max: BLOCK_BYTES }))
    .map(([pieces, last]) => {
      const bytes = (blocks - 1) * BLOCK_BYTES + last;
      const ops: Op[] = [];
      let position = 0;
      let ended = 0;
      for (const { kind, length: wanted, base, offset } of [
        ...pieces,
        { kind: "zero", length: bytes, base: 0, offset: 0 },
      ]) {
        const length = Math.min(wanted, bytes - position, kind === "literal" ? 3_000 : Infinity);
        if (length === 0) break;
        const from = offset < 0 ? ended : offset;
        if (kind === "zero" || kind === "literal") ops.push({ kind, length });
        else if (kind === "copy") ops.push({ kind, base, offset: from, length });
        else ops.push({ kind: "self", offset: from, length });
        ended = from + length;
        position += length;
      }
      return ops;
    });
}

function partsOf(ops: readonly Op[], firstBlock: number, blockCount: number, seed: number): SegmentParts {
  const literals = ops
    .filter((op) => op.kind === "literal")
    .map((op, i) => bytesOf(seed + i, op.length, i % 2 === 0 ? "text" : "noise"));
  const leaves = Array.from({ length: blockCount }, (_, i) =>
    (seed + i) % 3 === 0 ? undefined : leafOf(Buffer.from([seed, i])),
  );
  return { firstBlock, blockCount, bases: [digest(1), digest(2), digest(3)], ops, literals, leaves };
}

describe("a segment", () => {
  it("is after its journey what it was before, whatever is in it", async () => {
    const spaces = new Spaces();
    const any = fc
      .integer({ min: 1, max: 9 })
      .chain((blocks) => fc.tuple(fc.constant(blocks), opsFor(blocks), fc.nat(2 ** 20), fc.nat(100)));
    await fc.assert(
      fc.asyncProperty(any, async ([blockCount, ops, firstBlock, seed]) => {
        const parts = partsOf(ops, firstBlock, blockCount, seed);
        const encoded = await encodeSegment(parts, FAST, spaces);
        const head = decodeSegment(encoded.bytes);
        expect(head.id).toBe(encoded.id);
        const content = await unpackSegment(head, spaces);
        expect([...content.ops]).toEqual(ops);
        expect(content.rangeBytes).toBe(ops.reduce((sum, op) => sum + op.length, 0));
        expect(Buffer.compare(content.literals, Buffer.concat(parts.literals))).toBe(0);
        expect(content.leaves).toEqual(parts.leaves);
        expect(content).toMatchObject({ firstBlock, blockCount, bases: parts.bases });
        content.release();
        encoded.release();
      }),
      { numRuns: 60 },
    );
  });

  it("costs two bytes or so for a copy in place, and little more for one that goes on after an insertion", () => {
    const inPlace: Op[] = [];
    for (let at = 0; at < 1_000_000; at += 8_000) {
      inPlace.push({ kind: "copy", base: 0, offset: at, length: 7_000 }, { kind: "literal", length: 1_000 });
    }
    expect(encodeOps(inPlace, 0).bytes.length).toBeLessThanOrEqual((inPlace.length / 2) * 7);
    const goesOn: Op[] = [];
    let source = 5_000_000;
    for (let i = 0; i < 100; i++, source += 7_000) {
      goesOn.push({ kind: "copy", base: 0, offset: source, length: 7_000 }, { kind: "literal", length: 50 });
    }
    expect(encodeOps(goesOn, 0).bytes.length).toBeLessThanOrEqual(100 * 6 + 8);
  });

  it("of noise is stored, of half noise packed", async () => {
    const of = async (literals: Buffer[]) => {
      const length = literals.reduce((sum, piece) => sum + piece.length, 0);
      const ops: Op[] = [{ kind: "literal", length }];
      const parts = { firstBlock: 0, blockCount: Math.ceil(length / BLOCK_BYTES), bases: [], ops, literals };
      return encodeSegment(
        { ...parts, leaves: Array.from({ length: parts.blockCount }, () => undefined) },
        FAST,
      );
    };
    const noise = bytesOf(1, 2_000_000);
    const text = bytesOf(2, 2_000_000, "text");
    expect((await of([noise])).bytes.length).toBeLessThan(noise.length + 200);
    expect((await of([noise, text])).bytes.length).toBeLessThan(3_300_000);
  });

  it("is not made of more than it may hold", async () => {
    const length = MAX_LITERAL_BYTES + 1;
    const parts = {
      firstBlock: 0,
      blockCount: 9,
      bases: [],
      leaves: Array.from({ length: 9 }, () => undefined),
    };
    const refused = encodeSegment(
      { ...parts, ops: [{ kind: "literal", length }], literals: [Buffer.alloc(length)] },
      FAST,
    );
    await expect(refused).rejects.toThrow(RangeError);
  });
});

/** The segment with some bytes changed and a checksum that matches: what only a liar sends. */
function forged(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  sha256(copy.subarray(0, copy.length - 32)).copy(copy, copy.length - 32);
  return copy;
}

describe("a segment that anyone may have written", () => {
  const ops: Op[] = [
    { kind: "literal", length: 40_000 },
    { kind: "copy", base: 1, offset: 77_777, length: 500_000 },
    { kind: "self", offset: 5, length: 1_000 },
    { kind: "zero", length: BLOCK_BYTES - 541_000 },
  ];

  it("is refused whichever bit is flipped or wherever it is cut", async () => {
    const { bytes } = await encodeSegment(partsOf(ops, 3, 1, 1), FAST);
    for (let i = 0; i < 10_000; i++) {
      const changed = Buffer.from(bytes);
      const at = Math.floor((i * changed.length) / 10_000);
      changed[at] ^= 1 << (i % 8);
      expect(() => decodeSegment(changed)).toThrow(FormatError);
      if (i % 20 === 0) expect(() => decodeSegment(bytes.subarray(0, at))).toThrow(FormatError);
    }
  });

  it("with a checksum that matches is read properly or refused as malformed, never anything else", async () => {
    const { bytes } = await encodeSegment(partsOf(ops, 3, 1, 1), FAST);
    const change = fc.array(fc.tuple(fc.nat(bytes.length - 33), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    const where = fc.oneof(
      change,
      fc.array(fc.tuple(fc.nat(250), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
    );
    await fc.assert(
      fc.asyncProperty(where, async (changes) => {
        const lie = forged(bytes, (copy) => changes.forEach(([at, value]) => (copy[at] = value)));
        try {
          const content = await unpackSegment(decodeSegment(lie));
          const total = [...content.ops].reduce((sum, op) => sum + op.length, 0);
          expect(Math.ceil(total / BLOCK_BYTES)).toBe(content.blockCount);
          expect(content.literals.length).toBeLessThanOrEqual(MAX_LITERAL_BYTES);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["blocks", 12],
    ["bases", 16],
    ["operations", 20],
    ["bytes of operations", 24],
    ["packed operations", 28],
    ["literals", 32],
    ["packed literals", 36],
  ])("with a count of 2^32 - 1 %s is refused at once", async (_what, at) => {
    const { bytes } = await encodeSegment(partsOf(ops, 3, 1, 1), FAST);
    expect(() => decodeSegment(forged(bytes, (copy) => copy.writeUInt32LE(0xffff_ffff, at)))).toThrow(
      FormatError,
    );
  });

  it("that unpacks to more than it says is refused, without the memory for it", async () => {
    const zeros = Buffer.alloc(MAX_LITERAL_BYTES);
    const leaves = Array.from({ length: 8 }, () => undefined);
    const parts: SegmentParts = {
      firstBlock: 0,
      blockCount: 8,
      bases: [],
      leaves,
      ops: [{ kind: "literal", length: zeros.length }],
      literals: [zeros],
    };
    const { bytes } = await encodeSegment(parts, FAST);
    expect(bytes.length).toBeLessThan(10_000);
    const bomb = decodeSegment(forged(bytes, (copy) => copy.writeUInt32LE(1_000, 32)));
    await expect(unpackSegment(bomb)).rejects.toThrow(FormatError);
  });
});
