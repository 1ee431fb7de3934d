import { appendFileSync, closeSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { BLOCK_BYTES } from "../../../../lib/image/wire";
import { sleep } from "../../../../lib/wait";
import { bytesOf, scratch } from "../support/images";
import { arrivedBlocks, digestOfImage, partsOf, sealed, segmentsOf, transferId } from "./support/segments";
import { StoreProcesses } from "./support/processes";

const directory = scratch();
const processes = new StoreProcesses();
let number = 0;
const newDirectory = () => join(directory.path, `store-${++number}`);
const id = transferId(1);
const fileOf = (path: string, digest: string) => join(path, `${digest.slice("sha256:".length)}.img`);

afterEach(() => processes.killAll());
afterAll(directory.remove);

function overwrite(path: string, offset: number, bytes: Buffer): void {
  const handle = openSync(path, "r+");
  writeSync(handle, bytes, 0, bytes.length, offset);
  closeSync(handle);
}

describe("a store that is killed with kill -9", () => {
  it("has after each start what it had acknowledged, and the image ends well", async () => {
    const path = newDirectory();
    const bytes = Buffer.concat([
      bytesOf(1, 12 * BLOCK_BYTES),
      Buffer.alloc(BLOCK_BYTES),
      bytesOf(2, 3 * BLOCK_BYTES, "text"),
    ]);
    bytes.fill(0, 2_500_000, 3_000_000);
    const digest = digestOfImage(bytes);
    const segments = await segmentsOf(bytes, 1);
    const acknowledged = new Set<number>();
    for (let round = 0; round < 6; round++) {
      const store = await processes.start(path);
      const { arrived } = await store.open(id, bytes.length, digest);
      const present = new Set(arrivedBlocks(arrived ?? ""));
      for (const block of acknowledged) expect(present).toContain(block);
      const isLast = round === 5;
      const sending = segments.map(async (segment, block) => {
        if (present.has(block)) return;
        // What is sent to a process that is being killed gets no answer.
        const answer = await store.put(id, segment).catch(() => undefined);
        if (answer?.presentBytes !== undefined) acknowledged.add(block);
      });
      if (!isLast) await sleep(4 + round * 6);
      if (!isLast) await store.kill();
      await Promise.all(sending);
      if (isLast) expect((await store.complete(id, digest)).code).toBeUndefined();
    }
    expect(readFileSync(fileOf(path, digest)).equals(bytes)).toBe(true);
  });

  it("finds what power loss took of the blocks it had noted, asks for those again, and takes nothing wrong", async () => {
    const path = newDirectory();
    const bytes = bytesOf(3, 6 * BLOCK_BYTES);
    const digest = digestOfImage(bytes);
    let store = await processes.start(path);
    await store.open(id, bytes.length, digest);
    for (const segment of await segmentsOf(bytes, 1)) await store.put(id, segment);
    await store.kill();
    overwrite(join(path, `${id}.partial`), 2 * BLOCK_BYTES + 77, Buffer.alloc(4_096));
    truncateSync(join(path, `${id}.partial`), 5 * BLOCK_BYTES + 100_000);
    appendFileSync(join(path, `${id}.journal`), bytesOf(4, 20));
    store = await processes.start(path);
    expect(await store.complete(id, digest)).toMatchObject({
      code: "image-corrupt",
      problem: expect.stringContaining(
        `2 blocks are wrong on the disk of the image store, first at offset ${2 * BLOCK_BYTES}`,
      ),
    });
    const { arrived } = await store.open(id, bytes.length, digest);
    expect(arrivedBlocks(arrived ?? "")).toEqual([0, 1, 3, 4]);
    for (const block of [2, 5]) await store.put(id, await sealed(partsOf(bytes, block, 1)));
    expect(await store.complete(id, digest)).toMatchObject({ complete: true });
    expect(readFileSync(fileOf(path, digest)).equals(bytes)).toBe(true);
  });

  it("leaves no bytes of a version whose blocks it had written and not noted", async () => {
    const path = newDirectory();
    const bytes = Buffer.concat([bytesOf(5, 400_000), Buffer.alloc(2 * BLOCK_BYTES), bytesOf(6, 100_000)]);
    const digest = digestOfImage(bytes);
    let store = await processes.start(path);
    await store.open(id, bytes.length, digest);
    await store.kill();
    // As if it had been killed between the bytes of another version and their note.
    overwrite(join(path, `${id}.partial`), 0, bytesOf(7, bytes.length));
    store = await processes.start(path);
    await store.open(id, bytes.length, digest);
    for (const segment of await segmentsOf(bytes, 2)) await store.put(id, segment);
    expect(await store.complete(id, digest)).toMatchObject({ complete: true });
    expect(readFileSync(fileOf(path, digest)).equals(bytes)).toBe(true);
  });
});

describe("a store whose disk is full", () => {
  it("says so, keeps what it has, and goes on when there is room", async () => {
    const path = newDirectory();
    const bytes = bytesOf(8, 6 * BLOCK_BYTES);
    const digest = digestOfImage(bytes);
    const segments = await segmentsOf(bytes, 1);
    // The limit on a file's size stands for the disk's: 4,000 KiB, in units of 512 bytes.
    const full = await processes.start(path, ["sh", "-c", 'ulimit -f 8000 && exec "$@"', "sh"]);
    await full.open(id, bytes.length, digest);
    const answers = await Promise.all(segments.map((segment) => full.put(id, segment)));
    expect(answers.map(({ code }) => code ?? "taken")).toEqual([
      "taken",
      "taken",
      "taken",
      "disk-full",
      "disk-full",
      "disk-full",
    ]);
    expect(answers[5].problem).toContain("the disk of the image store is full");
    await full.kill();
    const store = await processes.start(path);
    const { arrived } = await store.open(id, bytes.length, digest);
    expect(arrivedBlocks(arrived ?? "")).toEqual([0, 1, 2]);
    for (const segment of segments.slice(3)) await store.put(id, segment);
    expect(await store.complete(id, digest)).toMatchObject({ complete: true });
    expect(readFileSync(fileOf(path, digest)).equals(bytes)).toBe(true);
  });

  it("keeps of a segment what there was room for", async () => {
    const path = newDirectory();
    const bytes = bytesOf(8, 6 * BLOCK_BYTES);
    const full = await processes.start(path, ["sh", "-c", 'ulimit -f 8000 && exec "$@"', "sh"]);
    await full.open(id, bytes.length);
    const [segment] = await segmentsOf(bytes, 6);
    expect((await full.put(id, segment)).code).toBe("disk-full");
    expect(arrivedBlocks((await full.open(id, bytes.length)).arrived ?? "")).toEqual([0, 1, 2]);
  });
});

describe("the memory of a store", () => {
  it("stays small when 64 segments that unpack to 4 MiB each come at once", async () => {
    const store = await processes.start(newDirectory());
    const part = Buffer.alloc(4 * BLOCK_BYTES).fill(bytesOf(9, 1_000, "text"));
    const bytes = Buffer.concat(Array.from({ length: 64 }, () => part));
    const digest = digestOfImage(bytes);
    await store.open(id, bytes.length, digest);
    const parts = partsOf(part, 0, 4);
    const segments = await Promise.all(
      Array.from({ length: 64 }, (_, i) => sealed({ ...parts, firstBlock: i * 4 })),
    );
    const answers = await Promise.all(segments.map((segment) => store.put(id, segment)));
    expect(answers.every(({ code }) => code === undefined)).toBe(true);
    expect(await store.complete(id, digest)).toMatchObject({ complete: true });
    expect((await store.ask("used")).peakBytes).toBeLessThan(180_000_000);
  });
});
