import { chmodSync, existsSync, promises, readdirSync, rmSync, writeFileSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { ImageStoreOptions } from "../../../../lib/image/far";
import { BLOCK_BYTES } from "../../../../lib/image/wire";
import { fetchedIndex } from "../support/fetched-index";
import { bytesOf } from "../support/images";
import { bring, digestOfImage, holds, partsOf, sealed, transferId } from "./support/segments";
import { hexOf, testStores } from "./support/stores";

const stores = testStores();
let number = 0;

const failed = (code: string) => Object.assign(new Error(`${code}: the disk said no`), { code });

/** A store that holds one image, with its index made: nothing else reads any more. */
async function holding(options: Partial<ImageStoreOptions> = {}) {
  const path = stores.newPath();
  const store = await stores.open(path, options);
  const bytes = bytesOf(++number, 3 * BLOCK_BYTES + 77);
  const digest = await bring(store, transferId(1), bytes);
  await fetchedIndex(store, digest);
  return { path, store, bytes, digest, names: readdirSync(path) };
}

/** What every open file does, to be changed for a while. */
async function fileHandles(): Promise<FileHandle> {
  const handle = await open(__filename, "r");
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

describe("an image whose disk fails for a moment", () => {
  it("stays held, with all its files, when a block of it cannot be read", async () => {
    const { path, store, bytes, digest, names } = await holding();
    const handles = await fileHandles();
    const read = handles.read as (...args: unknown[]) => Promise<unknown>;
    const reading = jest.spyOn(handles, "read").mockImplementation(function (
      this: FileHandle,
      ...args: unknown[]
    ) {
      // What is read of a manifest is shorter.
      return (args[2] as number) > 1_000 ? Promise.reject(failed("EIO")) : read.apply(this, args);
    } as FileHandle["read"]);
    await expect(store.verify(digest)).rejects.toMatchObject({ code: "EIO" });
    reading.mockRestore();
    expect(readdirSync(path)).toEqual(names);
    expect(await store.verify(digest)).toMatchObject({ complete: true });
    expect(holds(store, digest, bytes)).toBe(true);
  });

  it.each([
    ["readFile", "EMFILE"],
    ["readFile", "EACCES"],
    ["open", "EMFILE"],
  ] as const)("stays held, with all its files, when %s ends in %s", async (work, code) => {
    const { path, store, digest, names } = await holding();
    const working = jest.spyOn(promises, work).mockRejectedValue(failed(code));
    await expect(store.verify(digest)).rejects.toMatchObject({ code });
    working.mockRestore();
    expect(readdirSync(path)).toEqual(names);
    expect(await store.verify(digest)).toMatchObject({ complete: true });
  });

  it("is not put aside when it has no manifest, neither by verifying it nor by a restart", async () => {
    const { path, store, digest } = await holding();
    rmSync(join(path, `${hexOf(digest)}.manifest`));
    const handles = await fileHandles();
    const reading = jest.spyOn(handles, "read").mockRejectedValue(failed("EIO"));
    await expect(store.verify(digest)).rejects.toMatchObject({ code: "EIO" });
    expect(store.path(digest)).toContain(hexOf(digest));
    await store.close();
    await stores.open(path);
    reading.mockRestore();
    expect(existsSync(join(path, `${hexOf(digest)}.img`))).toBe(true);
    expect(await (await stores.open(path)).status(digest)).toMatchObject({ complete: true });
  });

  it("is as sound as before when it is read in small pieces", async () => {
    const { store, digest } = await holding();
    const handles = await fileHandles();
    const read = handles.read as (...args: unknown[]) => Promise<unknown>;
    jest.spyOn(handles, "read").mockImplementation(function (this: FileHandle, ...args: unknown[]) {
      const [into, at, length, position] = args as [Buffer, number, number, number];
      return read.call(this, into, at, Math.min(length, 300_000), position) as never;
    } as FileHandle["read"]);
    expect(await store.verify(digest)).toMatchObject({ complete: true });
  });

  it("is only not copied from: these blocks are asked for without copies, and it stays held", async () => {
    const { store, bytes, digest } = await holding();
    const next = Buffer.concat([bytes, bytesOf(999, 10)]);
    const id = transferId(2);
    await store.openTransfer(id, { sizeBytes: next.length });
    const segment = await sealed(partsOf(next, 0, 2, { digest, bytes }));
    const reading = jest.spyOn(await fileHandles(), "read").mockRejectedValue(failed("EIO"));
    await expect(store.putSegment(id, segment.id, segment.bytes)).rejects.toMatchObject({
      code: "image-corrupt",
      report: { withoutCopies: true, base: digest, problem: expect.stringContaining("cannot be read") },
    });
    reading.mockRestore();
    expect((await store.openTransfer(id, { sizeBytes: next.length })).images).toEqual([digest]);
    await store.putSegment(id, segment.id, segment.bytes);
  });
});

describe("an image whose manifest is gone", () => {
  it("is taken anew when a block of it seems wrong, and not deleted", async () => {
    const { path, store, bytes, digest } = await holding();
    rmSync(join(path, `${hexOf(digest)}.manifest`));
    const next = Buffer.concat([bytesOf(998, BLOCK_BYTES), bytes]);
    const id = transferId(2);
    await store.openTransfer(id, { sizeBytes: next.length });
    const parts = partsOf(next, 0, 1);
    const lie = {
      ...parts,
      bases: [digest],
      literals: [],
      ops: [{ kind: "copy" as const, base: 0, offset: 0, length: BLOCK_BYTES }],
    };
    const segment = await sealed(lie);
    await expect(store.putSegment(id, segment.id, segment.bytes)).rejects.toMatchObject({
      code: "image-corrupt",
    });
    expect(holds(store, digest, bytes)).toBe(true);
    expect(await store.verify(digest)).toMatchObject({ complete: true });
  });

  it("stays where it is while a pool uses it, whatever is in it: it is only called damaged", async () => {
    const { path, store, bytes, digest } = await holding({ usedBy: () => ["shop"] });
    const file = join(path, `${hexOf(digest)}.img`);
    rmSync(join(path, `${hexOf(digest)}.manifest`));
    chmodSync(file, 0o600);
    writeFileSync(file, bytesOf(997, bytes.length));
    await expect(store.verify(digest)).rejects.toMatchObject({ code: "image-corrupt" });
    expect(existsSync(file)).toBe(true);
    await bring(store, transferId(3), bytes);
    expect(digestOfImage(bytes)).toBe(digest);
    expect(holds(store, digest, bytes)).toBe(true);
  });
});
