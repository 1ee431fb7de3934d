import { existsSync, promises, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProblemReport } from "../../../../lib/errors";
import { openImageStore } from "../../../../lib/image/far";
import { fetchedIndex } from "../support/fetched-index";
import { bring, digestOfImage, segmentsOf, transferId } from "./support/segments";
import { hexOf, imageOf, testStores } from "./support/stores";

const stores = testStores();

const HOUR = 60 * 60_000;

async function reopened(path: string) {
  const problems: ProblemReport[] = [];
  const store = await stores.open(path, { onProblem: (problem) => problems.push(problem) });
  return { store, problems };
}

/** A store that was closed with one image complete and two arriving. */
async function left() {
  const path = stores.newPath();
  const store = await stores.open(path);
  const digest = await bring(store, transferId(1), imageOf(1));
  for (const number of [2, 3]) {
    const bytes = imageOf(number * 10);
    await store.openTransfer(transferId(number), { sizeBytes: bytes.length });
    const [segment] = await segmentsOf(bytes);
    await store.putSegment(transferId(number), segment.id, segment.bytes);
  }
  await fetchedIndex(store, digest);
  await store.close();
  return { path, digest, journalOf: (number: number) => join(path, `${transferId(number)}.journal`) };
}

/** The disk says no to that work on files of such names. */
function failing(work: "open" | "readFile" | "rm", name: string): void {
  const real = promises[work] as (...args: unknown[]) => Promise<unknown>;
  jest
    .spyOn(promises, work)
    .mockImplementation(((...args: unknown[]) =>
      String(args[0]).includes(name)
        ? Promise.reject(Object.assign(new Error("EIO: the disk said no"), { code: "EIO" }))
        : real.apply(promises, args)) as never);
}

describe("what a store finds when it is opened, and cannot work with", () => {
  it("is nothing when all is well", async () => {
    const { path } = await left();
    expect((await reopened(path)).problems).toEqual([]);
  });

  it("is told: an image that cannot be read, and is left as it is", async () => {
    const { path, digest } = await left();
    failing("readFile", `${hexOf(digest)}.manifest`);
    const { store, problems } = await reopened(path);
    expect(problems).toEqual([
      {
        place: `image ${digest}`,
        problem: "the image's file is here, but cannot be taken up: EIO: the disk said no",
        mend: expect.stringMatching(/mend the disk.*start the agent again/),
      },
    ]);
    expect(await store.status(digest)).toBeUndefined();
    await store.close();
    jest.restoreAllMocks();
    expect(await (await reopened(path)).store.status(digest)).toMatchObject({ complete: true });
  });

  it("is told: a file that is another image than its name says", async () => {
    const { path } = await left();
    const lie = `sha256:${"ab".repeat(32)}`;
    writeFileSync(join(path, `${hexOf(lie)}.img`), imageOf(5));
    const { problems } = await reopened(path);
    expect(problems).toEqual([
      {
        place: `image ${lie}`,
        problem: expect.stringContaining("not the image that it is named after"),
        mend: expect.stringContaining("`.damaged`"),
      },
    ]);
  });

  it("is told: a transfer whose journal is damaged, and begins anew, while the others go on", async () => {
    const { path, journalOf } = await left();
    const journal = readFileSync(journalOf(2));
    journal[9] ^= 1;
    writeFileSync(journalOf(2), journal);
    const { store, problems } = await reopened(path);
    expect(problems).toEqual([
      {
        place: `transfer ${transferId(2)}`,
        problem: expect.stringContaining("its journal is damaged"),
        mend: expect.stringContaining("Push the image again"),
      },
    ]);
    const sizeBytes = imageOf(1).length;
    expect((await store.openTransfer(transferId(2), { sizeBytes })).arrived).toBe("");
    expect((await store.openTransfer(transferId(3), { sizeBytes })).arrived).not.toBe("");
  });

  it("is told: a transfer that cannot be read now, and goes on when it can be", async () => {
    const { path, journalOf } = await left();
    failing("open", `${transferId(2)}.journal`);
    const { store, problems } = await reopened(path);
    expect(problems).toEqual([
      {
        place: `transfer ${transferId(2)}`,
        problem: "what had arrived of it cannot be taken up: EIO: the disk said no",
        mend: expect.stringContaining("left as it is"),
      },
    ]);
    const sizeBytes = imageOf(1).length;
    expect((await store.openTransfer(transferId(3), { sizeBytes })).arrived).not.toBe("");
    await store.close();
    jest.restoreAllMocks();
    expect(existsSync(journalOf(2))).toBe(true);
    const again = await reopened(path);
    expect(again.problems).toEqual([]);
    expect((await again.store.openTransfer(transferId(2), { sizeBytes })).arrived).not.toBe("");
  });

  it("is told: what is left of a transfer whose image is complete, and cannot be removed", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    const bytes = imageOf(1);
    const digest = digestOfImage(bytes);
    await store.openTransfer(transferId(2), { sizeBytes: bytes.length, digest });
    const names = ["journal", "partial", "meta"].map((kind) => join(path, `${transferId(2)}.${kind}`));
    const kept = names.map((name) => readFileSync(name));
    await bring(store, transferId(1), bytes);
    await fetchedIndex(store, digest);
    await store.close();
    names.forEach((name, i) => writeFileSync(name, kept[i]));
    failing("rm", `${transferId(2)}.partial`);
    const { store: again, problems } = await reopened(path);
    expect(problems).toEqual([
      {
        place: `image ${digest}`,
        problem: "what is left of the transfers that brought it cannot be removed: EIO: the disk said no",
        mend: expect.stringContaining("takes room"),
      },
    ]);
    expect(await again.status(digest)).toMatchObject({ complete: true });
  });
});

describe("what a store sweeps away while it is open", () => {
  it("is told when it cannot be removed", async () => {
    jest.useFakeTimers({
      doNotFake: ["nextTick", "setImmediate", "setTimeout", "queueMicrotask", "performance"],
    });
    try {
      const problems: ProblemReport[] = [];
      const directory = stores.newPath();
      const store = await openImageStore({ directory, onProblem: (problem) => problems.push(problem) });
      await store.openTransfer(transferId(1), { sizeBytes: 5_000_000 });
      failing("rm", `${transferId(1)}.partial`);
      jest.setSystemTime(Date.now() + 7 * 24 * HOUR + 60_000);
      jest.advanceTimersByTime(HOUR);
      await store.close();
      expect(problems).toEqual([
        {
          place: `transfer ${transferId(1)}`,
          problem: "nobody went on with it for a week, and it cannot be removed: EIO: the disk said no",
          mend: expect.stringContaining("takes room"),
        },
      ]);
    } finally {
      jest.useRealTimers();
    }
  });
});
