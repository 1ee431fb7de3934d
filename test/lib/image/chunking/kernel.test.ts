import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { MAX_BLOCK_BYTES, chunkBlock } from "../../../../lib/image/chunking/kernel";
import { referenceEntries, xxh64, type Entry } from "./reference";

const ROOT = join(__dirname, "..", "..", "..", "..");

function kernelEntries(block: Uint8Array): Entry[] {
  const chunks = chunkBlock(block);
  return Array.from({ length: chunks.count }, (_, i) => ({
    end: chunks.ends[i],
    key: (BigInt(chunks.keys[2 * i + 1]) << 32n) | BigInt(chunks.keys[2 * i]),
  }));
}

/** Bytes without a pattern, the same for the same seed. */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

/** A block of pieces: noise, zeros, one byte repeated, words repeated. */
const block = fc
  .array(
    fc.record({
      kind: fc.constantFrom("noise", "zeros", "same", "words"),
      length: fc.oneof(
        fc.integer({ min: 0, max: 40_000 }),
        fc.constantFrom(0, 1, 767, 768, 4095, 4096, 4097, 8192, 16_384),
      ),
      seed: fc.integer(),
    }),
    { maxLength: 8 },
  )
  .map((pieces) =>
    Buffer.concat(
      pieces.map(({ kind, length, seed }) => {
        if (kind === "noise") return noise(length, seed);
        if (kind === "zeros") return Buffer.alloc(length);
        return Buffer.alloc(length, kind === "same" ? seed & 0xff : `${seed} of words; `);
      }),
    ),
  );

test("the kernel's module is what its source compiles to, byte for byte", async () => {
  const check = promisify(execFile)(process.execPath, [join(ROOT, "scripts", "kernel.mjs"), "--check"]);
  await expect(check).resolves.toMatchObject({ stdout: "" });
});

test("keys are XXH64, as its makers publish it", () => {
  const key = (text: string) => kernelEntries(Buffer.from(text))[0].key;
  expect(key("a")).toBe(0xd24ec4f1a98c6e5bn);
  expect(key("abc")).toBe(0x44bc2cf5ad770999n);
  expect(xxh64(Buffer.from(""))).toBe(0xef46db3751d8e999n);
});

test("cuts and keys are those of the format's description, whatever the bytes", () => {
  fc.assert(
    fc.property(block, (bytes) => {
      expect(kernelEntries(bytes)).toEqual(referenceEntries(bytes));
    }),
    { numRuns: 15 },
  );
});

test("entries cover the block, holes are aligned and merged, chunks within their limits", () => {
  fc.assert(
    fc.property(block, (bytes) => {
      const chunks = chunkBlock(bytes);
      let at = 0;
      for (let i = 0; i < chunks.count; i++) {
        const end = chunks.ends[i];
        if (chunks.isHole(i)) {
          expect(at % 4096).toBe(0);
          expect(Buffer.compare(bytes.subarray(at, end), new Uint8Array(end - at))).toBe(0);
          expect(i > 0 && chunks.isHole(i - 1)).toBe(false);
        } else {
          expect(end - at).toBeGreaterThan(0);
          expect(end - at).toBeLessThanOrEqual(16_384);
        }
        at = end;
      }
      expect(at).toBe(bytes.length);
    }),
  );
});

test("a full block of noise has chunks of about two and a half KiB", () => {
  const count = chunkBlock(noise(MAX_BLOCK_BYTES, 7)).count;
  expect(MAX_BLOCK_BYTES / count).toBeGreaterThan(2000);
  expect(MAX_BLOCK_BYTES / count).toBeLessThan(3200);
});

test("an insertion moves only the cuts near it", () => {
  const before = noise(400_000, 3);
  const after = Buffer.concat([
    before.subarray(0, 100_000),
    Buffer.from("inserted"),
    before.subarray(100_000),
  ]);
  const keys = new Set(kernelEntries(before).map(({ key }) => key));
  const missing = kernelEntries(after).filter(({ key }) => !keys.has(key));
  expect(missing.length).toBeLessThan(8);
});

test("a block of zeros is one hole, an empty one is nothing, one too large is refused", () => {
  expect(kernelEntries(new Uint8Array(MAX_BLOCK_BYTES))).toEqual([{ end: MAX_BLOCK_BYTES, key: 0n }]);
  expect(kernelEntries(new Uint8Array(5000))).toEqual([{ end: 5000, key: 0n }]);
  expect(kernelEntries(new Uint8Array(0))).toEqual([]);
  expect(() => chunkBlock(new Uint8Array(MAX_BLOCK_BYTES + 1))).toThrow(RangeError);
});

test("what a smaller block leaves behind in memory does not matter", () => {
  const large = noise(MAX_BLOCK_BYTES, 11);
  const small = noise(5000, 12);
  const fresh = kernelEntries(small);
  chunkBlock(large);
  expect(kernelEntries(small)).toEqual(fresh);
});
