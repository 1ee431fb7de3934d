import { BLOCK_BYTES, isZeros, leafOf } from "../wire/digest";
import { encodeSegment } from "../wire/segment";
import type { CanonicalImage } from "./canonical-image";
import type { ReadySegment } from "./packer";

const QUALITY = 4;
const BLOCKS = 2;

/** The same blocks described without any copy: a few blocks a segment. */
export async function* plainSegments(
  image: CanonicalImage,
  firstBlock: number,
  blockCount: number,
): AsyncGenerator<ReadySegment> {
  const space = Buffer.allocUnsafeSlow(BLOCKS * BLOCK_BYTES);
  for (let first = firstBlock; first < firstBlock + blockCount; first += BLOCKS) {
    const count = Math.min(BLOCKS, firstBlock + blockCount - first);
    yield await plainSegment(image, first, count, space);
  }
}

async function plainSegment(
  image: CanonicalImage,
  firstBlock: number,
  blockCount: number,
  space: Buffer,
): Promise<ReadySegment> {
  const ops: { kind: "zero" | "literal"; length: number }[] = [];
  const leaves: (Buffer | undefined)[] = [];
  let filled = 0;
  for (let block = firstBlock; block < firstBlock + blockCount; block++) {
    const length = image.lengthOf(block);
    const bytes = space.subarray(filled, filled + length);
    const isEmpty = !(await image.read(bytes, block * BLOCK_BYTES)) || isZeros(bytes);
    ops.push({ kind: isEmpty ? "zero" : "literal", length });
    leaves.push(isEmpty ? undefined : leafOf(bytes));
    if (!isEmpty) filled += length;
  }
  const literals = space.subarray(0, filled);
  const { id, bytes, release } = await encodeSegment(
    { firstBlock, blockCount, bases: [], ops, literals: [literals], leaves },
    { quality: QUALITY, window: 22 },
  );
  return {
    ...{ id, bytes, release, firstBlock, blockCount },
    imageBytes: filled,
    literalBytes: filled,
    hasCopies: false,
  };
}
