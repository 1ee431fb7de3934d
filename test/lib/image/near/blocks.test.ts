import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BLOCKS_A_READ, scanBlocks, type ScanOptions } from "../../../../lib/image/near/blocks";
import { CanonicalImage } from "../../../../lib/image/near/canonical-image";
import { ScanOrder } from "../../../../lib/image/near/scan-order";
import { IndexWriter } from "../../../../lib/image/wire/index-writer";
import { bytesOf, scratch, writeOld } from "../support/images";

const MIB = 2 ** 20;

describe("scanning an image", () => {
  const home = scratch();
  afterAll(home.remove);

  /** 19.5 blocks, a few of them empty. */
  const bytes = bytesOf(7, 19.5 * MIB);
  bytes.fill(0, 5 * MIB, 7 * MIB);
  bytes.fill(0, 16 * MIB, 17 * MIB);
  const source = writeOld(join(home.path, "image.img"), bytes);

  async function scan(name: string, options: ScanOptions = {}) {
    const image = await CanonicalImage.open({ source });
    const index = join(home.path, name);
    const writer = await IndexWriter.create(index, image.sizeBytes);
    const seen: { number: number; reached: number }[] = [];
    try {
      const blocks = scanBlocks(image, writer, options);
      for (;;) {
        const next = await blocks.next();
        if (next.done) {
          await writer.finish(next.value);
          return { digest: next.value, seen, index: readFileSync(index) };
        }
        const { number, reached, offset, length } = next.value;
        const own = bytes.subarray(offset, offset + length);
        expect(Buffer.from(await next.value.bytes()).equals(own)).toBe(true);
        seen.push({ number, reached });
      }
    } finally {
      await image.close();
    }
  }

  it("gives the same index and digest in whatever order it is read", async () => {
    const inOrder = await scan("in-order.index");
    expect(inOrder.seen.map(({ number }) => number)).toEqual([...Array(20).keys()]);
    expect(inOrder.seen.every(({ number, reached }) => reached === number * MIB)).toBe(true);
    for (const [i, hungry] of [[0], [0, 2], [0, 1, 2, 3, 4]].entries()) {
      let turn = 0;
      const order = new ScanOrder(Math.ceil(20 / BLOCKS_A_READ), (part) => part % 2 === 1);
      const early = await scan(`early-${i}.index`, { order, isLinkHungry: () => hungry.includes(turn++) });
      const numbers = early.seen.map(({ number }) => number);
      expect(numbers).not.toEqual(inOrder.seen.map(({ number }) => number));
      expect([...numbers].sort((a, b) => a - b)).toEqual([...Array(20).keys()]);
      expect(early.digest).toBe(inOrder.digest);
      expect(early.index.equals(inOrder.index)).toBe(true);
      for (const [at, { reached }] of early.seen.entries()) {
        const before = new Set(numbers.slice(0, at));
        for (let block = 0; block * MIB < reached; block++) expect(before.has(block)).toBe(true);
      }
    }
  });
});
