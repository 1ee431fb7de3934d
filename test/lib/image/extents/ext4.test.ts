import { copyFile, mkdir, truncate } from "node:fs/promises";
import { copyWithoutFree, createDisk, mapOf, MIB, patch, testDirectory } from "./support/images";
import { itMounting, itWith, mounted, run, tryRun } from "./support/tools";
import { digestTree, fileName, removeSome, writeTree } from "./support/trees";

const TOOLS = ["mkfs.ext4", "debugfs", "e2fsck", "dumpe2fs"];
const FILES = 60;
const SIZE = 32 * MIB;

/** What e2fsprogs has as blocks in use, in bytes. */
function inUseByDumpe2fs(image: string): number {
  const text = run("dumpe2fs", ["-h", image]);
  const value = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, "m").exec(text)![1]);
  return (value("Block count") - value("Free blocks")) * value("Block size");
}

describe("ext4", () => {
  const { path } = testDirectory("ext4");

  /** A file system that was filled and of which half the files were removed again, without root. */
  const make = async (image: string, options: string) => {
    await writeTree(path("tree"), FILES, 7);
    await createDisk(image, SIZE);
    run("mkfs.ext4", ["-q", "-F", ...options.split(" "), "-d", path("tree"), image]);
    const removed = Array.from(
      { length: FILES / 2 },
      (_, i) => `rm folder-${(2 * i) % 5}/${fileName(2 * i)}\n`,
    );
    run("debugfs", ["-w", "-f", "-", image], removed.join(""));
    await removeSome(path("tree"), FILES);
  };

  const expectIntact = async (image: string) => {
    const { code, text } = tryRun("e2fsck", ["-f", "-n", image]);
    expect({ code, text }).toMatchObject({ code: 0 });
    const out = path("out");
    await mkdir(out);
    run("debugfs", ["-f", "-", image], `rdump / ${out}\n`);
    expect(await digestTree(out)).toEqual(await digestTree(path("tree")));
  };

  for (const [what, options] of [
    ["blocks of 1 KiB", "-b 1024"],
    ["blocks of 2 KiB", "-b 2048 -g 1024"],
    ["blocks of 4 KiB", "-b 4096 -g 1024"],
    ["metadata in each group", "-b 1024 -O ^flex_bg"],
    ["metadata packed together", "-b 4096 -g 1024 -E packed_meta_blocks=1"],
    ["clusters", "-b 4096 -O bigalloc -C 16384 -g 4096"],
    ["clusters of blocks of 1 KiB", "-b 1024 -O bigalloc -C 8192"],
    ["block numbers of 32 bits", "-b 4096 -O ^64bit -g 1024"],
    ["descriptors in their own groups", "-b 1024 -O meta_bg,^resize_inode -g 512"],
    ["the same with clusters", "-b 1024 -O meta_bg,bigalloc,^resize_inode -C 4096 -g 1024"],
    ["sums of 16 bits", "-b 1024 -O ^metadata_csum,uninit_bg"],
    ["sums of 16 bits, and 64 bits", "-b 1024 -O ^metadata_csum,uninit_bg,64bit"],
    ["no sums at all", "-b 1024 -O ^metadata_csum,^uninit_bg"],
    ["two superblock copies", "-b 1024 -O sparse_super2"],
    ["superblock copies everywhere", "-b 1024 -O ^sparse_super,^resize_inode"],
    ["the features of ext3", "-t ext3 -b 1024"],
    ["the features of ext2", "-t ext2 -b 4096 -g 1024"],
  ] as const) {
    itWith(
      TOOLS,
      `with ${what}: without its free blocks it checks clean and holds the same files`,
      async () => {
        const image = path("fs.img");
        await make(image, options);
        const map = await mapOf(image);
        expect(map.parts).toMatchObject([{ offset: 0, length: SIZE, treated: "in-use" }]);
        expect(map.parts[0]!.kind).toBe(/-t (ext\d)/.exec(options)?.[1] ?? "ext4");
        expect(map.inUse.bytes).toBe(inUseByDumpe2fs(image));
        expect(map.parts[0]!.inUseBytes).toBe(map.inUse.bytes);
        expect(await copyWithoutFree(image, path("copy.img"), map)).toBeGreaterThan(8 * MIB);
        await expectIntact(path("copy.img"));
      },
    );
  }

  itWith(
    TOOLS,
    "keeps the boot block, the copies of the superblock, and what follows the file system",
    async () => {
      const image = path("fs.img");
      await make(image, "-b 1024");
      await truncate(image, SIZE + 12_345);
      const { inUse } = await mapOf(image);
      expect(inUse.bytesWithin(0, 4096)).toBe(4096);
      for (const group of [1, 3]) {
        const start = (1 + group * 8192) * 1024;
        expect(inUse.bytesWithin(start, start + 2048)).toBe(2048);
      }
      expect(inUse.bytesWithin(SIZE, SIZE + 12_345)).toBe(12_345);
    },
  );

  describe("counts bit by bit, and the report says why,", () => {
    const expectExact = async (image: string, why: RegExp) => {
      const map = await mapOf(image);
      expect(map.parts).toEqual([
        expect.objectContaining({ kind: "ext4", treated: "exact", why: expect.stringMatching(why) }),
      ]);
      expect(map.inUse.bytes).toBe(map.sizeBytes);
    };

    for (const [what, command, why] of [
      ["was not unmounted", "ssv state 0", /was not unmounted/],
      ["has errors", "ssv state 3", /marked as having errors/],
      ["needs its journal", "feature needs_recovery", /needs recovery from its journal/],
      ["has deleted files", "ssv last_orphan 12", /deleted files whose space is still to be set free/],
      ["has its journal elsewhere", "ssv journal_inum 0", /journal on another device/],
      ["has a feature of the future", "ssv feature_incompat 0x802c2", /not known \(incompat 0x80000\)/],
      ["has another such feature", "ssv feature_ro_compat 0x80046b", /not known \(ro_compat 0x800000\)/],
      [
        "claims to be larger than its place",
        "ssv blocks_count 32769",
        /33555456 bytes, more than the 33554432/,
      ],
      [
        "has one block free more than its bitmap",
        "set_bg 2 free_blocks_count 1\nset_bg 2 checksum calc",
        /bitmap says/,
      ],
      [
        "has a bitmap outside of it",
        "set_bg 2 block_bitmap 99999\nset_bg 2 checksum calc",
        /bitmap of group 2 at block 99999/,
      ],
      ["has a descriptor with a wrong sum", "set_bg 1 checksum 1", /descriptor of group 1 whose checksum/],
    ] as const) {
      itWith(TOOLS, `when it ${what}`, async () => {
        const image = path("fs.img");
        await createDisk(image, SIZE);
        run("mkfs.ext4", ["-q", "-F", "-b", "1024", image]);
        run("debugfs", ["-w", "-f", "-", image], `${command}\n`);
        await expectExact(image, why);
      });
    }

    for (const options of ["metadata_csum", "^metadata_csum"]) {
      itWith(TOOLS, `when a bit of a bitmap flipped (${options})`, async () => {
        const image = path("fs.img");
        await createDisk(image, SIZE);
        run("mkfs.ext4", ["-q", "-F", "-b", "1024", "-O", options, image]);
        const [, bitmap] = /Group 0:[^]*?Block bitmap at (\d+)/.exec(run("dumpe2fs", [image]))!;
        await patch(image, Number(bitmap) * 1024 + 1023, Buffer.of(0x01));
        await expectExact(
          image,
          options === "metadata_csum" ? /bitmap of group 0 whose checksum/ : /its bitmap says/,
        );
      });
    }

    itWith(TOOLS, "when its superblock is damaged", async () => {
      const image = path("fs.img");
      await createDisk(image, SIZE);
      run("mkfs.ext4", ["-q", "-F", image]);
      await patch(image, 1024 + 0x78, Buffer.from("label"));
      await expectExact(image, /superblock whose checksum is wrong/);
    });

    itMounting(TOOLS, "while it is mounted, and no longer when it was unmounted", async () => {
      const image = path("fs.img");
      await createDisk(image, SIZE);
      run("mkfs.ext4", ["-q", "-F", image]);
      await mounted(image, "", async (at) => {
        await writeTree(at, 20, 1);
        run("sync", ["-f", at]);
        await copyFile(image, path("taken.img"));
      });
      await expectExact(path("taken.img"), /needs recovery from its journal/);
      expect((await mapOf(image)).parts[0]!.treated).toBe("in-use");
    });
  });

  itMounting(TOOLS, "that was in real use is whole without its free blocks", async () => {
    const image = path("fs.img");
    await createDisk(image, SIZE);
    run("mkfs.ext4", ["-q", "-F", "-b", "1024", image]);
    const expected = await mounted(image, "", async (at) => {
      await writeTree(at, 150, 1);
      await removeSome(at, 150);
      await writeTree(`${at}/again`, 60, 2);
      return digestTree(at);
    });
    const map = await mapOf(image);
    expect(map.parts[0]!.treated).toBe("in-use");
    await copyWithoutFree(image, path("copy.img"), map);
    expect(tryRun("e2fsck", ["-f", "-n", path("copy.img")])).toMatchObject({ code: 0 });
    expect(await mounted(path("copy.img"), ",ro", digestTree)).toEqual(expected);
  });
});
