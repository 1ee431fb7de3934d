/** Bytes by which something is known that is no file system whose free space is read. */
export interface Signature {
  readonly kind: string;
  /** What it is, going on from "it". */
  readonly why: string;
  /** Where they may lie, in bytes from the beginning; as a function of the length where that is counted from the end. */
  readonly at: readonly number[] | ((length: number) => readonly number[]);
  /** Any of them will do. One character is one byte. */
  readonly bytes: readonly string[];
  /** Short ones mean nothing where these bytes are. */
  readonly unless?: { readonly at: number; readonly bytes: string };
}

const KIB = 1024;

const volumes = "holds volumes whose use of it is not known here";
const encrypted = "is encrypted: what is free in it cannot be seen";
const unread = "is a file system whose free space is not read";
const checked = "is a device whose blocks are checked, not a file system";

/** 32 bits, in the byte order of any machine. */
function word(value: number): string[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return [bytes.toString("latin1"), bytes.reverse().toString("latin1")];
}

/** The places that begin so far from the end, in whole units. */
const fromEnd =
  (units: number, unit: number) =>
  (length: number): number[] => [(Math.floor(length / unit) - units) * unit];

const slots = (from: number): number[] => Array.from({ length: 128 }, (_, i) => from + (128 + i) * KIB);

/** Each of the four labels has a ring of 128 KiB, in slots of 1 KiB or more; any of them may be the one written last. */
function zfsRings(length: number): number[] {
  const end = length - (length % (256 * KIB));
  return [0, 256 * KIB, end - 512 * KIB, end - 256 * KIB].flatMap(slots);
}

/** By libblkid's lists, without what only few bytes tell. What a later maker of a file system left of them counts, too. */
export const SIGNATURES: readonly Signature[] = [
  { kind: "luks", at: [0], bytes: ["LUKS\xba\xbe"], why: encrypted },
  // The second header of version 2, at the places that cryptsetup looks for it.
  {
    kind: "luks",
    at: [16, 32, 64, 128, 256, 512, 1024, 2048, 4096].map((kib) => kib * KIB),
    bytes: ["SKUL\xba\xbe"],
    why: encrypted,
  },
  { kind: "bitlocker", at: [3], bytes: ["-FVE-FS-"], why: encrypted },
  { kind: "lvm", at: [0, 512, 1024, 1536], bytes: ["LABELONE"], why: volumes },
  { kind: "lvm", at: [0], bytes: ["HM\x01\0", "HM\x02\0"], why: volumes },
  // Versions 1.1, 1.2; 1.0: 8 KiB before the end, aligned to 4 KiB; 0.90: in the last whole 64 KiB.
  { kind: "raid", at: [0, 4 * KIB], bytes: ["\xfc\x4e\x2b\xa9"], why: volumes },
  {
    kind: "raid",
    at: (length) => {
      const sector = Math.floor(length / 512) - 16;
      return [(sector - (sector % 8)) * 512];
    },
    bytes: ["\xfc\x4e\x2b\xa9"],
    why: volumes,
  },
  { kind: "raid", at: fromEnd(1, 64 * KIB), bytes: word(0xa92b4efc), why: volumes },
  { kind: "raid", at: fromEnd(2, 512), bytes: ["Intel Raid ISM Cfg Sig. ", "NVIDIA  "], why: volumes },
  { kind: "raid", at: fromEnd(1, 512), bytes: ["\xde\x11\xde\x11", "$XIDE$"], why: volumes },
  {
    kind: "drbd",
    at: (length) => [length - (length % (4 * KIB)) - 4 * KIB + 60],
    bytes: ["\x83\x74\x02\x6b", "\x83\x74\x02\x6c", "\x83\x74\x02\x6d"],
    why: volumes,
  },
  {
    kind: "bcache",
    at: [4 * KIB + 24],
    bytes: ["\xc6\x85\x73\xf6\x4e\x1a\x45\xca"],
    why: volumes,
  },
  { kind: "bcachefs", at: [4 * KIB + 24], bytes: ["\xc6\x85\x73\xf6\x66\xce\x90\xa9"], why: unread },
  { kind: "vdo", at: [0], bytes: ["dmvdo001"], why: volumes },
  { kind: "stratis", at: [516, 4612], bytes: ["!Stra0tis\x86\xff\x02^\x41rh"], why: volumes },
  { kind: "bluestore", at: [0], bytes: ["bluestore block device"], why: volumes },
  { kind: "vmfs", at: [1024 * KIB], bytes: ["\x0d\xd0\x01\xc0"], why: volumes },
  { kind: "vmfs", at: [2048 * KIB], bytes: ["\x5e\xf1\xab\x2f"], why: unread },
  { kind: "verity", at: [0], bytes: ["verity\0\0"], why: checked },
  { kind: "integrity", at: [0], bytes: ["integrt\0"], why: checked },
  {
    kind: "zfs",
    at: zfsRings,
    bytes: ["\x0c\xb1\xba\0\0\0\0\0", "\0\0\0\0\0\xba\xb1\x0c"],
    why: volumes,
  },
  { kind: "btrfs", at: [64 * KIB + 64], bytes: ["_BHRfS_M"], why: unread },
  {
    kind: "ufs",
    at: [0, 8, 64, 256].map((kib) => kib * KIB + 1372),
    bytes: [0x00011954, 0x19540119, 0x00195612, 0x00095014, 0x00612195, 0x05231994].flatMap(word),
    why: unread,
  },
  { kind: "jfs", at: [32 * KIB], bytes: ["JFS1"], why: unread },
  { kind: "ocfs2", at: [KIB, 2 * KIB, 4 * KIB, 8 * KIB], bytes: ["OCFSV2"], why: unread },
  { kind: "ocfs", at: [0], bytes: ["OracleCFS"], why: unread },
  { kind: "gfs2", at: [64 * KIB], bytes: ["\x01\x16\x19\x70"], why: unread },
  { kind: "reiserfs", at: [8 * KIB + 52, 64 * KIB + 52, 8 * KIB + 20], bytes: ["ReIsEr"], why: unread },
  { kind: "reiser4", at: [64 * KIB], bytes: ["ReIsEr4"], why: unread },
  { kind: "hfs", at: [KIB], bytes: ["BD"], why: unread },
  { kind: "hfsplus", at: [KIB], bytes: ["H+\0\x04", "HX\0\x05"], why: unread },
  { kind: "apfs", at: [32], bytes: ["NXSB"], why: unread },
  // With its version: the two bytes alone could be a part of the number of blocks of ext4.
  { kind: "nilfs2", at: [KIB], bytes: ["\x02\0\0\0\0\0\x34\x34"], why: unread },
  { kind: "nilfs2", at: fromEnd(1, 4 * KIB), bytes: ["\x02\0\0\0\0\0\x34\x34"], why: unread },
  { kind: "f2fs", at: [KIB, 5 * KIB], bytes: ["\x10\x20\xf5\xf2"], why: unread },
  { kind: "erofs", at: [KIB], bytes: ["\xe2\xe1\xf5\xe0"], why: unread },
  { kind: "vxfs", at: [KIB], bytes: ["\xf5\xfc\x01\xa5"], why: unread },
  { kind: "vxfs", at: [8 * KIB], bytes: ["\xa5\x01\xfc\xf5"], why: unread },
  { kind: "hpfs", at: [8 * KIB], bytes: ["\x49\xe8\x95\xf9"], why: unread },
  { kind: "befs", at: [32, 544], bytes: ["BFS1", "1SFB"], why: unread },
  { kind: "ntfs", at: [3], bytes: ["NTFS    "], why: unread },
  { kind: "exfat", at: [3], bytes: ["EXFAT   "], why: unread },
  { kind: "fat", at: [54], bytes: ["FAT1", "FAT     ", "MSDOS"], why: unread },
  { kind: "fat", at: [82], bytes: ["FAT32   ", "MSWIN"], why: unread },
  { kind: "iso9660", at: [32 * KIB + 1, 32 * KIB + 9], bytes: ["CD001", "CDROM"], why: unread },
  { kind: "udf", at: [32 * KIB + 1], bytes: ["BEA01", "BOOT2", "NSR02", "NSR03", "TEA01"], why: unread },
  { kind: "squashfs", at: [0], bytes: ["hsqs", "sqsh", "qshs", "shsq"], why: unread },
  { kind: "cramfs", at: [0], bytes: word(0x28cd3d45), why: unread },
  { kind: "romfs", at: [0], bytes: ["-rom1fs-"], why: unread },
  { kind: "ubi", at: [0], bytes: ["UBI#", "\x31\x18\x10\x06"], why: volumes },
  { kind: "zonefs", at: [0], bytes: ["SFOZ"], why: unread },
  // The same bytes count the free inodes of ext4.
  {
    kind: "minix",
    at: [KIB + 16],
    bytes: ["\x7f\x13", "\x8f\x13", "\x68\x24", "\x78\x24", "\x13\x7f", "\x13\x8f", "\x24\x68", "\x24\x78"],
    why: unread,
    unless: { at: KIB + 56, bytes: "\x53\xef" },
  },
  { kind: "minix", at: [KIB + 24], bytes: ["\x5a\x4d", "\x4d\x5a"], why: unread },
];
