import { promises, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { EvictedImage, ImageStore, ImageStoreOptions } from "../../../../lib/image/far";
import type { ProblemReport } from "../../../../lib/errors";
import { BLOCK_BYTES } from "../../../../lib/image/wire";
import { fetchedIndex } from "../support/fetched-index";
import { bytesOf } from "../support/images";
import { bring, digestOfImage, holds, partsOf, sealed, segmentsOf, transferId } from "./support/segments";
import { hexOf, testStores } from "./support/stores";

const stores = testStores();

const MINUTE = 60_000;
const image = (number: number) => bytesOf(number, 50_000);
const digestOf = (number: number) => digestOfImage(image(number));

/** A store that retains so many, and what it was heard of. */
async function storeOf(images: number, options: Partial<ImageStoreOptions> = {}) {
  const path = stores.newPath();
  const evicted: EvictedImage[] = [];
  const problems: ProblemReport[] = [];
  const all = {
    retention: { images, onEvicted: (one: EvictedImage) => void evicted.push(one) },
    onProblem: (problem: ProblemReport) => void problems.push(problem),
    ...options,
  };
  const store = await stores.open(path, all);
  return { path, store, evicted, problems, reopen: () => stores.open(path, all) };
}

/** Brings images that are older the earlier they come. */
async function bringAged(store: ImageStore, path: string, numbers: readonly number[]): Promise<void> {
  for (const [i, number] of numbers.entries()) {
    await bring(store, transferId(number), image(number));
    age(path, digestOf(number), (numbers.length - i) * 60 * MINUTE);
  }
}

function age(path: string, digest: string, ms: number): void {
  const at = new Date(Date.now() - ms);
  for (const name of ["img", "manifest"]) utimesSync(join(path, `${hexOf(digest)}.${name}`), at, at);
}

async function heldBy(store: ImageStore): Promise<string[]> {
  return (await store.list()).filter(({ complete }) => complete).map(({ digest }) => digest);
}

const of = (...numbers: number[]) => numbers.map(digestOf).sort();

/** Until nothing is evicted any more. */
async function settled(store: ImageStore): Promise<string[]> {
  for (let before = -1, now; ; before = now) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    now = (await heldBy(store)).length;
    if (now === before) return (await heldBy(store)).sort();
  }
}

/** A disk of so many bytes for all that is below the path. */
function diskOf(path: string, bytes: number): void {
  const statfs = promises.statfs as (path: string) => Promise<object>;
  jest.spyOn(promises, "statfs").mockImplementation((async (asked: string) => {
    const used = readdirSync(path).reduce(
      (sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.blocks ?? 0) * 512,
      0,
    );
    return { ...(await statfs(asked)), bsize: 1, bavail: bytes - used };
  }) as never);
}

describe("superseded images", () => {
  it("stay until more than so many are there that nothing uses; then the oldest go, with all their files", async () => {
    const { store, path, evicted } = await storeOf(3);
    await bringAged(store, path, [1, 2, 3]);
    expect(await settled(store)).toEqual(of(1, 2, 3));
    await bring(store, transferId(4), image(4));
    expect(await settled(store)).toEqual(of(2, 3, 4));
    await bring(store, transferId(5), image(5));
    expect(await settled(store)).toEqual(of(3, 4, 5));
    expect(evicted).toEqual(
      [1, 2].map((number) => ({
        digest: digestOf(number),
        sizeBytes: 50_000,
        why: "more than 3 images that nothing uses",
      })),
    );
    await fetchedIndex(store, digestOf(5));
    const names = readdirSync(path).filter((name) => [1, 2].some((n) => name.includes(hexOf(digestOf(n)))));
    expect(names).toEqual([]);
    expect(holds(store, digestOf(3), image(3))).toBe(true);
  });

  it("may be pushed again, and are then held again", async () => {
    const { store, path } = await storeOf(2);
    await bringAged(store, path, [1, 2, 3]);
    expect(await settled(store)).toEqual(of(2, 3));
    await bring(store, transferId(1), image(1));
    expect(await settled(store)).toEqual(of(1, 3));
  });

  it("stay for ever where nobody asked for them to be evicted", async () => {
    const store = await stores.open();
    for (const number of [1, 2, 3, 4, 5, 6, 7, 8]) await bring(store, transferId(number), image(number));
    expect(await settled(store)).toHaveLength(8);
  });

  it("stay while a pool uses them, and do not count", async () => {
    const used = new Set([digestOf(1), digestOf(3)]);
    const usedBy = (digest: string) => (used.has(digest) ? ["shop"] : []);
    const { store, path } = await storeOf(2, { usedBy });
    await bringAged(store, path, [1, 2, 3, 4]);
    expect(await settled(store)).toEqual(of(1, 2, 3, 4));
    await bring(store, transferId(5), image(5));
    expect(await settled(store)).toEqual(of(1, 3, 4, 5));
  });

  it("count as wanted until the pool is gone that used them", async () => {
    const used = new Set([digestOf(1)]);
    const usedBy = (digest: string) => (used.has(digest) ? ["shop"] : []);
    const { store, path } = await storeOf(3, { usedBy });
    await bringAged(store, path, [1, 2, 3, 4]);
    expect(await settled(store)).toEqual(of(1, 2, 3, 4));
    used.clear();
    await bring(store, transferId(5), image(5));
    expect(await settled(store)).toEqual(of(1, 4, 5));
  });

  it.each([
    ["a plan that reads it", (store: ImageStore) => store.status(digestOf(1))],
    [
      "a push that finds it there",
      (store: ImageStore) => store.openTransfer(transferId(1), { sizeBytes: 50_000, digest: digestOf(1) }),
    ],
  ])("stay when they are asked for by their digest, as %s does, even across a restart", async (_who, ask) => {
    const { store, path, reopen } = await storeOf(3);
    await bringAged(store, path, [1, 2, 3]);
    await ask(store);
    await store.close();
    const again = await reopen();
    await again.list();
    await bring(again, transferId(4), image(4));
    expect(await settled(again)).toEqual(of(1, 3, 4));
  });

  it("are not wanted because all images were listed, or somebody looked what a push would take", async () => {
    const { store, path } = await storeOf(3);
    await bringAged(store, path, [1, 2, 3]);
    await store.list();
    await store.openTransfer(transferId(1), { sizeBytes: 50_000, digest: digestOf(1), peek: true });
    await bring(store, transferId(4), image(4));
    expect(await settled(store)).toEqual(of(2, 3, 4));
  });

  it("never are the two newest, whatever else is asked for", async () => {
    const { store, path } = await storeOf(2);
    await bringAged(store, path, [1, 2]);
    await store.status(digestOf(1));
    await bring(store, transferId(3), image(3));
    expect(await settled(store)).toEqual(of(2, 3));
  });

  it("stay while a running transfer may copy from them, and go when it is complete", async () => {
    const { store, path } = await storeOf(2);
    await bringAged(store, path, [1, 2]);
    const id = transferId(4);
    await store.openTransfer(id, { sizeBytes: 50_000 });
    await bring(store, transferId(3), image(3));
    expect(await settled(store)).toEqual(of(1, 2, 3));
    await bring(store, id, image(4));
    expect(await settled(store)).toEqual(of(3, 4));
  });

  it("go though a transfer was told of them, if nothing was heard of it for ten minutes", async () => {
    const { store, path } = await storeOf(2);
    await bringAged(store, path, [1, 2]);
    await store.openTransfer(transferId(4), { sizeBytes: 50_000 });
    const now = Date.now();
    jest.spyOn(Date, "now").mockImplementation(() => now + 11 * MINUTE);
    await bring(store, transferId(3), image(3));
    expect(await settled(store)).toEqual(of(2, 3));
  });

  it("are told of when their files cannot be removed", async () => {
    const { store, path, evicted, problems } = await storeOf(2);
    await bringAged(store, path, [1, 2]);
    const rm = promises.rm.bind(promises);
    jest.spyOn(promises, "rm").mockImplementation(async (name, options) => {
      if (String(name).includes(`${hexOf(digestOf(1))}.img`)) throw new Error("EIO: the disk said no");
      await rm(name, options);
    });
    await bring(store, transferId(3), image(3));
    await settled(store);
    expect(evicted).toEqual([]);
    expect(problems).toEqual([
      {
        place: `image ${digestOf(1)}`,
        problem:
          "the image was to be evicted (more than 2 images that nothing uses), and its files could not be removed: EIO: the disk said no",
        mend: expect.stringContaining("Remove what is left"),
      },
    ]);
  });
});

describe("a disk that is too full for what arrives", () => {
  const large = (number: number) => bytesOf(number, 2 * BLOCK_BYTES);
  const largeDigest = (number: number) => digestOfImage(large(number));
  const ofLarge = (...numbers: number[]) => numbers.map(largeDigest).sort();
  const MIB = 2 ** 20;

  async function holding(numbers: readonly number[], options: Partial<ImageStoreOptions> = {}) {
    const all = await storeOf(5, options);
    for (const [i, number] of numbers.entries()) {
      await bring(all.store, transferId(number), large(number));
      await fetchedIndex(all.store, largeDigest(number));
      age(all.path, largeDigest(number), (numbers.length - i) * 60 * MINUTE);
    }
    return all;
  }

  it("parts with as few images as it takes, the least wanted first, and the transfer goes on", async () => {
    const { store, path, evicted } = await holding([1, 2, 3, 4]);
    diskOf(path, 10.5 * MIB);
    await bring(store, transferId(5), large(5));
    expect(await settled(store)).toEqual(ofLarge(2, 3, 4, 5));
    expect(evicted).toEqual([{ digest: largeDigest(1), sizeBytes: 2 * MIB, why: "the disk is full" }]);
    await bring(store, transferId(6), large(6));
    expect(await settled(store)).toEqual(ofLarge(3, 4, 5, 6));
  });

  it("is full when only the two newest and used images are left, and none of them goes", async () => {
    const { store, path, evicted } = await holding([1, 2, 3], {
      usedBy: (digest) => (digest === largeDigest(1) ? ["shop"] : []),
    });
    diskOf(path, 7.2 * MIB);
    await expect(bring(store, transferId(5), large(5))).rejects.toMatchObject({ code: "disk-full" });
    expect(await settled(store)).toEqual(ofLarge(1, 2, 3));
    expect(evicted).toEqual([]);
  });

  it("parts with none when all that may go would not be enough", async () => {
    const { store, path, evicted } = await storeOf(5);
    await bringAged(store, path, [1]);
    for (const number of [2, 3]) await bring(store, transferId(number), large(number));
    diskOf(path, 5.7 * MIB);
    await expect(bring(store, transferId(5), large(5))).rejects.toMatchObject({ code: "disk-full" });
    expect(evicted).toEqual([]);
  });

  it("keeps what a running transfer has copied from, though it is wanted least", async () => {
    const { store, path, evicted } = await holding([1, 2, 3, 4]);
    const bytes = Buffer.concat([large(1).subarray(0, BLOCK_BYTES), bytesOf(9, 2 * BLOCK_BYTES)]);
    const id = transferId(5);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const copying = await sealed(partsOf(bytes, 0, 1, { digest: largeDigest(1), bytes: large(1) }));
    await store.putSegment(id, copying.id, copying.bytes);
    diskOf(path, 11.1 * MIB);
    for (const segment of await segmentsOf(bytes, 1)) await store.putSegment(id, segment.id, segment.bytes);
    await store.completeTransfer(id, digestOfImage(bytes));
    expect(evicted.map(({ digest }) => digest)).toEqual([largeDigest(2)]);
    expect(holds(store, digestOfImage(bytes), bytes)).toBe(true);
  });

  it("parts with none in a directory that was not told to", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    for (const number of [1, 2, 3]) await bring(store, transferId(number), large(number));
    diskOf(path, 7 * MIB);
    await expect(bring(store, transferId(5), large(5))).rejects.toMatchObject({ code: "disk-full" });
    expect(await settled(store)).toEqual(ofLarge(1, 2, 3));
  });

  it("makes nothing stand still when images are deleted, completed and evicted all at once", async () => {
    const { store, path } = await holding([1, 2, 3, 4]);
    const second = transferId(7);
    diskOf(path, 9.5 * MIB);
    const everything: Promise<unknown>[] = [];
    for (const number of [1, 2, 3, 4, 5, 6]) {
      const bytes = large(number);
      everything.push(
        bring(store, transferId(number + 20), bytes),
        bring(store, second, bytes),
        store.delete(largeDigest(number)),
        store.completeTransfer(second, largeDigest(number)),
        store.status(largeDigest(number)),
        store.verify(largeDigest(number)),
      );
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(() => resolve("stood still"), 20_000)));
    expect(await Promise.race([Promise.allSettled(everything).then(() => "done"), late])).toBe("done");
    clearTimeout(timer);
    jest.restoreAllMocks();
    await store.close();
    const again = await stores.open(path);
    for (const digest of await heldBy(again)) await again.verify(digest);
  }, 30_000);
});
