import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { readdir, readlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { pack } from "tar-stream";
import { UnpackedImages } from "../../../../providers/local/launcher/unpacked-images";
import { unpackImage } from "../../../../providers/local/launcher/unpack";

type Header = Parameters<ReturnType<typeof pack>["entry"]>[0];

let dir: string;
let count = 0;
const digest = `sha256:${"1".repeat(64)}`;
const { signal } = new AbortController();

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-unpack-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function tarOf(entries: readonly (readonly [Header, string?])[]): Promise<string> {
  const path = join(dir, `${++count}.tar`);
  const tar = pack();
  for (const [header, content] of entries) tar.entry(header, content ?? "");
  tar.finalize();
  await pipeline(tar, createWriteStream(path));
  return path;
}

const member: readonly [Header, string] = [{ name: "member.json" }, '{"command":["node","a.js"]}'];

async function unpack(imagePath: string, maxEntries?: number): Promise<string> {
  const directory = mkdtempSync(join(dir, "out-"));
  await unpackImage({ digest, imagePath, directory, signal, maxEntries });
  return directory;
}

async function get(imagePath: string) {
  const images = new UnpackedImages(mkdtempSync(join(dir, "images-")));
  await images.open();
  return images.get(digest, imagePath, signal);
}

test("files, folders and links inside the image are unpacked, and what may be executed still may", async () => {
  const out = await unpack(
    await tarOf([
      member,
      [{ name: "bin/", type: "directory" }],
      [{ name: "bin/run", mode: 0o755 }, "#!/bin/sh\n"],
      [{ name: "./app/a.js" }, "a"],
      [{ name: "current", type: "symlink", linkname: "app" }],
      [{ name: "app/run", type: "symlink", linkname: "../bin/run" }],
      [{ name: "hard", type: "link", linkname: "app/a.js" }],
      [{ name: `${"long/".repeat(40)}file` }, "deep"],
    ]),
  );
  expect(statSync(join(out, "bin/run")).mode & 0o111).toBe(0o111);
  expect(statSync(join(out, "app/a.js")).mode & 0o111).toBe(0);
  expect(readFileSync(join(out, "current/a.js"), "utf8")).toBe("a");
  expect(await readlink(join(out, "app/run"))).toBe("../bin/run");
  expect(readFileSync(join(out, "hard"), "utf8")).toBe("a");
  expect(readFileSync(join(out, `${"long/".repeat(40)}file`), "utf8")).toBe("deep");
});

test.each([
  ["a name that climbs", [{ name: "../outside" }, "x"]],
  ["a name that climbs after a folder", [{ name: "a/../../outside" }, "x"]],
  ["an absolute name", [{ name: "/tmp/spillway-outside" }, "x"]],
  ["a link to a parent", [{ name: "up", type: "symlink", linkname: ".." }]],
  ["a link to an absolute path", [{ name: "etc", type: "symlink", linkname: "/etc" }]],
  ["a hard link out", [{ name: "shadow", type: "link", linkname: "../../../../../../etc/hostname" }]],
] as [string, [Header, string?]][])("%s leads out of the image and is refused", async (_, entry) => {
  await expect(unpack(await tarOf([member, entry]))).rejects.toThrow(/leads out of the image/);
  expect(existsSync(join(dir, "outside"))).toBe(false);
});

test("a chain of links is judged by where it really leads", async () => {
  const out = await unpack(
    await tarOf([
      member,
      [{ name: "a", type: "symlink", linkname: "." }],
      [{ name: "b/c", type: "symlink", linkname: "../a" }],
      [{ name: "out", type: "symlink", linkname: "b/c/../.." }],
    ]),
  );
  expect(realpathSync(join(out, "out"))).toBe(realpathSync(out));
});

test("a link inside a linked folder that is really less deep is refused", async () => {
  const image = await tarOf([
    member,
    [{ name: "p/q/r", type: "symlink", linkname: "../.." }],
    [{ name: "p/q/r/y", type: "symlink", linkname: "../../../z" }],
    [{ name: "p/q/r/y/w/v", type: "symlink", linkname: "." }],
  ]);
  await expect(unpack(image)).rejects.toThrow(/`p\/q\/r\/y` leads out of the image/);
});

test("no file is written through a link that the image brings", async () => {
  const image = await tarOf([
    member,
    [{ name: "sub", type: "symlink", linkname: "app" }],
    [{ name: "sub/file" }, "x"],
  ]);
  await expect(unpack(image)).rejects.toThrow(/`sub`.*cannot be made.*EEXIST/);
});

test.each(["character-device", "block-device", "fifo"] as const)("a %s is refused", async (type) => {
  await expect(unpack(await tarOf([member, [{ name: "thing", type }]]))).rejects.toThrow(
    new RegExp(`\`thing\` is a ${type}`),
  );
});

test("an archive that ends too early is refused", async () => {
  const image = await tarOf([member, [{ name: "big" }, "x".repeat(100_000)]]);
  truncateSync(image, 50_000);
  await expect(unpack(image)).rejects.toThrow(/no valid tar archive: .*end/i);
});

test("a size that the archive does not hold is refused", async () => {
  const image = await tarOf([member, [{ name: "big" }, "x".repeat(1000)]]);
  const bytes = readFileSync(image);
  const at = bytes.indexOf("big\0");
  bytes.write("77777777777\0", at + 124, "latin1");
  let sum = 8 * 32;
  for (let i = 0; i < 512; i++) if (i < 148 || i >= 156) sum += bytes[at + i];
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  writeFileSync(image, bytes);
  await expect(unpack(image)).rejects.toThrow(/no valid tar archive/);
});

test("bytes that are no archive are refused", async () => {
  const image = join(dir, "noise.tar");
  writeFileSync(image, Buffer.alloc(4096, "this is no archive "));
  await expect(unpack(image)).rejects.toThrow(/no valid tar archive.*An image is a plain tar archive/s);
});

test("an empty file and a compressed archive are told apart", async () => {
  const empty = join(dir, "empty.tar");
  writeFileSync(empty, "");
  await expect(unpack(empty)).rejects.toThrow(/it is empty/);
  const packed = join(dir, "packed.tar");
  writeFileSync(packed, gzipSync(readFileSync(await tarOf([member]))));
  await expect(unpack(packed)).rejects.toThrow(/compressed with gzip.*uncompressed/s);
});

test("an archive of absurdly many entries is refused", async () => {
  const image = await tarOf([member, ...[1, 2, 3].map((n) => [{ name: `f${n}` }, "x"] as const)]);
  await expect(unpack(image, 3)).rejects.toThrow(/more than 3 entries/);
});

test.each([
  ["is missing", undefined, /no file `member.json`/],
  ["is no JSON", "{", /not JSON/],
  ["is a list", "[]", /must be an object/],
  ["has no command", "{}", /`command` must be a list of at least one string, got nothing/],
  ["has an empty command", '{"command":[]}', /`command`/],
  [
    "has all kinds of mistakes",
    '{"command":[1],"environment":{"A B":1},"user":"me"}',
    /`command`.*"A B".*must be a string, got 1.*`user` is not known/s,
  ],
  ["is absurdly large", `{"command":["node"],"environment":{"A":"${"x".repeat(70_000)}"}}`, /has 70.0 kB/],
])("a member.json that %s is refused", async (_, text, error) => {
  const image = await tarOf(
    text === undefined ? [[{ name: "app.js" }, ""]] : [[{ name: "member.json" }, text]],
  );
  await expect(get(image)).rejects.toThrow(error);
});

test("a refused image leaves nothing behind", async () => {
  const root = mkdtempSync(join(dir, "images-"));
  const images = new UnpackedImages(root);
  await images.open();
  await expect(images.get(digest, await tarOf([[{ name: "a" }, "x"]]), signal)).rejects.toThrow(
    /member.json/,
  );
  expect(await readdir(root)).toEqual([]);
});

test("an unpacking that its first asker gave up is done for the others", async () => {
  const images = new UnpackedImages(mkdtempSync(join(dir, "images-")));
  await images.open();
  const image = await tarOf([member, [{ name: "big" }, "x".repeat(3_000_000)]]);
  const first = new AbortController();
  const given = images.get(digest, image, first.signal);
  const wanted = images.get(digest, image, signal);
  first.abort();
  await expect(given).rejects.toThrow(/stopped/);
  expect((await wanted).member.command).toEqual(["node", "a.js"]);
});

test("no name of an archive makes it write outside its folder", async () => {
  const part = fc.constantFrom("..", ".", "a", "b", "", "c..d", "...");
  const name = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
  const entry = fc.record({
    name,
    type: fc.constantFrom("file", "symlink", "link", "directory" as const),
    linkname: name,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 6 }), async (entries) => {
      const arena = mkdtempSync(join(dir, "arena-"));
      const image = await tarOf([
        member,
        ...entries.map((e) => [e as Header, e.type === "file" ? "x" : ""] as const),
      ]);
      const directory = mkdtempSync(join(arena, "out-"));
      await unpackImage({ digest, imagePath: image, directory, signal }).catch((error: Error) => {
        expect(error.message).toMatch(/leads out|cannot be made|in each other's way/);
      });
      expect(await readdir(arena)).toHaveLength(1);
    }),
    { numRuns: 150 },
  );
});
