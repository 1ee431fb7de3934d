import { truncate } from "node:fs/promises";
import { copyWithoutFree, createDisk, mapOf, MIB, patch, testDirectory } from "./support/images";
import { itWith, run, tryRun } from "./support/tools";

describe("swap space", () => {
  const { path } = testDirectory("swap");

  for (const pageBytes of [4096, 8192, 16_384, 32_768, 65_536]) {
    itWith(["mkswap"], `with pages of ${pageBytes} bytes: only the first of them counts`, async () => {
      const image = path("swap.img");
      await createDisk(image, 8 * MIB + 512);
      const id = "12345678-1234-1234-1234-123456789abc";
      run("mkswap", ["-q", "-p", String(pageBytes), "-L", "a label", "-U", id, image]);
      const map = await mapOf(image);
      expect(map.parts).toMatchObject([{ kind: "swap", treated: "in-use", inUseBytes: pageBytes + 512 }]);
      expect([map.inUse.end(0), map.inUse.start(1)]).toEqual([pageBytes, 8 * MIB]);
      await copyWithoutFree(image, path("copy.img"), map);
      const { text } = tryRun("swaplabel", [path("copy.img")]);
      expect(text).toContain("a label");
      expect(text).toContain(id);
    });
  }

  itWith(["mkswap"], "counts bit by bit when a system sleeps in it, or it makes no sense", async () => {
    const image = path("swap.img");
    for (const [at, bytes, why] of [
      [4086, Buffer.from("S1SUSPEND\0"), /suspended system/],
      [4086, Buffer.from("S2SUSPEND\0"), /suspended system/],
      [4086, Buffer.from("ULSUSPEND\0"), /suspended system/],
      [4086, Buffer.from("\xed\xc3\x02\xe9\x98\x56\xe5\x0c", "latin1"), /suspended system/],
      [4086, Buffer.from("SWAP-SPACE"), /old kind/],
      [1024, Buffer.of(7, 0, 0, 0), /version 7/],
      [1028, Buffer.of(255, 255, 255, 255), /17592186044416 bytes, more than/],
    ] as const) {
      await createDisk(image, 8 * MIB);
      run("mkswap", ["-q", image]);
      await patch(image, at, bytes);
      const map = await mapOf(image);
      expect(map.parts).toMatchObject([{ kind: "swap", treated: "exact", why: expect.stringMatching(why) }]);
      expect(map.inUse.bytes).toBe(8 * MIB);
    }
  });

  itWith(["mkswap"], "counts bit by bit when the disk was cut off", async () => {
    const image = path("swap.img");
    await createDisk(image, 8 * MIB);
    run("mkswap", ["-q", image]);
    await truncate(image, 8 * MIB - 1);
    expect((await mapOf(image)).parts).toMatchObject([
      { kind: "swap", why: expect.stringMatching(/more than the/) },
    ]);
  });
});

describe("what is known by name only", () => {
  const { path } = testDirectory("signatures");

  it.each([
    ["luks", 0, "LUKS\xba\xbe", "encrypted"],
    ["lvm", 512, "LABELONE", "volumes"],
    ["raid", 4096, "\xfc\x4e\x2b\xa9", "volumes"],
    ["raid", 8 * MIB - 8192, "\xfc\x4e\x2b\xa9", "volumes"],
    ["raid", 8 * MIB - 65_536, "\xfc\x4e\x2b\xa9", "volumes"],
    ["btrfs", 65_600, "_BHRfS_M", "file system"],
    ["ntfs", 3, "NTFS    ", "file system"],
    ["fat", 82, "FAT32   ", "file system"],
    ["iso9660", 32_769, "CD001", "file system"],
    ["zfs", 131_072, "\x0c\xb1\xba\x00\x00\x00\x00\x00", "volumes"],
  ])(
    "is %s by what stands at %d, and counts bit by bit, whatever else is there",
    async (kind, at, bytes, why) => {
      const image = path("disk.img");
      await createDisk(image, 8 * MIB);
      // Swap space that was there before: its signature would set nearly all free.
      await patch(image, 4086, Buffer.from("SWAPSPACE2"));
      await patch(image, at, Buffer.from(bytes, "latin1"));
      const map = await mapOf(image);
      expect(map.parts).toMatchObject([{ kind, treated: "exact", why: expect.stringContaining(why) }]);
      expect(map.inUse.bytes).toBe(8 * MIB);
    },
  );

  itWith(
    ["mkfs.ext4", "mkswap"],
    "two signatures of which one is older: nobody knows which, so all counts",
    async () => {
      const image = path("disk.img");
      await createDisk(image, 8 * MIB);
      run("mkfs.ext4", ["-q", "-F", "-b", "4096", image]);
      await patch(image, 4086, Buffer.from("SWAPSPACE2"));
      expect((await mapOf(image)).parts).toMatchObject([
        { treated: "exact", why: expect.stringMatching(/signatures of ext4 and swap/) },
      ]);
    },
  );

  it("is the whole disk, when a copy bit by bit was asked for", async () => {
    const image = path("disk.img");
    await createDisk(image, 8 * MIB);
    const map = await mapOf(image, { exact: true });
    expect(map.parts).toMatchObject([{ offset: 0, length: 8 * MIB, kind: "disk", treated: "exact" }]);
    expect(map.parts[0]!.why).toBe("it is to be copied bit by bit");
  });
});
