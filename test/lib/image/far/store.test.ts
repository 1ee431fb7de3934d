import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { BLOCK_BYTES, IndexReader, LEAF_OF_ZEROS } from "../../../../lib/image/wire";
import { chunkBlock } from "../../../../lib/image/chunking/kernel";
import { fetchedIndex } from "../support/fetched-index";
import { bytesOf } from "../support/images";
import {
  arrivedBlocks,
  bring,
  digestOfImage,
  holds,
  leavesOf,
  partsOf,
  sealed,
  segmentsOf,
  transferId,
} from "./support/segments";
import { hexOf, imageOf, testStores } from "./support/stores";

const stores = testStores();

describe("the image store", () => {
  it("takes an image in any order, twice and at once, and holds it verified and read-only", async () => {
    const store = await stores.open();
    const bytes = imageOf(1);
    const digest = digestOfImage(bytes);
    const [id] = [transferId(1)];
    expect(await store.openTransfer(id, { sizeBytes: bytes.length })).toEqual({ images: [], arrived: "" });
    const segments = (await segmentsOf(bytes)).reverse();
    await Promise.all([...segments, ...segments].map((one) => store.putSegment(id, one.id, one.bytes)));
    const [one, other] = await Promise.all([
      store.completeTransfer(id, digest),
      store.completeTransfer(id, digest),
    ]);
    expect(one).toEqual(other);
    expect(one).toMatchObject({ complete: true, sizeBytes: bytes.length, presentBytes: bytes.length });
    expect(holds(store, digest, bytes)).toBe(true);
    expect(statSync(store.path(digest)).mode & 0o777).toBe(0o444);
    expect(await store.putSegment(id, segments[0].id, segments[0].bytes)).toEqual({
      presentBytes: bytes.length,
    });
    expect((await store.openTransfer(id, { sizeBytes: bytes.length, digest })).complete).toEqual(one);
  });

  it("leaves holes where the image has zeros", async () => {
    const store = await stores.open();
    const bytes = Buffer.concat([
      bytesOf(1, BLOCK_BYTES),
      Buffer.alloc(20 * BLOCK_BYTES),
      bytesOf(2, 100),
      Buffer.alloc(BLOCK_BYTES),
    ]);
    const digest = await bring(store, transferId(1), bytes);
    expect(holds(store, digest, bytes)).toBe(true);
    expect(statSync(store.path(digest)).blocks * 512).toBeLessThan(2 * BLOCK_BYTES);
  });

  it("copies from a held image what a second version shares with it", async () => {
    const store = await stores.open();
    const first = imageOf(10);
    const digest = await bring(store, transferId(1), first);
    const second = Buffer.from(first);
    bytesOf(99, 5_000).copy(second, 2_500_000);
    const parts = partsOf(second, 0, 6, { digest, bytes: first });
    expect(parts.literals.length).toBeLessThan(4);
    const id = transferId(2);
    expect((await store.openTransfer(id, { sizeBytes: second.length })).images).toEqual([digest]);
    const segment = await sealed(parts);
    expect(segment.bytes.length).toBeLessThan(10_000);
    await store.putSegment(id, segment.id, segment.bytes);
    await store.completeTransfer(id, digestOfImage(second));
    expect(holds(store, digestOfImage(second), second)).toBe(true);
  });

  it("puts thousands of scattered copies together, in whatever order they come from", async () => {
    const store = await stores.open();
    const base = bytesOf(1, 4 * BLOCK_BYTES);
    const digest = await bring(store, transferId(1), base);
    const offsets = Array.from({ length: 4096 }, (_, i) => ((i * 7919) % 16_000) * 256 + (i % 3));
    const bytes = Buffer.concat(offsets.map((at) => base.subarray(at, at + 256)));
    const ops = offsets.map((offset) => ({ kind: "copy" as const, base: 0, offset, length: 256 }));
    const segment = await sealed({
      firstBlock: 0,
      blockCount: 1,
      bases: [digest],
      ops,
      literals: [],
      leaves: leavesOf(bytes),
    });
    await store.openTransfer(transferId(2), { sizeBytes: bytes.length });
    await store.putSegment(transferId(2), segment.id, segment.bytes);
    await store.completeTransfer(transferId(2), digestOfImage(bytes));
    expect(holds(store, digestOfImage(bytes), bytes)).toBe(true);
  });

  it("copies within the arriving image, from blocks that have arrived only", async () => {
    const store = await stores.open();
    const block = bytesOf(5, BLOCK_BYTES);
    const bytes = Buffer.concat([block, block]);
    const id = transferId(1);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const [first] = await segmentsOf(bytes, 1);
    const ops = [{ kind: "self" as const, offset: 0, length: BLOCK_BYTES }];
    const second = await sealed({
      firstBlock: 1,
      blockCount: 1,
      bases: [],
      ops,
      literals: [],
      leaves: leavesOf(block),
    });
    await expect(store.putSegment(id, second.id, second.bytes)).rejects.toMatchObject({
      code: "image-incomplete",
      status: 409,
      message: expect.stringContaining("block 1 copies from block 0, which has not arrived"),
    });
    await store.putSegment(id, first.id, first.bytes);
    await store.putSegment(id, second.id, second.bytes);
    await store.completeTransfer(id, digestOfImage(bytes));
    expect(holds(store, digestOfImage(bytes), bytes)).toBe(true);
  });

  it("finds a block damaged on its disk that is copied from within the image, and asks for it again", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    const block = bytesOf(5, BLOCK_BYTES);
    const bytes = Buffer.concat([block, block]);
    const id = transferId(1);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const [first] = await segmentsOf(bytes, 1);
    await store.putSegment(id, first.id, first.bytes);
    const wrong = Buffer.from(block);
    wrong[70_000] ^= 1;
    writeFileSync(join(path, `${id}.partial`), wrong);
    const ops = [{ kind: "self" as const, offset: 0, length: BLOCK_BYTES }];
    const leaves = leavesOf(block);
    const second = await sealed({ firstBlock: 1, blockCount: 1, bases: [], ops, literals: [], leaves });
    await expect(store.putSegment(id, second.id, second.bytes)).rejects.toMatchObject({
      code: "image-corrupt",
      withoutCopies: true,
      message: expect.stringContaining("block 0, which is damaged"),
    });
    expect((await store.openTransfer(id, { sizeBytes: bytes.length })).arrived).toBe("");
  });

  it("tells for each block the beginning of its leaf when it has arrived, zeros have one too", async () => {
    const store = await stores.open();
    const bytes = imageOf(20);
    const id = transferId(1);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const segment = await sealed(partsOf(bytes, 1, 2));
    const { presentBytes } = await store.putSegment(id, segment.id, segment.bytes);
    expect(presentBytes).toBe(2 * BLOCK_BYTES);
    const { arrived } = await store.openTransfer(id, { sizeBytes: bytes.length });
    const leaf = leavesOf(bytes)[1].subarray(0, 8);
    const expected = [Buffer.alloc(8), leaf, LEAF_OF_ZEROS.subarray(0, 8)];
    expect(arrived).toBe(Buffer.concat(expected).toString("base64"));
  });

  it("goes on after it was closed in the middle, with what had come", async () => {
    const path = stores.newPath();
    const bytes = imageOf(30);
    const digest = digestOfImage(bytes);
    const id = transferId(1);
    let store = await stores.open(path);
    await store.openTransfer(id, { sizeBytes: bytes.length, digest });
    const segments = await segmentsOf(bytes);
    for (const one of segments.slice(0, 2)) await store.putSegment(id, one.id, one.bytes);
    await store.close();
    store = await stores.open(path);
    expect(await store.status(digest)).toMatchObject({ complete: false, presentBytes: 4 * BLOCK_BYTES });
    expect(await store.list()).toHaveLength(1);
    const { arrived } = await store.openTransfer(id, { sizeBytes: bytes.length });
    expect(arrivedBlocks(arrived)).toEqual([0, 1, 2, 3]);
    await store.putSegment(id, segments[2].id, segments[2].bytes);
    await store.completeTransfer(id, digest);
    expect(holds(store, digest, bytes)).toBe(true);
    expect(readdirSync(path).filter((name) => /partial|journal|meta|new/.test(name))).toEqual([]);
  });

  it("takes the newer version of a block whose source was changed, zeros too, and nothing of the older stays", async () => {
    for (const between of [false, true]) {
      const path = stores.newPath();
      let store = await stores.open(path);
      const before = bytesOf(40, 3 * BLOCK_BYTES);
      const after = Buffer.concat([
        Buffer.alloc(BLOCK_BYTES),
        bytesOf(41, BLOCK_BYTES),
        before.subarray(2 * BLOCK_BYTES),
      ]);
      after.fill(0, BLOCK_BYTES + 100_000, BLOCK_BYTES + 900_000);
      const id = transferId(1);
      await store.openTransfer(id, { sizeBytes: before.length });
      for (const one of await segmentsOf(before, 3)) await store.putSegment(id, one.id, one.bytes);
      if (between) {
        await store.close();
        store = await stores.open(path);
      }
      for (const one of await segmentsOf(after, 1)) await store.putSegment(id, one.id, one.bytes);
      await store.completeTransfer(id, digestOfImage(after));
      expect(holds(store, digestOfImage(after), after)).toBe(true);
    }
  });

  it("begins anew when the image under an id has another size", async () => {
    const store = await stores.open();
    const id = transferId(1);
    const bytes = imageOf(50);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const [segment] = await segmentsOf(bytes);
    await store.putSegment(id, segment.id, segment.bytes);
    expect((await store.openTransfer(id, { sizeBytes: bytes.length + 1 })).arrived).toBe("");
  });

  it("drops a transfer that nobody went on with for a week, when it is opened", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    for (const id of [transferId(1), transferId(2)]) await store.openTransfer(id, { sizeBytes: 5_000_000 });
    await store.close();
    const weekAgo = new Date(Date.now() - 7.1 * 24 * 60 * 60_000);
    utimesSync(join(path, `${transferId(1)}.journal`), weekAgo, weekAgo);
    await stores.open(path);
    const left = readdirSync(path).map((name) => name.slice(0, 64));
    expect(new Set(left)).toEqual(new Set([transferId(2)]));
  });

  it("drops within an hour, while it is open, what nobody went on with for a week", async () => {
    const path = stores.newPath();
    jest.useFakeTimers({
      doNotFake: ["nextTick", "setImmediate", "setTimeout", "queueMicrotask", "performance"],
    });
    try {
      const store = await stores.open(path);
      const [left, used, begun] = [transferId(1), transferId(2), transferId(3)];
      for (const id of [left, used]) await store.openTransfer(id, { sizeBytes: 5_000_000 });
      const WEEK = 7 * 24 * 60 * 60_000;
      jest.setSystemTime(Date.now() + WEEK + 60_000);
      await store.openTransfer(used, { sizeBytes: 5_000_000 });
      await store.openTransfer(begun, { sizeBytes: 5_000_000 });
      expect(existsSync(join(path, `${left}.partial`))).toBe(true);
      jest.advanceTimersByTime(60 * 60_000);
      await store.close();
      const names = readdirSync(path).map((name) => name.slice(0, 64));
      expect(new Set(names)).toEqual(new Set([used, begun]));
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it("lets two transfers of one image run at once: who completes it first wins, and the other is told so", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    const bytes = imageOf(60);
    const digest = digestOfImage(bytes);
    const [one, other] = [transferId(1), transferId(2)];
    const segments = await segmentsOf(bytes);
    for (const id of [one, other]) await store.openTransfer(id, { sizeBytes: bytes.length, digest });
    await store.putSegment(other, segments[0].id, segments[0].bytes);
    for (const segment of segments) await store.putSegment(one, segment.id, segment.bytes);
    await store.completeTransfer(one, digest);
    expect(await store.putSegment(other, segments[1].id, segments[1].bytes)).toEqual({
      presentBytes: bytes.length,
    });
    expect(await store.completeTransfer(other, digest)).toMatchObject({ complete: true });
    expect(readdirSync(path).filter((name) => name.startsWith("aaaa"))).toEqual([]);
  });

  it("lets two pushes of one transfer get along, whoever sends what", async () => {
    const store = await stores.open();
    const bytes = imageOf(70);
    const digest = digestOfImage(bytes);
    const id = transferId(1);
    const push = async (blocksEach: number) => {
      await store.openTransfer(id, { sizeBytes: bytes.length, digest });
      const segments = await segmentsOf(bytes, blocksEach);
      await Promise.all(segments.map((one) => store.putSegment(id, one.id, one.bytes)));
      return store.completeTransfer(id, digest);
    };
    const done = await Promise.all([push(1), push(2), push(6)]);
    expect(new Set(done.map((status) => status.completedAt)).size).toBe(1);
    expect(holds(store, digest, bytes)).toBe(true);
  });

  it("says how much is missing, and where first", async () => {
    const store = await stores.open();
    const bytes = imageOf(80);
    const id = transferId(1);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    const [segment] = await segmentsOf(bytes);
    await store.putSegment(id, segment.id, segment.bytes);
    await expect(store.completeTransfer(id, digestOfImage(bytes))).rejects.toMatchObject({
      code: "image-incomplete",
      message: expect.stringContaining(`first at offset ${2 * BLOCK_BYTES}`),
    });
  });

  it("does not know a transfer that was not opened", async () => {
    const store = await stores.open();
    const [segment] = await segmentsOf(imageOf(90));
    await expect(store.putSegment(transferId(1), segment.id, segment.bytes)).rejects.toMatchObject({
      code: "not-found",
    });
    await expect(store.completeTransfer(transferId(1), digestOfImage(imageOf(90)))).rejects.toMatchObject({
      code: "not-found",
    });
  });

  it.each([
    ["an id", "abc", 5],
    ["an id", `../${"a".repeat(61)}`, 5],
    ["a size", transferId(1), 0],
    ["a size", transferId(1), 2 ** 60],
    ["a size", transferId(1), NaN],
  ])("refuses %s that is none: %s, %d", async (_what, id, sizeBytes) => {
    const store = await stores.open();
    await expect(store.openTransfer(id, { sizeBytes })).rejects.toMatchObject({
      code: "invalid",
      status: 400,
    });
  });
});

describe("an image that is held", () => {
  it("is left as it is by who only looks, though its file was cut", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    const bytes = imageOf(99);
    const digest = await bring(store, transferId(1), bytes);
    await fetchedIndex(store, digest);
    chmodSync(store.path(digest), 0o600);
    truncateSync(join(path, `${hexOf(digest)}.img`), BLOCK_BYTES);
    const names = readdirSync(path);
    const request = { sizeBytes: bytes.length, digest, peek: true };
    expect(await store.openTransfer(transferId(2), request)).toMatchObject({ images: [], arrived: "" });
    expect(readdirSync(path)).toEqual(names);
  });

  it("is offered to be copied from before older ones", async () => {
    const path = stores.newPath();
    let store = await stores.open(path);
    const digests: string[] = [];
    for (const seed of [1, 2, 3, 4]) {
      digests.push(await bring(store, transferId(seed), bytesOf(seed, 1_000)));
      const at = new Date(Date.now() - 3_600_000 + seed * 60_000);
      utimesSync(store.path(digests.at(-1)!), at, at);
    }
    const newestFirst = digests.reverse();
    expect((await store.openTransfer(transferId(9), { sizeBytes: 5 })).images).toEqual(newestFirst);
    await store.close();
    store = await stores.open(path);
    expect((await store.openTransfer(transferId(9), { sizeBytes: 5 })).images).toEqual(newestFirst);
  });

  it("is not deleted while a pool uses it, and gone with all its files afterwards", async () => {
    const users: string[] = ["shop"];
    const path = stores.newPath();
    const store = await stores.open(path, { usedBy: () => users });
    const digest = await bring(store, transferId(1), imageOf(100));
    await fetchedIndex(store, digest);
    await expect(store.delete(digest)).rejects.toMatchObject({ code: "image-in-use", status: 409 });
    users.pop();
    await store.delete(digest);
    await store.delete(digest);
    expect(readdirSync(path).filter((name) => name.startsWith(hexOf(digest)))).toEqual([]);
    expect(() => store.path(digest)).toThrow("does not hold the image");
    expect(await store.status(digest)).toBeUndefined();
  });

  it("may be deleted while another is copied from it: the next copies are told", async () => {
    const store = await stores.open();
    const bytes = imageOf(110);
    const digest = await bring(store, transferId(1), bytes);
    await store.openTransfer(transferId(2), { sizeBytes: bytes.length });
    const [segment] = await segmentsOf(bytes, 2, { digest, bytes });
    await store.delete(digest);
    await expect(store.putSegment(transferId(2), segment.id, segment.bytes)).rejects.toMatchObject({
      code: "image-missing",
      report: expect.objectContaining({ base: digest }),
    });
  });

  it("has an index, made after it was completed, that is kept and made again when it is damaged", async () => {
    const path = stores.newPath();
    let store = await stores.open(path);
    const bytes = imageOf(120);
    const digest = await bring(store, transferId(1), bytes);
    const file = join(path, `${hexOf(digest)}.index`);
    const index = await fetchedIndex(store, digest);
    const reader = await IndexReader.of(index!);
    expect(reader).toMatchObject({ digest, sizeBytes: bytes.length });
    for await (const block of reader.blocks()) {
      const chunks = chunkBlock(bytes.subarray(block.block * BLOCK_BYTES, (block.block + 1) * BLOCK_BYTES));
      expect(block.ends.subarray(0, block.count)).toEqual(Uint32Array.from(chunks.ends));
      expect(block.keys.subarray(0, block.count * 2)).toEqual(Uint32Array.from(chunks.keys));
    }
    expect(await store.indexPath(digest)).toBe(file);
    await store.close();
    const damaged = Buffer.from(index!);
    damaged[200] ^= 1;
    writeFileSync(file, damaged);
    store = await stores.open(path);
    expect(Buffer.compare((await fetchedIndex(store, digest))!, index!)).toBe(0);
    expect(await fetchedIndex(store, `sha256:${"00".repeat(32)}`)).toBeUndefined();
  });

  it("may be waited for by someone who gives up", async () => {
    const store = await stores.open();
    const digest = await bring(store, transferId(1), imageOf(125));
    const stopped = new AbortController();
    const waiting = fetchedIndex(store, digest, { signal: stopped.signal });
    stopped.abort();
    await expect(waiting).rejects.toThrow("stopped");
    expect(await fetchedIndex(store, digest)).toBeDefined();
  });

  it("may be copied into the directory by hand: it is verified, and put aside if it is another", async () => {
    const path = stores.newPath();
    mkdirSync(path);
    const bytes = imageOf(130);
    const digest = digestOfImage(bytes);
    const lie = `sha256:${"ab".repeat(32)}`;
    writeFileSync(join(path, `${hexOf(digest)}.img`), bytes);
    writeFileSync(join(path, `${hexOf(lie)}.img`), bytes);
    const store = await stores.open(path);
    expect(await store.status(digest)).toMatchObject({ complete: true, sizeBytes: bytes.length });
    expect(await store.status(lie)).toBeUndefined();
    expect(existsSync(join(path, `${hexOf(lie)}.damaged`))).toBe(true);
    expect(await store.list()).toHaveLength(1);
  });

  it("counts as arriving again when its file was cut, and the next push mends it with the missing blocks alone", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    const bytes = imageOf(140);
    const digest = await bring(store, transferId(1), bytes);
    chmodSync(store.path(digest), 0o600);
    truncateSync(join(path, `${hexOf(digest)}.img`), 3 * BLOCK_BYTES + 500);
    expect(() => store.path(digest)).toThrow("does not hold");
    const id = transferId(2);
    const { arrived, images, complete } = await store.openTransfer(id, { sizeBytes: bytes.length, digest });
    expect({ images, complete, blocks: arrivedBlocks(arrived) }).toEqual({
      images: [],
      complete: undefined,
      blocks: [0, 1, 2],
    });
    expect(await store.status(digest)).toMatchObject({ complete: false, presentBytes: 3 * BLOCK_BYTES });
    const rest = await sealed(partsOf(bytes, 3, 3));
    await store.putSegment(id, rest.id, rest.bytes);
    await store.completeTransfer(id, digest);
    expect(holds(store, digest, bytes)).toBe(true);
  });

  it("that is found damaged while it is copied from is named, offered no more, and mended by the next push", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    const bytes = imageOf(150);
    const digest = await bring(store, transferId(1), bytes);
    const file = join(path, `${hexOf(digest)}.img`);
    const wrong = Buffer.from(bytes);
    wrong[3 * BLOCK_BYTES + 5] ^= 1;
    chmodSync(file, 0o600);
    writeFileSync(file, wrong);
    const second = Buffer.concat([bytes, bytesOf(9, 10)]);
    const id = transferId(2);
    await store.openTransfer(id, { sizeBytes: second.length });
    const segment = await sealed(partsOf(second, 2, 2, { digest, bytes }));
    await expect(store.putSegment(id, segment.id, segment.bytes)).rejects.toMatchObject({
      code: "image-corrupt",
      withoutCopies: true,
      report: { block: 3, base: digest, withoutCopies: true, problem: expect.stringContaining("damaged") },
    });
    const state = await store.openTransfer(id, { sizeBytes: second.length });
    expect(state).toMatchObject({ images: [], arrived: "" });
    const mending = await store.openTransfer(transferId(3), { sizeBytes: bytes.length, digest });
    expect(arrivedBlocks(mending.arrived)).toEqual([0, 1, 2, 4, 5]);
    const part = await sealed(partsOf(bytes, 3, 1));
    await store.putSegment(transferId(3), part.id, part.bytes);
    await store.completeTransfer(transferId(3), digest);
    expect(holds(store, digest, bytes)).toBe(true);
  });

  it("may be read again by whoever doubts it: what is damaged is named, and mended by the next push", async () => {
    const store = await stores.open();
    const bytes = imageOf(155);
    const digest = await bring(store, transferId(1), bytes);
    expect(await store.verify(digest)).toMatchObject({ digest, complete: true });
    const path = store.path(digest);
    chmodSync(path, 0o600);
    const damaged = Buffer.from(bytes);
    damaged[2 * BLOCK_BYTES + 7] ^= 1;
    writeFileSync(path, damaged);
    await expect(store.verify(digest)).rejects.toMatchObject({
      code: "image-corrupt",
      report: {
        problem: `1 blocks are wrong on the disk of the image store, first at offset ${2 * BLOCK_BYTES}`,
      },
    });
    expect(await store.status(digest)).toMatchObject({ complete: false });
    await expect(store.verify(digest)).rejects.toMatchObject({ code: "image-incomplete" });
    await bring(store, transferId(2), bytes);
    expect(await store.verify(digest)).toMatchObject({ complete: true });
    await expect(store.verify(`sha256:${"0".repeat(64)}`)).rejects.toMatchObject({ code: "image-missing" });
  });

  it("that was changed while nobody looked, and is pushed again after a restart, is held still", async () => {
    const path = stores.newPath();
    let store = await stores.open(path);
    const bytes = imageOf(160);
    const digest = await bring(store, transferId(1), bytes);
    await store.close();
    copyFileSync(join(path, `${hexOf(digest)}.img`), join(path, "kept"));
    rmSync(join(path, `${hexOf(digest)}.manifest`));
    store = await stores.open(path);
    expect(
      (await store.openTransfer(transferId(2), { sizeBytes: bytes.length, digest })).complete,
    ).toBeDefined();
    expect(readFileSync(join(path, "kept")).equals(bytes)).toBe(true);
  });
});

describe("what a plan is told", () => {
  const estimate = {
    totalBytes: 100,
    presentBytes: 40,
    inUseBytes: 90,
    sendBytes: 60,
    etaMs: 5,
    rateBps: 1e8,
    rateIs: "assumed" as const,
  };

  it("stays the same while nothing arrives, and follows what does", async () => {
    const store = await stores.open(undefined, { estimateHoldMs: -1_000 });
    const bytes = imageOf(170);
    const digest = digestOfImage(bytes);
    expect(await store.pinEstimate(digest, estimate)).toEqual(estimate);
    expect(await store.pinEstimate(digest, { ...estimate, sendBytes: 50 })).toEqual(estimate);
    const id = transferId(1);
    await store.openTransfer(id, { sizeBytes: bytes.length, digest });
    const segments = await segmentsOf(bytes);
    await store.putSegment(id, segments[0].id, segments[0].bytes);
    expect(await store.pinEstimate(digest, { ...estimate, sendBytes: 30 })).toMatchObject({ sendBytes: 30 });
    for (const one of segments) await store.putSegment(id, one.id, one.bytes);
    await store.completeTransfer(id, digest);
  });

  it("is told again once the image is complete: the plan may be applied then", async () => {
    const path = stores.newPath();
    const store = await stores.open(path);
    const bytes = imageOf(171);
    const digest = digestOfImage(bytes);
    await store.pinEstimate(digest, estimate);
    await bring(store, transferId(1), bytes);
    expect(await store.pinEstimate(digest, { ...estimate, sendBytes: 0 })).toEqual(estimate);
    expect(await store.pinEstimate(digest, { ...estimate, sendBytes: 0 })).toEqual(estimate);
    rmSync(join(path, `${hexOf(digest)}.estimate`));
    const nothing = { totalBytes: bytes.length, presentBytes: 90, sendBytes: 0, etaMs: 0 };
    expect(await store.pinEstimate(digest, estimate)).toMatchObject(nothing);
  });

  it("is the same of a complete image though the link was measured anew", async () => {
    const store = await stores.open();
    const digest = await bring(store, transferId(1), imageOf(172));
    const told = await store.pinEstimate(digest, estimate);
    expect(told).toMatchObject({ sendBytes: 0, rateIs: "assumed" });
    const bytes = bytesOf(173, 4 * BLOCK_BYTES);
    await store.openTransfer(transferId(2), { sizeBytes: bytes.length });
    for (const one of await segmentsOf(bytes, 1)) {
      await store.putSegment(transferId(2), one.id, one.bytes);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(store.linkRate()).toMatchObject({ rateIs: "measured" });
    expect(await store.pinEstimate(digest, estimate)).toEqual(told);
  });

  it("is refused when it is no estimate", async () => {
    const store = await stores.open();
    const digest = digestOfImage(imageOf(180));
    await expect(store.pinEstimate(digest, { ...estimate, sendBytes: NaN })).rejects.toMatchObject({
      code: "invalid",
    });
  });

  it("has the link's rate in it, as it was measured last, even after a restart", async () => {
    const path = stores.newPath();
    let store = await stores.open(path);
    expect(store.linkRate()).toEqual({ rateBps: 100_000_000, rateIs: "assumed" });
    const bytes = bytesOf(190, 4 * BLOCK_BYTES);
    const id = transferId(1);
    await store.openTransfer(id, { sizeBytes: bytes.length });
    for (const one of await segmentsOf(bytes, 1)) {
      await store.putSegment(id, one.id, one.bytes);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    await store.completeTransfer(id, digestOfImage(bytes));
    const { rateBps } = await store.openTransfer(transferId(2), { sizeBytes: 5 });
    expect(rateBps).toBeGreaterThan(8_000_000);
    expect(rateBps).toBeLessThan(40_000_000);
    await store.close();
    store = await stores.open(path);
    expect(store.linkRate()).toEqual({ rateBps, rateIs: "measured" });
  });
});
