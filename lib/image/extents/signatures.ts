import type { Region } from "./region";

/** Bytes that something begins with, or has at a known place. */
interface Signature {
  readonly kind: string;
  /** Negative: from the end. */
  readonly at: number | ((length: number) => number);
  readonly bytes: string;
  /** What it is, going on from "it". */
  readonly why: string;
}

const volumes = "holds volumes whose use of it is not known here";
const encrypted = "is encrypted: what is free in it cannot be seen";
const unread = "is a file system whose free space is not read";

/** What is known by name only. All of it counts, so a signature left over from earlier times does no harm. */
const SIGNATURES: readonly Signature[] = [
  { kind: "luks", at: 0, bytes: "LUKS\xba\xbe", why: encrypted },
  { kind: "bitlocker", at: 3, bytes: "-FVE-FS-", why: encrypted },
  ...[0, 512, 1024, 1536].map((at) => ({ kind: "lvm", at, bytes: "LABELONE", why: volumes })),
  { kind: "raid", at: 0, bytes: "\xfc\x4e\x2b\xa9", why: volumes },
  { kind: "raid", at: 4096, bytes: "\xfc\x4e\x2b\xa9", why: volumes },
  // Version 1.0: 8 KiB before the end, aligned to 4 KiB. Version 0.90: in the last whole 64 KiB.
  {
    kind: "raid",
    at: (length) => (Math.floor(length / 512) - 16 - ((Math.floor(length / 512) - 16) % 8)) * 512,
    bytes: "\xfc\x4e\x2b\xa9",
    why: volumes,
  },
  {
    kind: "raid",
    at: (length) => length - (length % 65_536) - 65_536,
    bytes: "\xfc\x4e\x2b\xa9",
    why: volumes,
  },
  { kind: "bcache", at: 4120, bytes: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", why: volumes },
  { kind: "btrfs", at: 65_600, bytes: "_BHRfS_M", why: unread },
  { kind: "zfs", at: 131_072, bytes: "\x0c\xb1\xba\x00\x00\x00\x00\x00", why: volumes },
  { kind: "zfs", at: 131_072, bytes: "\x00\x00\x00\x00\x00\xba\xb1\x0c", why: volumes },
  { kind: "ntfs", at: 3, bytes: "NTFS    ", why: unread },
  { kind: "exfat", at: 3, bytes: "EXFAT   ", why: unread },
  { kind: "fat", at: 54, bytes: "FAT1", why: unread },
  { kind: "fat", at: 82, bytes: "FAT32   ", why: unread },
  { kind: "iso9660", at: 32_769, bytes: "CD001", why: unread },
  { kind: "f2fs", at: 1024, bytes: "\x10\x20\xf5\xf2", why: unread },
  { kind: "erofs", at: 1024, bytes: "\xe2\xe1\xf5\xe0", why: unread },
  { kind: "squashfs", at: 0, bytes: "hsqs", why: unread },
  { kind: "bluestore", at: 0, bytes: "bluestore block device", why: volumes },
];

/** The first of them that is there. */
export async function findSignature(region: Region): Promise<{ kind: string; why: string } | undefined> {
  const beginning = await region.readUpTo(0, 69_632);
  for (const { kind, at, bytes, why } of SIGNATURES) {
    const place = typeof at === "number" ? at : at(region.length);
    if (place < 0) continue;
    const found =
      place + bytes.length <= beginning.length
        ? beginning.subarray(place, place + bytes.length)
        : await region.readUpTo(place, bytes.length);
    if (found.toString("latin1") === bytes) return { kind, why };
  }
  return undefined;
}
