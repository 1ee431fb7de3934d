import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mapExtents } from "../../../../lib/image/extents";
import { openImageSource } from "../../../../lib/image/source";
import { parseFilefrag } from "../../../../lib/image/source/holes";
import { itMounting, run } from "../extents/support/tools";

const MIB = 1024 * 1024;

describe("a raw image", () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "spillway-raw-"));
    path = join(directory, "disk.raw");
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("is read byte for byte, and never past its end", async () => {
    await writeFile(path, "0123456789");
    const source = await openImageSource(path);
    try {
      expect([source.format, source.sizeBytes]).toEqual(["raw", 10]);
      const bytes = Buffer.alloc(4);
      await source.read(bytes, 6);
      expect(bytes.toString()).toBe("6789");
      await expect(source.read(bytes, 7)).rejects.toThrow(RangeError);
      await expect(source.read(bytes, -1)).rejects.toThrow(RangeError);
    } finally {
      await source.close();
    }
  });

  it("that begins with nothing known counts wholly, and the report says why", async () => {
    await writeFile(path, Buffer.alloc(8192, "spillway"));
    const source = await openImageSource(path);
    try {
      const map = await mapExtents(source);
      expect(map.inUse.bytes).toBe(8192);
      expect(map.parts).toEqual([
        expect.objectContaining({
          offset: 0,
          length: 8192,
          kind: "unknown",
          treated: "exact",
          inUseBytes: 8192,
        }),
      ]);
      expect(map.parts[0]!.why).toMatch(/begins with no partition table and no file system/);
    } finally {
      await source.close();
    }
  });

  it("that was written to after it was opened is refused", async () => {
    await writeFile(path, "0123456789");
    const source = await openImageSource(path);
    try {
      await source.requireUnchanged();
      await writeFile(path, "012345678");
      await expect(source.requireUnchanged()).rejects.toThrow(/was changed while it was being read/);
    } finally {
      await source.close();
    }
  });

  it("must be there, not be empty, and be a file", async () => {
    await expect(openImageSource(path)).rejects.toThrow(
      /there is no image file .*disk.raw.* Correct `source`/,
    );
    await writeFile(path, "");
    await expect(openImageSource(path)).rejects.toThrow(/is empty/);
    await expect(openImageSource(directory)).rejects.toThrow(/is a directory/);
  });

  it("with holes: nothing that was written is outside of what counts as allocated", async () => {
    const size = 300 * MIB;
    const handle = await open(path, "w");
    const written = [
      [0, 4096],
      [5 * MIB, 5 * MIB + 100],
      [200 * MIB + 123, 201 * MIB],
      [size - 1, size],
    ] as const;
    for (const [start, end] of written)
      await handle.write(Buffer.alloc(end - start, 1), 0, end - start, start);
    await handle.close();
    const source = await openImageSource(path);
    try {
      const allocated = await source.allocated();
      for (const [start, end] of written) expect(allocated.bytesWithin(start, end)).toBe(end - start);
    } finally {
      await source.close();
    }
  });
});

describe("a block device", () => {
  itMounting(
    ["losetup"],
    "is read to its end, and nothing that is kept for it is ever found again",
    async () => {
      const directory = await mkdtemp(join(tmpdir(), "spillway-device-"));
      const file = join(directory, "disk.raw");
      await writeFile(file, Buffer.alloc(3 * MIB + 512, "device"));
      const device = run("losetup", ["--find", "--show", "--read-only", file]).trim();
      try {
        const source = await openImageSource(device);
        const again = await openImageSource(device);
        expect(source.sizeBytes).toBe(3 * MIB + 512);
        expect(source.identity).not.toEqual(again.identity);
        const bytes = Buffer.alloc(600);
        await source.read(bytes, source.sizeBytes - 600);
        expect(bytes.equals((await readFile(file)).subarray(-600))).toBe(true);
        expect((await source.allocated()).bytes).toBe(source.sizeBytes);
        await source.requireUnchanged();
        await source.close();
        await again.close();
      } finally {
        run("losetup", ["--detach", device]);
        await rm(directory, { recursive: true });
      }
    },
  );
});

describe("filefrag's answer", () => {
  const answer = (...extents: string[]) =>
    [
      "Filesystem type is: ef53",
      "File size of /proc/self/fd/3 is 314572800 (614400 blocks of 512 bytes)",
      " ext:     logical_offset:        physical_offset: length:   expected: flags:",
      ...extents,
      `/proc/self/fd/3: ${extents.length} extents found`,
    ].join("\n");
  const one = "   0:        0..    4095:     1000..    5095:   4096:";
  const other = "   1:   614391..  614399:     9000..    9008:      9:       5096: last,unwritten,eof";

  it("says what is no hole, also where it was only set aside", () => {
    const extents = parseFilefrag(answer(one, other), 614399 * 512 + 100, 4105 * 512)!;
    expect([extents.count, extents.start(0), extents.end(0)]).toEqual([2, 0, 4096 * 512]);
    expect([extents.start(1), extents.end(1)]).toEqual([614391 * 512, 614399 * 512 + 100]);
  });

  it.each([
    ["a line that is not understood", answer(one, "   1:   what"), 4096 * 512],
    ["extents out of order", answer(other, one), 4105 * 512],
    ["a length that does not fit", answer(one.replace("   4096:", "   4095: last")), 4096 * 512],
    ["far less than the file takes", answer(one + " last"), 20_000 * 512],
    ["fewer extents than it announces", answer(one + " last").replace("1 extents", "3 extents"), 4096 * 512],
    ["its last extent missing", answer(one), 4096 * 512],
    ["no announcement (cut off)", answer(one + " last").replace(/[^\n]*$/, ""), 4096 * 512],
  ])("is not trusted with %s", (_, text, takenBytes) => {
    expect(parseFilefrag(text, 614400 * 512, takenBytes)).toBeUndefined();
  });
});
