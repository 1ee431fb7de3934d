import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Journal } from "../../../../lib/image/far/journal";
import { bytesOf, scratch } from "../support/images";
import { transferId } from "./support/segments";

const directory = scratch();
afterAll(directory.remove);
let number = 0;
const id = transferId(7);
const SIZE = 300 * 2 ** 20;

const records = Array.from({ length: 40 }, (_, i) => ({
  block: (i * 37) % 300,
  leaf: i % 9 === 8 ? undefined : bytesOf(i, 32),
}));

async function written(): Promise<string> {
  const path = join(directory.path, `journal-${++number}`);
  const journal = await Journal.create(path, id, SIZE);
  await Promise.all([
    journal.append(records.slice(0, 10)),
    journal.append(records.slice(10, 11)),
    journal.append([]),
  ]);
  await journal.append(records.slice(11));
  await journal.close();
  return path;
}

async function read(path: string, of = id) {
  const found: { block: number; leaf: string | undefined }[] = [];
  let size: number | undefined;
  const journal = await Journal.resume(path, of, (sizeBytes) => {
    size = sizeBytes;
    return ({ block, leaf }) => found.push({ block, leaf: leaf && Buffer.from(leaf).toString("hex") });
  });
  return { journal, size, found };
}

const plain = (list: typeof records) =>
  list.map(({ block, leaf }) => ({ block, leaf: leaf?.toString("hex") }));

describe("a journal", () => {
  it("is read as it was written, in the order of the appends", async () => {
    const { journal, size, found } = await read(await written());
    await journal?.close();
    expect(size).toBe(SIZE);
    expect(found).toEqual(plain(records));
  });

  it("that was torn anywhere gives all whole records before, and goes on from there", async () => {
    const whole = readFileSync(await written());
    for (let cut = 56; cut < whole.length; cut += 13) {
      const path = join(directory.path, "torn");
      writeFileSync(path, whole.subarray(0, cut));
      const { journal, found } = await read(path);
      const left = Math.floor((cut - 56) / 48);
      expect(found).toEqual(plain(records.slice(0, left)));
      expect(statSync(path).size).toBe(56 + left * 48);
      await journal?.append([{ block: 299, leaf: bytesOf(1, 32) }]);
      await journal?.close();
      const again = await read(path);
      await again.journal?.close();
      expect(again.found.at(-1)?.block).toBe(299);
    }
  });

  it("gives nothing that was not written, whichever bit is flipped or whatever comes behind", async () => {
    const whole = readFileSync(await written());
    const path = join(directory.path, "flipped");
    const expected = plain(records);
    for (let bit = 0; bit < whole.length * 8; bit += 23) {
      const changed = Buffer.from(whole);
      changed[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(path, changed);
      const { journal, found } = await read(path);
      await journal?.close();
      const isInHead = bit >> 3 < 56;
      expect(journal === undefined).toBe(isInHead);
      expect(found).toEqual(isInHead ? [] : expected.slice(0, Math.floor(((bit >> 3) - 56) / 48)));
    }
    writeFileSync(path, whole);
    appendFileSync(path, bytesOf(5, 480));
    const { journal, found } = await read(path);
    await journal?.close();
    expect(found).toEqual(expected);
  });

  it("of another transfer, or cut within its head, is none", async () => {
    const path = await written();
    expect((await read(path, transferId(8))).journal).toBeUndefined();
    truncateSync(path, 40);
    expect((await read(path)).journal).toBeUndefined();
    expect((await read(join(directory.path, "nowhere"))).journal).toBeUndefined();
  });
});
