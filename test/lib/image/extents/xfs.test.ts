import { copyFile, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { copyWithoutFree, createDisk, mapOf, MIB, patch, testDirectory } from "./support/images";
import { itMounting, itWith, mounted, run, tryRun } from "./support/tools";
import { digestTree, removeSome, writeTree } from "./support/trees";

const TOOLS = ["mkfs.xfs", "xfs_repair", "xfs_db"];
const SIZE = 64 * MIB;
const SMALL = ["--unsupported", "-q", "-f"];

/** What the trees of free space hold, in bytes; without the blocks set aside for the trees themselves, which xfs_db counts too. */
function freeByXfsDb(image: string): number {
  const numbers = (...commands: string[]) => {
    const text = run("xfs_db", ["-r", ...commands.flatMap((command) => ["-c", command]), image]);
    return [...text.matchAll(/(?:=|total free blocks) (\d+)/g)].map(([, value]) => Number(value));
  };
  const [blockBytes, groups] = numbers("sb 0", "print blocksize", "print agcount") as [number, number];
  const [free] = numbers("freesp -s") as [number];
  const aside = numbers(...Array.from({ length: groups }, (_, i) => [`agf ${i}`, "print flcount"]).flat());
  return (free - aside.reduce((sum, count) => sum + count, 0)) * blockBytes;
}

describe("XFS", () => {
  const { path } = testDirectory("xfs");

  const make = async (image: string, ...options: string[]) => {
    await createDisk(image, SIZE);
    run("mkfs.xfs", [...SMALL, ...(options.includes("-l") ? [] : ["-l", "size=8m"]), ...options, image]);
  };

  for (const [what, options] of [
    ["four groups", ["-d", "agcount=4"]],
    ["version 4", ["-m", "crc=0"]],
    ["version 4 and blocks of 512 bytes", ["-m", "crc=0", "-b", "size=512"]],
    ["blocks of 1 KiB", ["-b", "size=1024"]],
    ["blocks of 16 KiB", ["-b", "size=16384", "-d", "agcount=2", "-l", "size=20m"]],
    ["sectors of 4 KiB", ["-s", "size=4096"]],
    [
      "reverse mappings and shared blocks",
      ["-m", "rmapbt=1,reflink=1,bigtime=1,inobtcount=1", "-l", "size=14m"],
    ],
    ["stripes", ["-d", "sunit=64,swidth=128"]],
    ["a UUID of its own in its metadata", ["-m", "uuid=12345678-1234-1234-1234-123456789abc"]],
  ] as const) {
    itWith(TOOLS, `with ${what}: without its free blocks xfs_repair finds nothing to repair`, async () => {
      const image = path("fs.img");
      await writeTree(path("tree"), 6, 3);
      const files = await readdir(path("tree/folder-0"));
      const lines = files.map((name) => `${name} ---644 0 0 ${path("tree/folder-0")}/${name}`);
      await writeFile(path("proto"), ["/none", "0 0", "d--755 0 0", ...lines, "$", ""].join("\n"));
      await make(image, ...options, "-p", path("proto"));
      if (what.startsWith("a UUID")) run("xfs_db", ["-x", "-c", "uuid generate", image]);
      const map = await mapOf(image);
      expect(map.parts).toMatchObject([{ kind: "xfs", treated: "in-use", offset: 0, length: SIZE }]);
      expect(map.inUse.bytes).toBe(SIZE - freeByXfsDb(image));
      expect(await copyWithoutFree(image, path("copy.img"), map)).toBeGreaterThan(15 * MIB);
      const { code, text } = tryRun("xfs_repair", ["-n", "-f", path("copy.img")]);
      expect({ code, text }).toMatchObject({ code: 0 });
    });
  }

  itMounting(TOOLS, "that was in real use is whole without its free blocks", async () => {
    const image = path("fs.img");
    await make(image, "-b", "size=1024", "-d", "agcount=4");
    const expected = await mounted(image, "", async (at) => {
      await writeTree(at, 100, 1);
      // More gaps than one block of the tree has room for.
      for (let i = 0; i < 800; i++) await writeFile(join(at, `small-${i}`), `number ${i}`);
      run("sync", ["-f", at]);
      await removeSome(at, 100);
      for (let i = 0; i < 800; i += 2) await rm(join(at, `small-${i}`));
      return digestTree(at);
    });
    const levels = run("xfs_db", ["-r", "-c", "agf 0", "-c", "print bnolevel", image]);
    expect(Number(/= (\d+)/.exec(levels)![1])).toBeGreaterThan(1);
    const map = await mapOf(image);
    expect(map.parts).toMatchObject([{ kind: "xfs", treated: "in-use" }]);
    expect(map.inUse.bytes).toBe(SIZE - freeByXfsDb(image));
    await copyWithoutFree(image, path("copy.img"), map);
    expect(tryRun("xfs_repair", ["-n", "-f", path("copy.img")])).toMatchObject({ code: 0 });
    expect(await mounted(path("copy.img"), ",ro,nouuid", digestTree)).toEqual(expected);
  });

  itMounting(
    [...TOOLS, "xfs_logprint"],
    "whose log goes round is clean after each unmounting, and not in between",
    async () => {
      const image = path("fs.img");
      // Each record takes 64 KiB: 128 of them fill the log.
      await make(image, "-l", "size=8m,su=64k");
      for (let round = 0; round < 3; round++) {
        await mounted(image, "", async (at) => {
          for (let i = 0; i < 60; i++) {
            const handle = await open(join(at, `round-${round}-${i}`), "w");
            await handle.sync();
            await handle.close();
          }
          await copyFile(image, path("taken.img"));
        });
        expect((await mapOf(image)).parts).toMatchObject([{ kind: "xfs", treated: "in-use" }]);
        expect((await mapOf(path("taken.img"))).parts).toMatchObject([
          { kind: "xfs", treated: "exact", why: expect.stringMatching(/log/) },
        ]);
      }
      expect(run("xfs_logprint", [image])).toMatch(/cycle: 2/);
    },
  );

  const expectExact = async (image: string, why: RegExp) => {
    const map = await mapOf(image);
    expect(map.parts).toMatchObject([{ kind: "xfs", treated: "exact", why: expect.stringMatching(why) }]);
    expect(map.inUse.bytes).toBe(map.sizeBytes);
  };

  describe("counts bit by bit, and the report says why,", () => {
    const change = (image: string, ...commands: string[]) =>
      run("xfs_db", ["-x", ...commands.flatMap((command) => ["-c", command]), image]);

    for (const [what, options, commands, why] of [
      ["was never finished", [], ["sb 0", "write -d inprogress 1"], /mkfs was interrupted/],
      ["needs repair", [], ["sb 0", "write -d features_incompat 0x1b"], /marked as needing repair/],
      [
        "has a feature of the future",
        [],
        ["sb 0", "write -d features_incompat 0x1000"],
        /not known \(incompat 0x1000\)/,
      ],
      ["has a log to replay", [], ["sb 0", "write -d features_log_incompat 1"], /still to be replayed/],
      ["has its log elsewhere", [], ["sb 0", "write -d logstart 0"], /log on another device/],
      ["has realtime blocks", ["-m", "crc=0"], ["sb 0", "write -d rblocks 5"], /part on a realtime device/],
      [
        "is said to have more groups",
        ["-m", "crc=0"],
        ["sb 0", "write -d agcount 99"],
        /blocks in 99 groups/,
      ],
      ["has free blocks that are not counted", [], ["agf 1", "write -d freeblks 5"], /whose header says 5/],
      ["has a tree that leads outside", [], ["agf 1", "write -d bnoroot 99999"], /leads to block 99999/],
      ["has a tree that is none", [], ["agf 1", "write -d bnoroot 9"], /broken at block 9|leads to/],
      ["has a group's header of another", [], ["agf 1", "write -d seqno 2"], /said to be of group 2/],
    ] as const) {
      itWith(TOOLS, `when it ${what}`, async () => {
        const image = path("fs.img");
        await make(image, ...options);
        change(image, ...commands);
        await expectExact(image, why);
      });
    }

    itWith(TOOLS, "when a bit of its metadata flipped", async () => {
      const image = path("fs.img");
      await make(image);
      for (const [at, why] of [
        [4096 + 8, /free space in group 0 whose checksum/],
        [512 + 48, /header of group 0 whose checksum/],
        [144, /superblock whose checksum/],
      ] as const) {
        await patch(image, at, Buffer.of(0x5a));
        await expectExact(image, why);
      }
    });

    itWith(TOOLS, "when the record of its unmounting is not there, or not the last", async () => {
      const image = path("fs.img");
      await make(image);
      const log = logOffset(image);
      const bytes = await readFile(image);
      // Its flag, the number of its operations, its length, and a block after it of its own cycle.
      for (const [at, value] of [
        [log + 512 + 9, [0]],
        [log + 40, [0, 0, 0, 2]],
        [log + 12, [0, 0, 6, 0]],
        [log + 1024, [0, 0, 0, 1]],
      ] as const) {
        await writeFile(image, bytes);
        await patch(image, at, Buffer.from(value));
        await expectExact(image, /log/);
      }
    });

    itWith(TOOLS, "when the disk is shorter than it", async () => {
      const image = path("fs.img");
      await make(image);
      await truncate(image, SIZE - 4096);
      await expectExact(image, /bytes, more than the/);
    });
  });
});

function logOffset(image: string): number {
  const text = run("xfs_db", ["-r", "-c", "sb 0", "-c", "print logstart agblklog agblocks blocksize", image]);
  const [start, bits, blocks, size] = [...text.matchAll(/= (\d+)/g)].map(([, value]) => Number(value)) as [
    number,
    number,
    number,
    number,
  ];
  return (Math.floor(start / 2 ** bits) * blocks + (start % 2 ** bits)) * size;
}
