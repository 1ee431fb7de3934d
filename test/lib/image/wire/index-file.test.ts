import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { chunkBlock } from "../../../../lib/image/chunking/kernel";
import { FormatError } from "../../../../lib/image/errors";
import {
  blockCountOf,
  blockLengthOf,
  BLOCK_BYTES,
  imageDigest,
  leafOf,
  leafOfZeros,
} from "../../../../lib/image/wire/digest";
import { IndexReader } from "../../../../lib/image/wire/index-reader";
import { IndexWriter } from "../../../../lib/image/wire/index-writer";
import { bytesOf, scratch } from "../support/images";

const directory = scratch();
let number = 0;
afterAll(directory.remove);

/** An image of some blocks, each noise, text with a hole, or zeros, and its index. */
async function indexed(blocks: readonly string[], sizeBytes = blocks.length * BLOCK_BYTES) {
  const path = join(directory.path, `index-${++number}`);
  const writer = await IndexWriter.create(path, sizeBytes);
  const leaves: Buffer[] = [];
  const entries: { ends: number[]; keys: number[] }[] = [];
  for (let i = 0; i < blocks.length; i++) {
    const length = blockLengthOf(sizeBytes, i);
    if (blocks[i] === "zeros") {
      writer.addZeros();
      leaves.push(leafOfZeros(length));
      entries.push({ ends: [length], keys: [0, 0] });
      continue;
    }
    const bytes = bytesOf(i, length, blocks[i] === "text" ? "text" : "noise");
    if (blocks[i] === "text") bytes.fill(0, Math.min(40_000, length), Math.min(80_000, length));
    leaves.push(leafOf(bytes));
    const chunks = chunkBlock(bytes);
    entries.push({ ends: [...chunks.ends], keys: [...chunks.keys] });
    await writer.addBlock(leaves[i], chunks);
  }
  const digest = imageDigest(sizeBytes, leaves);
  await writer.finish(digest);
  return { path, digest, leaves, entries };
}

async function readAll(reader: IndexReader) {
  const found: { leaf: string; ends: number[]; keys: number[]; isZeros: boolean }[] = [];
  for await (const block of reader.blocks()) {
    expect(block.block).toBe(found.length);
    const ends = [...block.ends.subarray(0, block.count)];
    const keys = [...block.keys.subarray(0, block.count * 2)];
    keys.forEach(
      (_, i) => i % 2 === 0 && expect(block.isHole(i / 2)).toBe(keys[i] === 0 && keys[i + 1] === 0),
    );
    found.push({ leaf: block.leaf.toString("hex"), ends, keys, isZeros: block.isZeros });
  }
  return found;
}

describe("an index", () => {
  it("is read as it was written, block by block, from a file or from memory", async () => {
    const kinds = fc.array(fc.constantFrom("noise", "text", "zeros"), { minLength: 1, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(kinds, fc.integer({ min: 0, max: BLOCK_BYTES - 1 }), async (blocks, less) => {
        const sizeBytes = blocks.length * BLOCK_BYTES - less;
        const { path, digest, leaves, entries } = await indexed(blocks, sizeBytes);
        const expected = leaves.map((leaf, i) => ({
          leaf: leaf.toString("hex"),
          ...entries[i],
          isZeros: blocks[i] === "zeros",
        }));
        const ofFile = await IndexReader.open(path);
        expect(ofFile).toMatchObject({ sizeBytes, digest, blockCount: blockCountOf(sizeBytes) });
        expect(await readAll(ofFile)).toEqual(expected);
        await ofFile.close();
        expect(await readAll(await IndexReader.of(readFileSync(path)))).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });

  it("of a hundred gigabytes of nothing takes a few bytes", async () => {
    const blocks = 100_000;
    const path = join(directory.path, "nothing");
    const writer = await IndexWriter.create(path, blocks * BLOCK_BYTES);
    writer.addZeros(blocks);
    const zeros = Array.from({ length: blocks }, () => leafOfZeros(BLOCK_BYTES));
    await writer.finish(imageDigest(blocks * BLOCK_BYTES, zeros));
    expect(readFileSync(path).length).toBeLessThan(200);
    let count = 0;
    for await (const block of (await IndexReader.of(readFileSync(path))).blocks())
      count += block.isZeros ? 1 : 0;
    expect(count).toBe(blocks);
  });

  it("is refused before anything wrong of it is given out, whichever bit is flipped or wherever it is cut", async () => {
    const { path } = await indexed(["text", "zeros", "zeros", "noise"], 4 * BLOCK_BYTES - 900_000);
    const bytes = readFileSync(path);
    const whole = await readAll(await IndexReader.of(bytes));
    let gotThrough = 0;
    const attempt = async (changed: Buffer) => {
      const given: string[] = [];
      try {
        for await (const block of (await IndexReader.of(changed)).blocks()) {
          given.push(block.leaf.toString("hex"));
        }
        gotThrough++;
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
      expect(given).toEqual(whole.slice(0, given.length).map(({ leaf }) => leaf));
    };
    for (let i = 0; i < 10_000; i++) {
      const at = i < 400 ? i % bytes.length : Math.floor((i * bytes.length) / 10_000);
      const changed = Buffer.from(bytes);
      changed[at] ^= 1 << (i % 8);
      await attempt(changed);
      if (i % 50 === 0) await attempt(bytes.subarray(0, at));
    }
    await attempt(Buffer.concat([bytes, Buffer.from([0])]));
    expect(gotThrough).toBe(0);
  });

  it("whose leaves are not those of its digest is refused at its end", async () => {
    const path = join(directory.path, "other");
    const writer = await IndexWriter.create(path, BLOCK_BYTES);
    await writer.addBlock(leafOf(Buffer.from("x")), chunkBlock(bytesOf(1, BLOCK_BYTES)));
    await writer.finish(`sha256:${"ab".repeat(32)}`);
    const reader = await IndexReader.open(path);
    await expect(readAll(reader)).rejects.toThrow("do not belong to its digest");
    await reader.close();
  });

  it("that is given up leaves no file, and one that lacks blocks is not finished", async () => {
    const before = readdirSync(directory.path);
    const writer = await IndexWriter.create(join(directory.path, "given-up"), 2 * BLOCK_BYTES);
    writer.addZeros();
    await expect(writer.finish(`sha256:${"ab".repeat(32)}`)).rejects.toThrow(RangeError);
    await writer.discard();
    expect(readdirSync(directory.path)).toEqual(before);
  });

  it("that is none is refused", async () => {
    const path = join(directory.path, "none");
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(10), Buffer.alloc(500), bytesOf(3, 5_000)]) {
      writeFileSync(path, bytes);
      await expect(IndexReader.open(path)).rejects.toThrow(FormatError);
    }
  });
});
