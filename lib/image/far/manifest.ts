import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { sha256 } from "../digest";
import { blockCountOf, ImageDigest, LEAF_BYTES } from "../wire/digest";
import { ifThere, readFully, type StoreFiles } from "./files";

/*
 * The manifest of a complete image: by which its file can be verified block by block. Little-endian.
 *
 *   "SPMF"  version (1)  zeros (3)  size of the image (8)  leaves of all blocks (32 each)  SHA-256 of all before (32)
 */
const MAGIC = "SPMF";
const VERSION = 1;
const HEADER_BYTES = 16;
const TRAILER_BYTES = 32;

/** What a manifest says. */
export interface Manifest {
  readonly sizeBytes: number;
  readonly leaves: Buffer;
}

/** @throws ImageStoreError `disk-full` */
export async function writeManifest(
  files: StoreFiles,
  path: string,
  sizeBytes: number,
  leaves: Iterable<Uint8Array>,
): Promise<void> {
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(MAGIC, 0, "latin1");
  head[4] = VERSION;
  head.writeBigUInt64LE(BigInt(sizeBytes), 8);
  const parts = [head, ...leaves];
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  await files.writeWhole(path, [...parts, hash.digest()]);
}

/** Undefined when there is none, it is damaged, or it is another image's. One that cannot be read just now is none of these: that is thrown. */
export async function readManifest(path: string, digest: string): Promise<Manifest | undefined> {
  const bytes = await ifThere(readFile(path));
  if (!bytes || bytes.length < HEADER_BYTES + TRAILER_BYTES) return undefined;
  const end = bytes.length - TRAILER_BYTES;
  if (!sha256(bytes.subarray(0, end)).equals(bytes.subarray(end))) return undefined;
  if (bytes.toString("latin1", 0, 4) !== MAGIC || bytes[4] !== VERSION) return undefined;
  const sizeBytes = Number(bytes.readBigUInt64LE(8));
  const leaves = bytes.subarray(HEADER_BYTES, end);
  if (blockCountOf(sizeBytes) * LEAF_BYTES !== leaves.length) return undefined;
  const found = new ImageDigest(sizeBytes);
  found.add(leaves);
  return found.finish() === digest ? { sizeBytes, leaves } : undefined;
}

/** The leaf of one block, of a manifest that was read before; undefined when it is not there any more. */
export async function readLeaf(path: string, block: number): Promise<Buffer | undefined> {
  const handle = await ifThere(open(path, "r"));
  if (!handle) return undefined;
  try {
    const leaf = Buffer.alloc(LEAF_BYTES);
    const bytesRead = await readFully(handle, leaf, HEADER_BYTES + block * LEAF_BYTES);
    return bytesRead === LEAF_BYTES ? leaf : undefined;
  } finally {
    await handle.close();
  }
}
