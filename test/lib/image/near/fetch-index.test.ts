import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { chunkBlock } from "../../../../lib/image/chunking";
import { AbortedError } from "../../../../lib/errors";
import { FormatError } from "../../../../lib/image/errors";
import { fetchIndex } from "../../../../lib/image/near/fetch-index";
import { BLOCK_BYTES, leafOf } from "../../../../lib/image/wire/digest";
import { encodeHeader, maxIndexBytes } from "../../../../lib/image/wire/index-format";
import { IndexWriter } from "../../../../lib/image/wire/index-writer";
import type { ImageTarget, TakePiece } from "../../../../lib/image/wire/target";
import { sleep } from "../../../../lib/wait";
import { bytesOf, scratch } from "../support/images";
import { digestOfImage, writeLyingIndex } from "../support/lying-index";

const home = scratch();
const into = join(home.path, "fetched");
const image = bytesOf(1, 2 * BLOCK_BYTES + 5_000);
const digest = digestOfImage(image);
const signal = new AbortController().signal;
let index: Buffer;

beforeAll(async () => {
  const path = join(home.path, "index");
  await writeLyingIndex(path, image, image);
  index = readFileSync(path);
});
afterAll(home.remove);

/** A target that gives just that. */
const giving = (give: (take: TakePiece) => Promise<boolean>) =>
  ({ fetchIndex: (_digest: string, take: TakePiece) => give(take) }) as unknown as ImageTarget;

const inPiecesOf = (bytes: number, all = index) =>
  giving(async (take) => {
    for (let at = 0; at < all.length; at += bytes) await take(all.subarray(at, at + bytes));
    return true;
  });

describe("an index that is fetched", () => {
  it.each([1, 23, 24, 25, 1_000, 1_000_000])("is the same in pieces of %d bytes", async (bytes) => {
    expect(await fetchIndex(inPiecesOf(bytes), digest, into, signal)).toBe(true);
    expect(readFileSync(into).equals(index)).toBe(true);
  });

  it("of an image that is not held leaves nothing", async () => {
    const target = giving(() => Promise.resolve(false));
    expect(await fetchIndex(target, digest, into, signal)).toBe(false);
    expect(existsSync(into)).toBe(false);
  });

  it("takes no more room than one of its image can have, however much is sent", async () => {
    let given = 0;
    const target = giving(async (take) => {
      await take(encodeHeader(image.length));
      for (;;) {
        await take(Buffer.alloc(10_000, 1));
        given += 10_000;
      }
    });
    await expect(fetchIndex(target, digest, into, signal)).rejects.toThrow(/goes on after \d+ bytes/);
    expect(given).toBeLessThan(maxIndexBytes(image.length));
    expect(maxIndexBytes(image.length)).toBeLessThan(60_000);
    expect(existsSync(into)).toBe(false);
  });

  it("is refused by its header when it says that its image is larger than any", async () => {
    const given: number[] = [];
    const target = giving(async (take) => {
      for (let at = 0; ; at++) {
        await take(encodeHeader(2 ** 45).subarray(at, at + 1));
        given.push(at);
      }
    });
    await expect(fetchIndex(target, digest, into, signal)).rejects.toBeInstanceOf(FormatError);
    expect(given.length).toBe(23);
  });

  it("is not taken when it was cut short", async () => {
    for (const bytes of [10, 24, 1_000, index.length - 1]) {
      const target = inPiecesOf(1_000, index.subarray(0, bytes));
      await expect(fetchIndex(target, digest, into, signal)).rejects.toBeInstanceOf(FormatError);
      expect(existsSync(into)).toBe(false);
    }
  });

  it("is not taken when it is that of another image", async () => {
    const other = digestOfImage(bytesOf(2, BLOCK_BYTES));
    await expect(fetchIndex(inPiecesOf(1_000), other, into, signal)).rejects.toThrow(
      `it is that of ${digest}`,
    );
  });

  it("is not taken when it only says that it is the image's, and its leaves are others", async () => {
    const path = join(home.path, "forged");
    const writer = await IndexWriter.create(path, BLOCK_BYTES);
    const block = bytesOf(3, BLOCK_BYTES);
    await writer.addBlock(leafOf(block), chunkBlock(block));
    await writer.finish(digest);
    const target = inPiecesOf(1_000, readFileSync(path));
    await expect(fetchIndex(target, digest, into, signal)).rejects.toThrow(/leaves do not belong/);
    expect(existsSync(into)).toBe(false);
  });

  it("is given up at once when that is asked for, whatever the target does meanwhile", async () => {
    const stop = new AbortController();
    let later: Promise<unknown> = Promise.resolve();
    const target = giving(async (take) => {
      await take(index.subarray(0, 100));
      await sleep(400);
      await (later = take(index.subarray(100)).catch((error: unknown) => error));
      return true;
    });
    const started = Date.now();
    const fetching = fetchIndex(target, digest, into, stop.signal);
    setTimeout(() => stop.abort(), 50);
    await expect(fetching).rejects.toBeInstanceOf(AbortedError);
    expect(Date.now() - started).toBeLessThan(350);
    expect(existsSync(into)).toBe(false);
    await sleep(450);
    expect(await later).toBeInstanceOf(AbortedError);
    expect(existsSync(into)).toBe(false);
  });
});

describe("the most that an index takes", () => {
  const bound = maxIndexBytes(BLOCK_BYTES);

  /** A block of which each page is what that says. */
  function blockOf(pages: readonly number[]): Buffer {
    const page = [Buffer.alloc(4096), bytesOf(7, 4096), Buffer.alloc(4096, "ab"), bytesOf(8, 4096, "text")];
    return Buffer.concat(Array.from({ length: 256 }, (_, i) => page[pages[i % pages.length]]));
  }

  it("is more than one ever has", async () => {
    let number = 0;
    const most = { bytes: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc
          .array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 8 })
          .filter((all) => all.some(Boolean)),
        async (pages) => {
          const path = join(home.path, `bound-${++number}`);
          const block = blockOf(pages);
          await writeLyingIndex(path, block, block);
          const bytes = readFileSync(path).length;
          most.bytes = Math.max(most.bytes, bytes);
          expect(bytes).toBeLessThanOrEqual(bound);
        },
      ),
      { numRuns: 40 },
    );
    // Not so much more that it would bound nothing.
    expect(bound).toBeLessThan(most.bytes * 10);
  });
});
