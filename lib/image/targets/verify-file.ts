import { open } from "node:fs/promises";
import { AbortedError } from "../../errors";
import { formatBytes } from "../../duration";
import { IndexReader } from "../wire/index-reader";
import {
  BLOCK_BYTES,
  blockCountOf,
  blockLengthOf,
  imageDigest,
  isZeros,
  leafOf,
  leafOfZeros,
} from "../wire/digest";
import { TargetError } from "./errors";

export interface VerifyOptions {
  readonly signal?: AbortSignal;
  /** Called after each block. */
  readonly onRead?: (bytes: number, ofBytes: number) => void;
}

/**
 * Reads an image's file (raw, as a store holds it) from its first byte to its last, and compares it with its digest.
 * @param indexPath tells which blocks are wrong, if any are. @default unknown
 * @throws TargetError `image-corrupt` with the place of the first wrong byte, as far as it is known
 * @throws AbortedError
 */
export async function verifyImageFile(
  path: string,
  digest: string,
  indexPath?: string,
  options: VerifyOptions = {},
): Promise<{ readonly sizeBytes: number }> {
  const { leaves, sizeBytes } = await leavesOf(path, options);
  if (imageDigest(sizeBytes, leaves) === digest) return { sizeBytes };
  const wrong = indexPath === undefined ? [] : await wrongBlocks(leaves, sizeBytes, indexPath);
  const where =
    wrong.length === 0
      ? `its ${formatBytes(sizeBytes)} are not those of its digest`
      : `${wrong.length} of ${leaves.length} blocks are wrong, the first at offset ${wrong[0] * BLOCK_BYTES}`;
  throw new TargetError("image-corrupt", {
    place: path,
    problem: `the image ${digest} is damaged: ${where}`,
    mend: "Look at the disk it lies on, delete the image there, and push it again.",
  });
}

async function leavesOf(path: string, { signal, onRead }: VerifyOptions) {
  const file = await open(path, "r");
  try {
    const { size: sizeBytes } = await file.stat();
    const space = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const leaves: Buffer[] = [];
    for (let block = 0; block < blockCountOf(sizeBytes); block++) {
      if (signal?.aborted) throw new AbortedError(`stopped while verifying ${path}`);
      const length = blockLengthOf(sizeBytes, block);
      const bytes = space.subarray(0, length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(bytes, done, length - done, block * BLOCK_BYTES + done);
        if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`);
        done += bytesRead;
      }
      leaves.push(isZeros(bytes) ? leafOfZeros(length) : leafOf(bytes));
      onRead?.(block * BLOCK_BYTES + length, sizeBytes);
    }
    return { leaves, sizeBytes };
  } finally {
    await file.close();
  }
}

async function wrongBlocks(
  leaves: readonly Buffer[],
  sizeBytes: number,
  indexPath: string,
): Promise<number[]> {
  const index = await IndexReader.open(indexPath);
  try {
    if (index.sizeBytes !== sizeBytes) return [];
    const wrong: number[] = [];
    for await (const { block, leaf } of index.blocks()) if (!leaf.equals(leaves[block])) wrong.push(block);
    return wrong;
  } finally {
    await index.close();
  }
}
