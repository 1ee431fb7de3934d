import { formatBytes } from "../../duration";
import { SpillwayError } from "../../errors";
import { MAX_IMAGE_BYTES } from "../limits";
import type { SourceFile } from "./file";

/** `QFI\xfb`. */
export const QCOW2_MAGIC = 0x514649fb;

/** What qemu allows: more makes no sense, and would only cost memory. */
const MAX_L1_BYTES = 32 * 1024 * 1024;

const V2_HEADER_BYTES = 72;
const V3_HEADER_BYTES = 104;

/** Incompatible features, by bit. A dirty image has stale reference counts, which nothing here reads. */
const [DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION_TYPE, EXTENDED_L2] = [0, 1, 2, 3, 4].map(
  (bit) => 1n << BigInt(bit),
) as [bigint, bigint, bigint, bigint, bigint];

/** What is needed of a qcow2 header (docs/interop/qcow2.txt of qemu). */
export interface Qcow2Header {
  readonly version: 2 | 3;
  /** Of the virtual disk. */
  readonly sizeBytes: number;
  readonly clusterBits: number;
  readonly l1Offset: number;
  /** Entries in the L1 table that belong to the disk. */
  readonly l1Entries: number;
}

/** @throws SpillwayError for an image that is damaged, or needs what is not there: another file, a key, a feature */
export async function readQcow2Header(file: SourceFile): Promise<Qcow2Header> {
  const bytes = Buffer.alloc(112);
  const available = Math.min(bytes.length, file.sizeBytes);
  if (available < V2_HEADER_BYTES) throw damaged(file.path, 0, `its header has only ${available} bytes`);
  await file.read(bytes.subarray(0, available), 0);
  if (bytes.readUInt32BE(0) !== QCOW2_MAGIC) {
    throw damaged(file.path, 0, `it begins with 0x${bytes.toString("hex", 0, 4)}, not with "QFI\\xfb"`);
  }

  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== 3) {
    throw unsupported(file.path, 4, `it is of version ${version}`, "as version 2 or 3");
  }
  const headerBytes = version === 2 ? V2_HEADER_BYTES : bytes.readUInt32BE(100);
  const clusterBits = bytes.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) {
    throw damaged(file.path, 20, `its clusters are of 2^${clusterBits} bytes, not 2^9 to 2^21`);
  }
  if (version === 3) {
    if (available < V3_HEADER_BYTES || headerBytes < V3_HEADER_BYTES || headerBytes > 2 ** clusterBits) {
      throw damaged(file.path, 100, `its header is said to have ${headerBytes} bytes`);
    }
    requireFeatures(file.path, bytes, headerBytes);
  }
  if (bytes.readBigUInt64BE(8) !== 0n) {
    throw unsupported(
      file.path,
      8,
      "it rests on a backing file, which is never followed",
      "into one that stands alone",
    );
  }
  const crypt = bytes.readUInt32BE(32);
  if (crypt !== 0)
    throw unsupported(file.path, 32, `it is encrypted (method ${crypt})`, "without encryption");
  return { version, clusterBits, ...readLayout(file, bytes, clusterBits) };
}

function requireFeatures(path: string, bytes: Buffer, headerBytes: number): void {
  const features = bytes.readBigUInt64BE(72);
  if (features & CORRUPT) throw damaged(path, 72, "it is marked as corrupt");
  if (features & EXTERNAL_DATA) {
    throw unsupported(
      path,
      72,
      "its data is in another file, which is never followed",
      "into one that stands alone",
    );
  }
  if (features & EXTENDED_L2) {
    throw unsupported(path, 72, "it has extended L2 entries (subclusters)", "with `-o extended_l2=off`");
  }
  const compression = headerBytes > V3_HEADER_BYTES ? bytes[104]! : 0;
  if (compression !== 0) {
    const name = compression === 1 ? "zstd" : `type ${compression}`;
    throw unsupported(
      path,
      104,
      `its clusters are compressed with ${name}`,
      "with `-o compression_type=zlib`",
    );
  }
  const unknown = features & ~(DIRTY | COMPRESSION_TYPE);
  if (unknown !== 0n) {
    throw unsupported(
      path,
      72,
      `it needs features that are not known (bits 0x${unknown.toString(16)})`,
      "anew",
    );
  }
}

function readLayout(file: SourceFile, bytes: Buffer, clusterBits: number) {
  const size = bytes.readBigUInt64BE(24);
  if (size === 0n) throw damaged(file.path, 24, "its disk has no bytes at all");
  if (size > BigInt(MAX_IMAGE_BYTES)) {
    throw damaged(file.path, 24, `its disk has ${size} bytes, more than ${formatBytes(MAX_IMAGE_BYTES)}`);
  }
  const sizeBytes = Number(size);
  // One L2 table is one cluster of 8-byte entries.
  const bytesPerL2 = 2 ** clusterBits * 2 ** (clusterBits - 3);
  const l1Entries = Math.ceil(sizeBytes / bytesPerL2);
  const l1Held = bytes.readUInt32BE(36);
  if (l1Held < l1Entries) {
    throw damaged(
      file.path,
      36,
      `its L1 table has ${l1Held} entries, fewer than the ${l1Entries} its disk needs`,
    );
  }
  if (l1Entries * 8 > MAX_L1_BYTES) {
    throw damaged(file.path, 36, `its L1 table has ${l1Entries} entries, more than ${MAX_L1_BYTES / 8}`);
  }
  const l1Offset = Number(bytes.readBigUInt64BE(40));
  if (l1Offset % 2 ** clusterBits !== 0 || l1Offset + l1Entries * 8 > file.sizeBytes) {
    throw damaged(file.path, 40, `its L1 table at ${l1Offset} is not inside the file`);
  }
  return { sizeBytes, l1Offset, l1Entries };
}

/** The error for an image that contradicts itself. */
export function damaged(path: string, offset: number, problem: string, cause?: unknown): SpillwayError {
  return new SpillwayError(
    {
      place: `${path}, offset ${offset}`,
      problem: `the qcow2 image "${path}" is damaged: ${problem}`,
      mend: "Look at it with `qemu-img check`, or make it anew; bytes that only look like qcow2 are read as they are with the format `raw`.",
      attribute: ["source"],
    },
    { cause },
  );
}

function unsupported(path: string, offset: number, problem: string, how: string): SpillwayError {
  return new SpillwayError({
    place: `${path}, offset ${offset}`,
    problem: `the qcow2 image "${path}" cannot be read: ${problem}`,
    mend: `Convert it ${how}: \`qemu-img convert -O qcow2\`.`,
    attribute: ["source"],
  });
}
