import { openSync, readFileSync, writeSync, closeSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pushImage } from "../../../../lib/image/near";
import { DirectoryInUse, openImageDirectory, verifyImageFile } from "../../../../lib/image/targets";
import { listening, mixedImage, scratch, writeOld } from "../support/images";

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
