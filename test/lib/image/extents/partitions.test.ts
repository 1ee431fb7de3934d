import { readFile, truncate, writeFile } from "node:fs/promises";
import { crc32 } from "../../../../lib/image/extents/crc";
import { copyWithoutFree, createDisk, mapOf, MIB, patch, testDirectory } from "./support/images";
import { itWith, run, tryRun } from "./support/tools";

/** So small that holes are not asked for: everything counts as allocated. */
const DISK = 63 * MIB;

describe("a partition table", () => {
  const { path } = testDirectory("partitions");
  const disk = () => path("disk.raw");

  const partition = async (script: string, size = DISK) => {
    await createDisk(disk(), size);
    run("sfdisk", ["-q", disk()], script);
  };

  /** Puts an ext4 file system with a file in it at a place of the disk. */
  const putExt4 = async (offset: number, size: number) => {
    await createDisk(path("part.img"), size);
    await writeFile(path("file"), Buffer.alloc(300_000, "what is kept"));
    run("mkfs.ext4", ["-q", "-F", "-b", "1024", path("part.img")]);
    run("debugfs", ["-w", "-f", "-", path("part.img")], `write ${path("file")} file\n`);
    await patch(disk(), offset, await readFile(path("part.img")));
  };

  const putSwap = async (offset: number, size: number) => {
    await createDisk(path("swap.img"), size);
    run("mkswap", ["-q", path("swap.img")]);
    await patch(disk(), offset, await readFile(path("swap.img")));
  };

  /** With all free bytes gone, the file system at `offset` must be sound. */
  const expectSound = async (offset: number, size: number) => {
    const map = await mapOf(disk());
    const freed = await copyWithoutFree(disk(), path("copy.raw"), map);
    await writeFile(path("part.img"), (await readFile(path("copy.raw"))).subarray(offset, offset + size));
    expect(tryRun("e2fsck", ["-f", "-n", path("part.img")])).toMatchObject({ code: 0 });
    run("debugfs", ["-R", `dump /file ${path("out")}`, path("part.img")]);
    expect((await readFile(path("out"))).equals(await readFile(path("file")))).toBe(true);
    return freed;
  };

  const LAYOUT = [
    "start=2048, size=8192, type=uefi",
    "start=10240, size=65536, type=linux",
    "start=77824, size=16384, type=swap",
    "start=100000, size=20000, type=linux",
  ].join("\n");

  const putAll = async () => {
    await putExt4(10240 * 512, 32 * MIB);
    await putSwap(77824 * 512, 8 * MIB);
    await patch(disk(), 100_000 * 512, Buffer.from("LUKS\xba\xbe", "latin1"));
  };

  const PARTS = [
    { offset: 0, length: MIB, kind: "gap", treated: "exact" },
    { offset: MIB, length: 4 * MIB, kind: "unknown", treated: "exact" },
    { offset: 5 * MIB, length: 32 * MIB, kind: "ext4", treated: "in-use" },
    { offset: 37 * MIB, length: MIB, kind: "gap", treated: "exact" },
    { offset: 38 * MIB, length: 8 * MIB, kind: "swap", treated: "in-use", inUseBytes: 4096 },
    { offset: 46 * MIB, length: 100_000 * 512 - 46 * MIB, kind: "gap", treated: "exact" },
    { offset: 51_200_000, length: 10_240_000, kind: "luks", treated: "exact" },
    { offset: 61_440_000, length: DISK - 61_440_000, kind: "gap", treated: "exact" },
  ];

  itWith(
    ["sfdisk", "mkfs.ext4", "mkswap"],
    "of GUIDs: partitions are judged each for itself, and gaps count",
    async () => {
      await partition(`label: gpt\n${LAYOUT}`);
      await putAll();
      const map = await mapOf(disk());
      expect(map.parts).toMatchObject(PARTS);
      expect(map.parts.map(({ why }) => why ?? "").join("\n")).toMatch(
        /it belongs to no partition\nit begins with no file system that is known\n\n.*\n\n.*\nit is encrypted/,
      );
      expect(map.inUse.bytes).toBe(map.parts.reduce((sum, { inUseBytes }) => sum + inUseBytes, 0));
      expect(await expectSound(5 * MIB, 32 * MIB)).toBeGreaterThan(30 * MIB);
      expect(tryRun("sgdisk", ["-v", path("copy.raw")]).text).not.toMatch(/Caution|Problem|CRC/);
    },
  );

  itWith(["sfdisk", "mkfs.ext4", "mkswap"], "of GUIDs for sectors of 4 KiB", async () => {
    await createDisk(disk(), DISK);
    const entries = Buffer.alloc(128 * 128);
    entries.fill(1, 0, 32);
    entries.writeBigUInt64LE(1280n, 32);
    entries.writeBigUInt64LE(1280n + 8191n, 40);
    const header = Buffer.alloc(4096);
    header.write("EFI PART\0\0\x01\0\x5c", "latin1");
    header.writeBigUInt64LE(1n, 24);
    header.writeBigUInt64LE(2n, 72);
    header.writeUInt32LE(128, 80);
    header.writeUInt32LE(128, 84);
    header.writeUInt32LE(crc32(entries), 88);
    header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
    await patch(disk(), 0, firstSector([0xee, 1, 0xffffffff]));
    await patch(disk(), 4096, header);
    await patch(disk(), 8192, entries);
    await putExt4(5 * MIB, 32 * MIB);
    expect((await mapOf(disk())).parts).toMatchObject([
      { kind: "gap" },
      { offset: 5 * MIB, length: 32 * MIB, kind: "ext4", treated: "in-use" },
      { kind: "gap" },
    ]);
  });

  itWith(["sfdisk", "mkfs.ext4", "mkswap"], "of GUIDs is read from its copy when it is broken", async () => {
    await partition(`label: gpt\n${LAYOUT}`);
    await putAll();
    const bytes = await readFile(disk());
    for (const [at, junk] of [
      [512, "no header"],
      [512 + 60, "another GUID"],
      [1024 + 200, "another partition"],
    ] as const) {
      await writeFile(disk(), bytes);
      await patch(disk(), at, Buffer.from(junk));
      expect((await mapOf(disk())).parts).toMatchObject(PARTS);
      await patch(disk(), DISK - 512 + 60, Buffer.from("also"));
      expect((await mapOf(disk())).parts).toMatchObject([
        { offset: 0, length: DISK, kind: "gpt", treated: "exact", inUseBytes: expect.any(Number) },
      ]);
    }
  });

  itWith(["sfdisk"], "of GUIDs with thousands of entries is bounded", async () => {
    await partition("label: gpt\n");
    const header = (await readFile(disk())).subarray(512, 1024);
    const write = async (count: number) => {
      const entries = Buffer.alloc(count * 128);
      for (let i = 0; i < count; i++) {
        entries.fill(1, i * 128, i * 128 + 32);
        entries.writeBigUInt64LE(BigInt(4096 + 8 * i), i * 128 + 32);
        entries.writeBigUInt64LE(BigInt(4096 + 8 * i + 3), i * 128 + 40);
      }
      header.writeUInt32LE(count, 80);
      header.writeUInt32LE(crc32(entries), 88);
      header.writeUInt32LE(0, 16);
      header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
      await patch(disk(), 512, header);
      await patch(disk(), 1024, entries);
      return (await mapOf(disk())).parts;
    };
    expect(await write(1000)).toHaveLength(2001);
    expect(await write(1025)).toMatchObject([
      { kind: "gpt", why: expect.stringMatching(/more than 1024 partitions/) },
    ]);
    header.writeUInt32LE(0x7fffffff, 80);
    expect(await write(9000)).toMatchObject([
      { kind: "gpt", why: expect.stringMatching(/table of 9000 entries/) },
    ]);
  });

  itWith(["sfdisk", "mkfs.ext4", "mkswap"], "of the old kind with logical partitions", async () => {
    const layout = [
      "start=2048, size=8192, type=c, bootable",
      "start=10240, size=110000, type=f",
      "start=12288, size=65536, type=83",
      "start=79872, size=16384, type=82",
    ].join("\n");
    await partition(`label: dos\n${layout}`);
    await putExt4(12288 * 512, 32 * MIB);
    await putSwap(79872 * 512, 8 * MIB);
    expect((await mapOf(disk())).parts).toMatchObject([
      { kind: "gap", offset: 0 },
      { kind: "unknown", offset: MIB },
      { kind: "gap", offset: 5 * MIB, length: MIB },
      { kind: "ext4", offset: 6 * MIB, length: 32 * MIB, treated: "in-use" },
      { kind: "gap", offset: 38 * MIB, length: MIB },
      { kind: "swap", offset: 39 * MIB, inUseBytes: 4096 },
      { kind: "gap", offset: 47 * MIB, length: DISK - 47 * MIB },
    ]);
    expect(await expectSound(6 * MIB, 32 * MIB)).toBeGreaterThan(30 * MIB);
  });

  describe("of the old kind", () => {
    const partsOf = async (...sectors: [at: number, sector: Buffer][]) => {
      await createDisk(disk(), DISK);
      for (const [at, sector] of sectors) await patch(disk(), at * 512, sector);
      const map = await mapOf(disk());
      // Nothing here may ever be called free: there is no file system.
      expect(map.inUse.bytesWithin(2 * MIB, DISK)).toBe(DISK - 2 * MIB);
      return map.parts;
    };

    it("whose chain of logical partitions leads round in a circle counts bit by bit", async () => {
      const parts = await partsOf(
        [0, firstSector([5, 4096, 100_000])],
        [4096, firstSector([0x83, 64, 1000], [5, 8192, 9000])],
        [4096 + 8192, firstSector([0x83, 64, 1000], [5, 8192, 9000])],
      );
      expect(parts[1]).toMatchObject({ offset: 4096 * 512, why: expect.stringMatching(/round in a circle/) });
    });

    it.each<[string, Buffer, RegExp]>([
      ["breaks off", Buffer.alloc(512), /broken at 0/],
      ["leads outside", firstSector([0x83, 64, 1000], [5, 0x7fffffff, 10]), /outside of it/],
      [
        "holds a partition outside of it",
        firstSector([0x83, 64, 0x7fffffff]),
        /logical partition at 0 outside/,
      ],
      ["forks", firstSector([0x83, 64, 100], [0x83, 200, 100]), /more than one logical/],
    ])("whose chain of logical partitions %s counts bit by bit", async (_, link, why) => {
      const parts = await partsOf([0, firstSector([5, 4096, 100_000])], [4096, link]);
      expect(parts[1]).toMatchObject({
        offset: 4096 * 512,
        treated: "exact",
        why: expect.stringMatching(why),
      });
    });

    it("with hundreds of logical partitions is bounded", async () => {
      const links = Array.from({ length: 300 }, (_, i): [number, Buffer] => [
        4096 + 16 * i,
        firstSector([0x83, 1, 1], [5, 16 * (i + 1), 16]),
      ]);
      const parts = await partsOf([0, firstSector([5, 4096, 100_000])], ...links);
      expect(parts[1]).toMatchObject({ why: expect.stringMatching(/more than 256 logical partitions/) });
    });

    it("with partitions beyond the end of the disk counts them bit by bit, or not at all", async () => {
      const parts = await partsOf([0, firstSector([0x83, 4096, 0x7fffffff], [0x83, 0x70000000, 5])]);
      expect(parts).toMatchObject([
        { kind: "gap" },
        {
          offset: 4096 * 512,
          length: DISK - 4096 * 512,
          why: expect.stringMatching(/beyond the end of the disk/),
        },
      ]);
    });

    it("with a partition that begins with the table counts bit by bit", async () => {
      const parts = await partsOf([0, firstSector([0x83, 0, 1000])]);
      expect(parts).toMatchObject([
        { kind: "mbr", why: expect.stringMatching(/begins with the partition table/) },
      ]);
    });

    it("that announces a table of GUIDs that is not there counts bit by bit", async () => {
      const parts = await partsOf([0, firstSector([0xee, 1, 0xffffffff])]);
      expect(parts).toMatchObject([{ kind: "gpt", length: DISK, why: expect.stringMatching(/no header/) }]);
    });

    itWith(["mkfs.ext4"], "whose partitions overlap counts both bit by bit", async () => {
      await createDisk(disk(), DISK);
      await putExt4(4096 * 512, 32 * MIB);
      const good = firstSector([0x83, 4096, 65536]);
      await patch(disk(), 0, good);
      expect((await mapOf(disk())).parts[1]).toMatchObject({ kind: "ext4", treated: "in-use" });
      await patch(disk(), 0, firstSector([0x83, 69631, 4096], [0x83, 4096, 65536]));
      expect((await mapOf(disk())).parts).toMatchObject([
        { kind: "gap" },
        { kind: "ext4", treated: "exact", why: expect.stringMatching(/overlaps with another/) },
        { kind: "unknown", treated: "exact", why: expect.stringMatching(/overlaps with another/) },
        { kind: "gap" },
      ]);
    });
  });

  itWith(
    ["sfdisk", "mkfs.ext4"],
    "and a file system of the whole disk: only one can be true, so all counts",
    async () => {
      await createDisk(disk(), DISK);
      run("mkfs.ext4", ["-q", "-F", disk()]);
      expect((await mapOf(disk())).parts).toMatchObject([{ kind: "ext4", treated: "in-use" }]);
      run("sfdisk", ["-q", "--wipe", "never", disk()], "label: dos\nstart=2048, size=8192, type=83");
      expect((await mapOf(disk())).parts).toMatchObject([
        { kind: "ext4", why: expect.stringMatching(/has both/) },
      ]);
      // A table of GUIDs that the first sector no longer announces, as mkfs on a disk that had partitions leaves it.
      run("sfdisk", ["-q", "--wipe", "never", disk()], "label: gpt\nstart=2048, size=8192, type=linux");
      const backup = (await readFile(disk())).subarray(-512);
      run("mkfs.ext4", ["-q", "-F", disk()]);
      await patch(disk(), DISK - 512, backup);
      expect((await mapOf(disk())).parts).toMatchObject([
        { kind: "gpt", why: expect.stringMatching(/does not announce/) },
      ]);
    },
  );

  itWith(["mkfs.ext4"], "is cut off where the image is: then what it says is not believed", async () => {
    await partition(`label: gpt\n${LAYOUT}`);
    await putAll();
    await truncate(disk(), 30 * MIB);
    expect((await mapOf(disk())).parts).toMatchObject([
      { kind: "gap" },
      { kind: "unknown" },
      {
        kind: "ext4",
        length: 25 * MIB,
        treated: "exact",
        why: expect.stringMatching(/beyond the end of the disk/),
      },
    ]);
  });
});

/** A first sector (or a link in the chain of logical partitions) with these entries. */
function firstSector(...entries: [type: number, start: number, sectors: number][]): Buffer {
  const sector = Buffer.alloc(512);
  sector.writeUInt16BE(0x55aa, 510);
  for (const [i, [type, start, sectors]] of entries.entries()) {
    sector[446 + 16 * i + 4] = type;
    sector.writeUInt32LE(start, 446 + 16 * i + 8);
    sector.writeUInt32LE(sectors, 446 + 16 * i + 12);
  }
  return sector;
}
