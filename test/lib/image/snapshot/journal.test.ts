import { appendFileSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  encodeJournalHead,
  encodeRecord,
  parseJournal,
  SnapshotJournal,
} from "../../../../lib/image/snapshot/journal";
import { scratch } from "../support/images";

const head = {
  snapshotId: "snap-0123456789abcdef0",
  startedAt: 1_700_000_000_000,
  choice: Buffer.alloc(32, 7),
};
const blocks = fc.array(fc.nat(2 ** 32 - 1), { maxLength: 30 });
const journalOf = (all: readonly number[]) => {
  const first = encodeJournalHead(head);
  return Buffer.concat([first, ...all.map((block) => encodeRecord(first, block))]);
};

describe("the journal of a snapshot on its way", () => {
  it("says what was written to it, whatever was torn off its end", () => {
    fc.assert(
      fc.property(blocks, fc.nat(7), (all, torn) => {
        const whole = journalOf(all);
        const read = parseJournal(whole.subarray(0, whole.length - (all.length > 0 ? torn : 0)));
        const kept = torn > 0 && all.length > 0 ? all.slice(0, -1) : all;
        expect(read).toMatchObject({ ...head, blocks: kept });
        expect(read?.end).toBe(journalOf(kept).length);
      }),
    );
  });

  it("never says of a block that it was taken when a byte of its record is another", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1_000), { minLength: 1, maxLength: 30 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (all, where, by) => {
          const bytes = journalOf(all);
          const first = encodeJournalHead(head).length;
          const at = where % bytes.length;
          bytes[at]! ^= by;
          const read = parseJournal(bytes);
          if (at < first) expect(read).toBeUndefined();
          else expect(read?.blocks).toEqual(all.slice(0, Math.floor((at - first) / 8)));
        },
      ),
    );
  });

  it("is nothing when its bytes are any others", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        (bytes) => parseJournal(Buffer.from(bytes)) === undefined,
      ),
    );
  });

  it("is gone on with after its torn end, and notes many blocks at once", async () => {
    const { path, remove } = scratch();
    try {
      const file = join(path, "journal");
      const journal = await SnapshotJournal.create(file, head);
      await Promise.all([5, 3, 8, 1].map((block) => journal.append(block)));
      await journal.close();
      appendFileSync(file, Buffer.from([1, 2, 3]));
      const again = (await SnapshotJournal.resume(file))!;
      await again.append(9);
      await again.close();
      expect((await SnapshotJournal.read(file))?.blocks).toEqual([5, 3, 8, 1, 9]);
      truncateSync(file, readFileSync(file).length - 1);
      expect((await SnapshotJournal.read(file))?.blocks).toEqual([5, 3, 8, 1]);
      truncateSync(file, 20);
      expect(await SnapshotJournal.read(file)).toBeUndefined();
      expect(await SnapshotJournal.resume(file)).toBeUndefined();
      expect(await SnapshotJournal.read(join(path, "none"))).toBeUndefined();
    } finally {
      remove();
    }
  });
});
