import { mkdirSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { BOUNCE_BYTES, DirectFile } from "../../../../lib/image/far/direct-file";
import { DirectSpaces } from "../../../../lib/image/far/direct-spaces";
import { StoreFiles } from "../../../../lib/image/far/files";
import { Transfer } from "../../../../lib/image/far/transfer";
import { BLOCK_BYTES, leafOf } from "../../../../lib/image/wire";
import { bytesOf, scratch } from "../support/images";
import { transferId } from "./support/segments";

const directory = scratch();
const opened: Transfer[] = [];
const BLOCKS = 70;
let number = 0;

afterEach(async () => {
  jest.restoreAllMocks();
  for (const transfer of opened.splice(0)) await transfer.close();
});
afterAll(directory.remove);

async function fileHandles(): Promise<FileHandle> {
  const handle = await open(__filename, "r");
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

function newFiles() {
  const path = join(directory.path, String(++number));
  mkdirSync(path);
  return new StoreFiles(path).ofTransfer(transferId(1));
}

async function begin(files = newFiles()): Promise<Transfer> {
  const transfer = await Transfer.create(transferId(1), BLOCKS * BLOCK_BYTES, files);
  opened.push(transfer);
  return transfer;
}

const bytes = bytesOf(1, BLOCK_BYTES);
const leaf = leafOf(bytes);

/** Through the page cache, unless the space begins at a page. */
async function put(transfer: Transfer, block: number, space: Buffer = bytes): Promise<void> {
  await transfer.write(block, space, [[0, BLOCK_BYTES]], leaf);
  await transfer.keep([{ block, leaf }]);
}

const failed = Object.assign(new Error("EIO: the disk said no"), { code: "EIO" });
const present = (transfer: Transfer) => [...transfer.blocks.present()];

describe("a transfer whose disk fails to take what it was given", () => {
  it("counts as missing what was written since the last good sync, and takes it again", async () => {
    const files = newFiles();
    const transfer = await begin(files);
    await put(transfer, 0);
    await transfer.seal();
    await put(transfer, 1);
    await put(transfer, 2);
    jest.spyOn(await fileHandles(), "sync").mockRejectedValueOnce(failed);
    await expect(transfer.seal()).rejects.toMatchObject({ code: "EIO" });
    expect(present(transfer)).toEqual([0]);
    await put(transfer, 1);
    await transfer.seal();
    expect(present(transfer)).toEqual([0, 1]);
    expect(await transfer.verifyClaims()).toEqual([]);
    await transfer.close();
    const resumed = await Transfer.resume(transferId(1), undefined, files);
    opened.push(resumed!);
    expect(present(resumed!)).toEqual([0, 1]);
  });

  it("does not keep a block that the failure overtook", async () => {
    const transfer = await begin();
    await transfer.write(3, bytes, [[0, BLOCK_BYTES]], leaf);
    jest.spyOn(await fileHandles(), "sync").mockRejectedValueOnce(failed);
    await expect(transfer.seal()).rejects.toMatchObject({ code: "EIO" });
    await expect(transfer.keep([{ block: 3, leaf }])).rejects.toMatchObject({ code: "EIO" });
    expect(present(transfer)).toEqual([]);
  });

  it("does the same when the failure shows while more arrives", async () => {
    const transfer = await begin();
    const handles = await fileHandles();
    const syncing = jest.spyOn(handles, "datasync").mockRejectedValueOnce(failed);
    for (let block = 0; block < 63; block++) await put(transfer, block);
    // The failure comes before or after this one is kept.
    await put(transfer, 63).catch((error: unknown) => expect(error).toBe(failed));
    await transfer.seal();
    expect(syncing).toHaveBeenCalledTimes(1);
    expect(present(transfer)).toEqual([]);
  });

  it("believes nothing that a former process left and that was not on the disk yet", async () => {
    const files = newFiles();
    const before = await begin(files);
    await put(before, 0);
    await before.close();
    const transfer = await Transfer.resume(transferId(1), undefined, files);
    opened.push(transfer!);
    expect(present(transfer!)).toEqual([0]);
    expect(await transfer!.verifyClaims()).toEqual([]);
    jest.spyOn(await fileHandles(), "sync").mockRejectedValueOnce(failed);
    await expect(transfer!.seal()).rejects.toMatchObject({ code: "EIO" });
    expect(present(transfer!)).toEqual([]);
  });

  it("keeps what went past the page cache, and looks at it again", async () => {
    const transfer = await begin();
    const spaces = new DirectSpaces(1, BOUNCE_BYTES);
    const space = spaces.take().subarray(0, BLOCK_BYTES);
    bytes.copy(space);
    const probe = await DirectFile.open(join(directory.path, "probe"), "w+");
    const isDirect = await probe.writePart(space, 0, BLOCK_BYTES, 0);
    await probe.close();
    await put(transfer, 0, space);
    await put(transfer, 1);
    jest.spyOn(await fileHandles(), "sync").mockRejectedValueOnce(failed);
    await expect(transfer.seal()).rejects.toMatchObject({ code: "EIO" });
    // Where the file system knows no other way than its cache, nothing is kept.
    expect(present(transfer)).toEqual(isDirect ? [0] : []);
    expect(transfer.blocks.stateOf(0)).toBe(isDirect ? "claimed" : "missing");
  });
});
