import { mapExtents } from "../../../../lib/image/extents";
import { createDisk, MIB, testDirectory } from "./support/images";
import { MemorySource } from "./support/memory-source";
import { itWith, run } from "./support/tools";

const KIB = 1024;
const SIZE = 16 * MIB;
/** Not whole in any unit that superblocks at the end are aligned to. */
const ODD = SIZE + 5 * 512;
const XFS_SIZE = 64 * MIB;

/** The bytes of each as the tools of that file system write them: [what it is, offset, bytes, size of the disk]. */
const OVER_EXT4: readonly (readonly [string, number, string, number?])[] = [
  ["zfs", 128 * KIB, "\x0c\xb1\xba\0\0\0\0\0"],
  ["zfs", 128 * KIB + 77 * KIB, "\x0c\xb1\xba\0\0\0\0\0"],
  ["zfs", 255 * KIB, "\0\0\0\0\0\xba\xb1\x0c"],
  ["zfs", 256 * KIB + 128 * KIB + 8 * KIB, "\x0c\xb1\xba\0\0\0\0\0"],
  ["zfs", SIZE - 512 * KIB + 129 * KIB, "\x0c\xb1\xba\0\0\0\0\0", ODD],
  ["zfs", SIZE - KIB, "\0\0\0\0\0\xba\xb1\x0c", ODD],
  ["ufs", 8 * KIB + 1372, "\x54\x19\x01\0"],
  ["ufs", 64 * KIB + 1372, "\x19\x01\x54\x19"],
  ["ufs", 256 * KIB + 1372, "\x19\x54\x01\x19"],
  ["jfs", 32 * KIB, "JFS1"],
  ["ocfs2", 4 * KIB, "OCFSV2"],
  ["gfs2", 64 * KIB, "\x01\x16\x19\x70"],
  ["reiserfs", 64 * KIB + 52, "ReIsEr2Fs"],
  ["reiserfs", 8 * KIB + 52, "ReIsErFs"],
  ["reiser4", 64 * KIB, "ReIsEr4"],
  ["vmfs", 2 * MIB, "\x5e\xf1\xab\x2f"],
  ["vmfs", MIB, "\x0d\xd0\x01\xc0"],
  ["bcachefs", 4 * KIB + 24, "\xc6\x85\x73\xf6\x66\xce\x90\xa9"],
  ["bcache", 4 * KIB + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca"],
  ["vdo", 0, "dmvdo001"],
  ["verity", 0, "verity\0\0"],
  ["integrity", 0, "integrt\0"],
  ["nilfs2", SIZE - 4 * KIB, "\x02\0\0\0\0\0\x34\x34", ODD],
  ["f2fs", 5 * KIB, "\x10\x20\xf5\xf2"],
  ["exfat", 3, "EXFAT   "],
  ["ntfs", 3, "NTFS    "],
  ["fat", 54, "FAT16   "],
  ["squashfs", 0, "sqsh"],
  ["udf", 32 * KIB + 1, "BEA01"],
  ["btrfs", 64 * KIB + 64, "_BHRfS_M"],
  ["luks", 0, "LUKS\xba\xbe"],
  ["luks", 16 * KIB, "SKUL\xba\xbe"],
  ["luks", 4 * MIB, "SKUL\xba\xbe"],
  ["lvm", 1536, "LABELONE"],
  ["raid", 4 * KIB, "\xfc\x4e\x2b\xa9"],
  ["raid", SIZE - 64 * KIB, "\xa9\x2b\x4e\xfc", ODD],
  ["raid", ODD - 512, "\xde\x11\xde\x11", ODD],
  ["drbd", SIZE - 4 * KIB + 60, "\x83\x74\x02\x6b", ODD],
];
/** Those lie where the superblock of ext4 is: together with it they cannot be. */
const OVER_XFS: readonly (readonly [string, number, string])[] = [
  ["hfs", KIB, "BD"],
  ["hfsplus", KIB, "H+\0\x04"],
  ["hfsplus", KIB, "HX\0\x05"],
  ["nilfs2", KIB, "\x02\0\0\0\0\0\x34\x34"],
  ["erofs", KIB, "\xe2\xe1\xf5\xe0"],
  ["minix", KIB + 16, "\x8f\x13"],
  ["minix", KIB + 24, "\x5a\x4d"],
  ["zfs", 200 * KIB, "\x0c\xb1\xba\0\0\0\0\0"],
];

describe("a superblock that another file system was made over", () => {
  const { path } = testDirectory("stale");

  const findings = async (
    disk: MemorySource,
    list: readonly (readonly [string, number, string, number?])[],
  ) => {
    const found: unknown[] = [];
    for (const [, offset, bytes, size] of list) {
      const copy = disk.copy(size);
      copy.write(offset, Buffer.from(bytes, "latin1"));
      const { parts } = await mapExtents(copy);
      found.push(
        parts.map(({ kind, treated, why }) => [kind, offset, treated, why?.replace(/^.*, and/, "and")]),
      );
    }
    return found;
  };
  const expected = (list: typeof OVER_EXT4, name: string) =>
    list.map(([kind, offset]) => [[kind, offset, "exact", `and has a superblock of ${name} besides`]]);

  itWith(["mkfs.ext4"], "counts bit by bit and names both: ext4", async () => {
    await createDisk(path("disk.img"), SIZE);
    run("mkfs.ext4", ["-q", "-F", "-b", "1024", path("disk.img")]);
    const disk = MemorySource.load(path("disk.img"));
    for (const size of [SIZE, ODD]) {
      expect((await mapExtents(disk.copy(size))).parts).toMatchObject([{ kind: "ext4", treated: "in-use" }]);
    }
    expect(await findings(disk, OVER_EXT4)).toEqual(expected(OVER_EXT4, "ext4"));
  });

  itWith(["mkfs.xfs"], "counts bit by bit and names both: XFS", async () => {
    await createDisk(path("disk.img"), XFS_SIZE);
    run("mkfs.xfs", ["-q", "-f", "-s", "size=4096", "--unsupported", path("disk.img")]);
    const disk = MemorySource.load(path("disk.img"));
    expect((await mapExtents(disk)).parts).toMatchObject([{ kind: "xfs", treated: "in-use" }]);
    expect(await findings(disk, OVER_XFS)).toEqual(expected(OVER_XFS, "xfs"));
  });

  itWith(["mkfs.ext4"], "does not take ext4's count of free inodes for the mark of minix", async () => {
    await createDisk(path("disk.img"), SIZE);
    run("mkfs.ext4", ["-q", "-F", "-b", "1024", "-O", "^metadata_csum", path("disk.img")]);
    const disk = MemorySource.load(path("disk.img"));
    disk.write(KIB + 16, Buffer.from("\x7f\x13", "latin1"));
    expect((await mapExtents(disk)).parts).toMatchObject([{ kind: "ext4" }]);
  });
});
