import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ReadableAt } from "../../../../lib/image/far/files";
import { Journal, readJournal } from "../../../../lib/image/far/journal";
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

const HEADER_BYTES = 56;
const RECORD_BYTES = 48;

/** What is read of a journal that is in memory, to be compared. */
async function decoded(bytes: Buffer): Promise<string> {
  const found: unknown[] = [];
  const source: ReadableAt = {
    read: (into, at, length, position) => {
      const part = bytes.subarray(position, position + length);
      into.set(part, at);
      return Promise.resolve({ bytesRead: part.length });
    },
  };
  const journal = await readJournal(source, id, (sizeBytes) => {
    found.push(sizeBytes);
    return ({ block, leaf }) => found.push(block, leaf && Buffer.from(leaf).toString("hex"));
  });
  return journal ? JSON.stringify([...found, journal.end]) : "none";
}

/** @param count how many records are sound; undefined: not even the head is */
function expectedOf(count: number | undefined): string {
  if (count === undefined) return "none";
  const sound = plain(records.slice(0, count)).flatMap(({ block, leaf }) => [block, leaf]);
  return JSON.stringify([SIZE, ...sound, HEADER_BYTES + count * RECORD_BYTES]);
}

type Random = (below: number) => number;

function randomFrom(noise: Buffer): Random {
  let at = 0;
  return (below) => noise.readUInt32LE((at = (at + 4) % (noise.length - 4))) % below;
}

/** What may have become of a journal. */
const CHANGES: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  function flipSome(bytes, random) {
    for (let left = 1 + random(6); left > 0; left--) bytes[random(bytes.length)] ^= 1 << random(8);
    return bytes;
  },
  function flipAndCut(bytes, random) {
    bytes[random(bytes.length)] ^= 1 << random(8);
    return bytes.subarray(0, random(bytes.length));
  },
  function wipe(bytes, random) {
    const from = random(bytes.length);
    return bytes.fill(random(2) * 255, from, Math.min(bytes.length, from + 1 + random(200)));
  },
  function leaveOut(bytes, random) {
    const from = HEADER_BYTES + 1 + random(bytes.length - HEADER_BYTES - 50);
    const by = 1 + random(RECORD_BYTES - 1);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + by)]);
  },
];

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

  it("gives nothing that was not written, whichever of its bits is flipped", async () => {
    const whole = readFileSync(await written());
    const wrong: number[] = [];
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const changed = Buffer.from(whole);
      changed[bit >> 3] ^= 1 << (bit & 7);
      const soundRecords = bit >> 3 < HEADER_BYTES ? undefined : Math.floor(((bit >> 3) - HEADER_BYTES) / 48);
      if ((await decoded(changed)) !== expectedOf(soundRecords)) wrong.push(bit);
    }
    expect(whole.length * 8).toBeGreaterThan(10_000);
    expect(wrong).toEqual([]);
  });

  it("gives nothing that was not written, whatever is flipped, wiped, cut off or left out of it", async () => {
    const whole = readFileSync(await written());
    const possible = new Set([undefined, ...records.keys(), records.length].map(expectedOf));
    const random = randomFrom(bytesOf(77, 400_000));
    const wrong: string[] = [];
    for (let i = 0; i < 10_000; i++) {
      const change = CHANGES[i % CHANGES.length];
      if (!possible.has(await decoded(change(Buffer.from(whole), random))))
        wrong.push(`${i}: ${change.name}`);
    }
    expect(wrong).toEqual([]);
  });

  it("is the same from a file: what is not sound is cut off, whatever comes behind", async () => {
    const whole = readFileSync(await written());
    const path = join(directory.path, "flipped");
    const expected = plain(records);
    for (let bit = 0; bit < whole.length * 8; bit += 397) {
      const changed = Buffer.from(whole);
      changed[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(path, changed);
      const { journal, found } = await read(path);
      await journal?.close();
      const isInHead = bit >> 3 < HEADER_BYTES;
      expect(journal === undefined).toBe(isInHead);
      expect(found).toEqual(isInHead ? [] : expected.slice(0, Math.floor(((bit >> 3) - HEADER_BYTES) / 48)));
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
