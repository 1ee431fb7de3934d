import { copyFile, mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openImageSource, type ImageSource } from "../../../../lib/image/source";
import { itWith, run } from "../extents/support/tools";

const MIB = 1024 * 1024;

/** Text, noise, zeros and holes in turns, of a length that is no multiple of any cluster. */
async function writeDisk(path: string): Promise<void> {
  const size = 10 * MIB + 3 * 512;
  const handle = await open(path, "w");
  let state = 1;
  const noise = (length: number) => {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i + 4 <= length; i += 4) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bytes.writeUInt32LE(state, i);
    }
    return bytes;
  };
  await handle.write(noise(MIB + 700), 0, MIB + 700, 0);
  await handle.write(Buffer.alloc(MIB, "the same line again and again\n"), 0, MIB, 3 * MIB);
  await handle.write(noise(512), 0, 512, 5 * MIB + 512);
  await handle.write(noise(512), 0, 512, 9 * MIB - 512);
  await handle.write(noise(1000), 0, 1000, size - 1000);
  await handle.close();
  await truncate(path, size);
}

/** Reads the whole disk in pieces of several sizes, and compares it with the raw file. */
async function expectSameBytes(source: ImageSource, raw: string): Promise<void> {
  const expected = await readFile(raw);
  expect(source.sizeBytes).toBe(expected.length);
  for (const step of [MIB, 77_777]) {
    const got = Buffer.alloc(source.sizeBytes, 0xaa);
    for (let at = 0; at < got.length; at += step) await source.read(got.subarray(at, at + step), at);
    expect(got.equals(expected)).toBe(true);
  }
  const allocated = await source.allocated();
  let at = 0;
  for (const [start, end] of [...allocated.within(0, source.sizeBytes), [source.sizeBytes, 0] as const]) {
    expect(expected.subarray(at, start).equals(Buffer.alloc(start - at))).toBe(true);
    at = end;
  }
}

describe("a qcow2 image", () => {
  let directory: string;
  let raw: string;
  let image: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "spillway-qcow2-"));
    raw = join(directory, "disk.raw");
    image = join(directory, "disk.qcow2");
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const convert = (options: string, ...more: string[]) =>
    run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", ...more, "-o", options, raw, image]);

  const opened = async (check: (source: ImageSource) => Promise<void>) => {
    const source = await openImageSource(image);
    try {
      await check(source);
    } finally {
      await source.close();
    }
  };

  for (const [what, options, more] of [
    ["of version 3", "compat=1.1", []],
    ["of version 2", "compat=0.10", []],
    ["with clusters of 512 bytes", "cluster_size=512", []],
    ["with clusters of 2 MiB", "cluster_size=2M", []],
    ["with its clusters set aside beforehand", "preallocation=metadata", []],
    ["with lazy reference counts", "lazy_refcounts=on", []],
    ["that is compressed", "compat=1.1", ["-c"]],
    ["of version 2 that is compressed", "compat=0.10", ["-c"]],
    ["that is compressed in clusters of 512 bytes", "cluster_size=512", ["-c"]],
    ["that is compressed in clusters of 2 MiB", "cluster_size=2M", ["-c"]],
  ] as const) {
    itWith(["qemu-img"], `${what} holds the same bytes as the raw one it was made from`, async () => {
      await writeDisk(raw);
      convert(options, ...more);
      await opened(async (source) => {
        expect(source.format).toBe("qcow2");
        await expectSameBytes(source, raw);
      });
    });
  }

  itWith(["qemu-img"], "counts only clusters that hold something, not zero clusters", async () => {
    await writeDisk(raw);
    convert("cluster_size=65536", "-S", "0");
    await opened(async (source) => {
      await expectSameBytes(source, raw);
      expect((await source.allocated()).bytes).toBe(source.sizeBytes);
    });
    convert("cluster_size=65536");
    await opened(async (source) => expect((await source.allocated()).bytes).toBeLessThan(3 * MIB));
  });

  itWith(["qemu-img"], "is read as it is now, whatever snapshots it holds", async () => {
    await writeDisk(raw);
    convert("compat=1.1");
    run("qemu-img", ["snapshot", "-c", "before", image]);
    run("qemu-img", ["resize", image, `${40 * MIB}`]);
    await truncate(raw, 40 * MIB);
    await opened((source) => expectSameBytes(source, raw));
  });

  itWith(["qemu-img"], "of 100 GB that is nearly empty costs little to open and to walk", async () => {
    run("qemu-img", ["create", "-q", "-f", "qcow2", image, "100G"]);
    await opened(async (source) => {
      expect(source.sizeBytes).toBe(100 * 1024 ** 3);
      expect((await source.allocated()).count).toBe(0);
      const bytes = Buffer.alloc(MIB, 1);
      await source.read(bytes, 99 * 1024 ** 3);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    });
  });

  itWith(
    ["qemu-img"],
    "is refused when it rests on another file, and that file is not looked at",
    async () => {
      const secret = join(directory, "secret");
      await writeFile(secret, Buffer.alloc(MIB, "secret"));
      run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", image]);
      await expect(openImageSource(image)).rejects.toThrow(
        /rests on a backing file, which is never followed/,
      );
      await rm(secret);
      await expect(openImageSource(image)).rejects.toThrow(/Convert it into one that stands alone/);
    },
  );

  itWith(["qemu-img"], "is refused when it needs what is not known, naming it and the mend", async () => {
    await writeDisk(raw);
    const refused: [string, RegExp][] = [
      ["extended_l2=on", /extended L2 entries.*`-o extended_l2=off`/],
      [`data_file=${join(directory, "elsewhere")}`, /its data is in another file/],
      ["compression_type=zstd", /compressed with zstd.*`-o compression_type=zlib`/],
    ];
    for (const [options, message] of refused) {
      convert(options);
      await expect(openImageSource(image)).rejects.toThrow(message);
    }
  });

  it.each<[string, number, number[], RegExp]>([
    ["another version", 4, [0, 0, 0, 4], /of version 4/],
    ["a backing file", 8, [0, 0, 0, 0, 0, 0, 1, 0], /backing file/],
    ["tiny clusters", 20, [0, 0, 0, 8], /2\^8 bytes/],
    ["huge clusters", 20, [0, 0, 0, 22], /2\^22 bytes/],
    ["no disk", 24, [0, 0, 0, 0, 0, 0, 0, 0], /no bytes at all/],
    ["an absurd disk", 24, [255, 255, 255, 255, 255, 255, 255, 255], /18446744073709551615 bytes/],
    ["encryption", 32, [0, 0, 0, 2], /encrypted \(method 2\)/],
    ["too short an L1 table", 36, [0, 0, 0, 0], /L1 table has 0 entries/],
    ["an L1 table outside", 40, [0, 255, 0, 0, 0, 0, 0, 0], /L1 table at .* is not inside the file/],
    ["the mark of corruption", 72, [0, 0, 0, 0, 0, 0, 0, 2], /marked as corrupt/],
    ["features of the future", 72, [0, 0, 0, 0, 0, 0, 8, 0], /not known \(bits 0x800\)/],
    ["no header to speak of", 100, [0, 0, 0, 1], /header is said to have 1 bytes/],
    ["an L2 table outside", 65_536, [0x80, 255, 0, 0, 0, 0, 0, 0], /L2 table 0 at .* is not inside the file/],
    ["an L2 table between clusters", 65_536, [0x80, 0, 0, 0, 0, 2, 2, 0], /L2 table 0 .* is not inside/],
    ["a cluster outside", 131_072, [0x80, 0, 0, 255, 0, 0, 0, 0], /cluster 0 at .* is not inside the file/],
    [
      "a compressed cluster outside",
      131_072,
      [0x40, 31, 0, 255, 0, 0, 0, 0],
      /compressed cluster 0 .* not inside/,
    ],
    ["a compressed cluster that is none", 131_072, [0x40, 0, 0, 0, 0, 3, 0, 0], /cannot be unpacked/],
  ])("with %s is refused", async (_, at, bytes, message) => {
    const file = tinyImage();
    file.set(bytes, at);
    await writeFile(image, file);
    const use = async () => {
      const source = await openImageSource(image);
      try {
        await source.read(Buffer.alloc(100), 0);
      } finally {
        await source.close();
      }
    };
    await expect(use()).rejects.toThrow(message);
    await expect(use()).rejects.toMatchObject({ report: { place: expect.stringContaining(image) } });
  });

  it("whose tables lead to the same place again and again is refused, not believed", async () => {
    const file = tinyImage(512 * MIB);
    for (let i = 0; i < 8192; i++) file.writeBigUInt64BE((1n << 63n) | 0x30000n, 131_072 + 8 * i);
    await writeFile(image, file);
    await opened((source) =>
      expect(source.allocated()).rejects.toThrow(/more clusters are said to be in the file/),
    );
  });

  it("whose tables point at one another and at the header is read without harm", async () => {
    const file = tinyImage();
    // The L1 table is its own L2 table, and a cluster is the header.
    file.writeBigUInt64BE((1n << 63n) | 65_536n, 65_536);
    await writeFile(image, file);
    await opened(async (source) => {
      const bytes = Buffer.alloc(65_536);
      await source.read(bytes, 0);
      expect(bytes.equals(file.subarray(65_536, 131_072))).toBe(true);
    });
  });

  it("is read as the raw bytes it is when the format says so", async () => {
    const file = tinyImage();
    await writeFile(image, file);
    const source = await openImageSource(image, { format: "raw" });
    expect([source.format, source.sizeBytes]).toEqual(["raw", file.length]);
    await source.close();
    await copyFile(image, raw);
    await writeFile(raw, "no qcow2", { flag: "r+" });
    await expect(openImageSource(raw, { format: "qcow2" })).rejects.toThrow(/begins with 0x6e6f2071/);
  });
});

/** Version 3, clusters of 64 KiB: header, L1 at 64 KiB, L2 at 128 KiB, and the disk's first cluster at 192 KiB. */
function tinyImage(size = MIB): Buffer {
  const file = Buffer.alloc(4 * 65_536);
  file.write("QFI\xfb", 0, "latin1");
  file.writeUInt32BE(3, 4);
  file.writeUInt32BE(16, 20);
  file.writeBigUInt64BE(BigInt(size), 24);
  file.writeUInt32BE(1, 36);
  file.writeBigUInt64BE(65_536n, 40);
  file.writeUInt32BE(4, 96);
  file.writeUInt32BE(104, 100);
  file.writeBigUInt64BE((1n << 63n) | 131_072n, 65_536);
  file.writeBigUInt64BE((1n << 63n) | 196_608n, 131_072);
  file.fill("\xff\xff data", 196_608, 4 * 65_536, "latin1");
  return file;
}
