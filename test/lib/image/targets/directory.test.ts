import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { AbortedError } from "../../../../lib/errors";
import { openImageStore } from "../../../../lib/image/far";
import { estimateTransfer, pushImage } from "../../../../lib/image/near";
import {
  DirectoryInUse,
  glanceAtDirectory,
  openImageDirectory,
  verifyImageFile,
} from "../../../../lib/image/targets";
import { fetchedIndex } from "../support/fetched-index";
import { bytesOf, listening, mixedImage, scratch, writeOld } from "../support/images";

const home = scratch();
afterAll(home.remove);
const image = mixedImage(7, 4_000_000);
const source = writeOld(join(home.path, "image.raw"), image);
const push = async (directory: string) => {
  const target = await openImageDirectory(directory);
  try {
    const { digest } = await pushImage({
      source,
      target,
      context: listening(),
      cacheDirectory: join(home.path, "cache"),
    });
    return { digest, path: target.path(digest) };
  } finally {
    await target.close();
  }
};

function damage(path: string, offset: number): void {
  const handle = openSync(path, "r+");
  writeSync(handle, Buffer.from([1, 2, 3]), 0, 3, offset);
  closeSync(handle);
}

describe("a directory of images", () => {
  it("takes an image and verifies it again, telling how far it is", async () => {
    const directory = join(home.path, "one");
    const { digest, path } = await push(directory);
    expect(readFileSync(path).equals(image)).toBe(true);
    const opened = await openImageDirectory(directory);
    const seen: number[] = [];
    const status = await opened.verify(digest, { onRead: (bytes) => seen.push(bytes) });
    await opened.close();
    expect(status).toMatchObject({ digest, sizeBytes: image.length, complete: true });
    expect(seen.at(-1)).toBe(image.length);
  });

  it("finds a damaged image, and says where", async () => {
    const directory = join(home.path, "damaged");
    const { digest, path } = await push(directory);
    damage(path, 3 * 2 ** 20 + 17);
    const opened = await openImageDirectory(directory);
    await expect(opened.verify(digest)).rejects.toMatchObject({
      code: "image-corrupt",
      report: { problem: expect.stringMatching(/1 of \d+ blocks are wrong, the first at offset 3145728/) },
    });
    await opened.close();
  });

  it("says of an image that it does not have that it has none", async () => {
    const opened = await openImageDirectory(join(home.path, "empty"));
    await expect(opened.verify(`sha256:${"0".repeat(64)}`)).rejects.toMatchObject({ code: "image-missing" });
    await opened.close();
  });

  it("is for one at a time", async () => {
    const directory = join(home.path, "busy");
    const first = await openImageDirectory(directory);
    await expect(openImageDirectory(directory)).rejects.toThrow(DirectoryInUse);
    await expect(openImageDirectory(directory)).rejects.toThrow(new RegExp(`process ${process.pid}`));
    await first.close();
    await (await openImageDirectory(directory)).close();
  });

  it("says what it holds to who only looks, also while another works on it, and nothing is made or changed", async () => {
    const directory = join(home.path, "looked-at");
    const cacheDirectory = join(home.path, "cache");
    const ask = () => estimateTransfer({ source, target: glanceAtDirectory(directory), cacheDirectory });
    expect((await ask()).estimate).toMatchObject({ rateIs: "assumed", sendBytes: expect.any(Number) });
    expect(existsSync(directory)).toBe(false);

    const target = await openImageDirectory(directory);
    const stop = new AbortController();
    const stopping = { ...target, completeTransfer: () => Promise.reject(new AbortedError("stopped")) };
    const context = listening(stop.signal);
    await expect(pushImage({ source, target: stopping, context, cacheDirectory })).rejects.toThrow("stopped");
    // All of it has arrived, and it is no image yet.
    expect((await ask()).estimate.sendBytes).toBe(0);
    await target.close();

    const { digest } = await push(directory);
    const state = () =>
      readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mtimeMs, name]);
    const before = state();
    const { sizeBytes } = await ask();
    const glance = glanceAtDirectory(directory);
    const opened = await glance.openTransfer("ab".repeat(32), { sizeBytes, digest, peek: true });
    expect(opened).toMatchObject({ complete: { digest, sizeBytes }, images: [digest], arrived: "" });
    expect(await fetchedIndex(glance, `sha256:${"0".repeat(64)}`)).toBeUndefined();
    await expect(glance.completeTransfer("ab".repeat(32), digest)).rejects.toMatchObject({ code: "invalid" });
    expect(state()).toEqual(before);
  });

  it("offers the newest first to who only looks too", async () => {
    const directory = join(home.path, "several");
    const store = await openImageStore({ directory });
    const context = listening();
    const digests: string[] = [];
    for (const seed of [1, 2, 3, 4]) {
      const source = writeOld(join(home.path, `several-${seed}.img`), bytesOf(seed, 1_000));
      const { digest } = await pushImage({
        source,
        target: store,
        context,
        cacheDirectory: join(home.path, "cache"),
      });
      digests.unshift(digest);
      const at = new Date(Date.now() - 3_600_000 + seed * 60_000);
      utimesSync(store.path(digest), at, at);
    }
    await store.close();
    const opened = await glanceAtDirectory(directory).openTransfer("ab".repeat(32), {
      sizeBytes: 5,
      peek: true,
    });
    expect(opened.images).toEqual(digests);
  });

  it("that cannot be made is told with its path", async () => {
    const file = join(home.path, "a-file");
    writeFileSync(file, "");
    await expect(openImageDirectory(join(file, "below"))).rejects.toMatchObject({
      report: { place: join(file, "below"), problem: expect.stringMatching(/cannot be made/) },
    });
  });

  it("without an index still tells a right file from a wrong one", async () => {
    const { digest, path } = await push(join(home.path, "plain"));
    await expect(verifyImageFile(path, digest)).resolves.toEqual({ sizeBytes: image.length });
    await expect(verifyImageFile(path, `sha256:${"1".repeat(64)}`)).rejects.toThrow(
      /not those of its digest/,
    );
  });
});
