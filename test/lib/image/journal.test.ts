import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Journal } from "../../../lib/image/journal";
import { scratch } from "./support/images";

const checksum = Buffer.alloc(32, 7);
const directory = scratch();
const file = join(directory.path, "journal");
afterAll(directory.remove);

async function threeRecords(): Promise<Buffer> {
  const journal = await Journal.create(file, checksum);
  await Promise.all([
    journal.append("have", [[0, 5]]),
    journal.append("send", [
      [2, 1],
      [4, 1],
    ]),
    journal.append("have", [[9, 100]]),
  ]);
  await journal.close();
  return readFileSync(file);
}

const records = [
  { kind: "have", runs: [[0, 5]] },
  {
    kind: "send",
    runs: [
      [2, 1],
      [4, 1],
    ],
  },
  { kind: "have", runs: [[9, 100]] },
];

describe("the journal of an arriving image", () => {
  it("gives back what was appended, in order", async () => {
    await threeRecords();
    const resumed = await Journal.resume(file, checksum);
    await resumed?.journal.close();
    expect(resumed?.records).toEqual(records);
  });

  it("cut at any byte gives back the records before the cut, and is gone on with there", async () => {
    const whole = await threeRecords();
    for (let cut = 40; cut < whole.length; cut++) {
      writeFileSync(file, whole.subarray(0, cut));
      const resumed = await Journal.resume(file, checksum);
      const before = resumed?.records ?? [];
      expect(before).toEqual(records.slice(0, before.length));
      await resumed?.journal.append("have", [[77, 7]]);
      await resumed?.journal.close();
      const again = await Journal.resume(file, checksum);
      await again?.journal.close();
      expect(again?.records).toEqual([...before, { kind: "have", runs: [[77, 7]] }]);
    }
  });

  it("with any byte changed gives back the records before the change only", async () => {
    const whole = await threeRecords();
    for (let at = 40; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] ^= 0x41;
      writeFileSync(file, changed);
      const resumed = await Journal.resume(file, checksum);
      await resumed?.journal.close();
      expect(resumed?.records.length).toBeLessThan(3);
      expect(resumed?.records).toEqual(records.slice(0, resumed?.records.length));
    }
  });

  it("of another index is not gone on with", async () => {
    await threeRecords();
    expect(await Journal.resume(file, Buffer.alloc(32, 8))).toBeUndefined();
  });

  it("that is missing is not gone on with, and a file that is no journal is refused", async () => {
    expect(await Journal.resume(join(directory.path, "none"), checksum)).toBeUndefined();
    writeFileSync(file, "this is a letter, and quite a long one at that");
    await expect(Journal.resume(file, checksum)).rejects.toThrow("is not a journal of version 1");
  });
});
