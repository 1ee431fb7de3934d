import { BLOCK_BYTES, blockCountOf, blockLengthOf, leafOfZeros } from "../wire/digest";
import type { SegmentHead } from "../wire/segment";
import { isVerified } from "./apply";
import { SegmentRefusedError } from "./refusals";
import type { Transfer } from "./transfer";

/** Is there nothing in it that was not seen to be there? */
export function hasAll(transfer: Transfer, { firstBlock, leaves }: SegmentHead): boolean {
  const { sizeBytes } = transfer;
  return leaves.every((leaf, i) => {
    const block = firstBlock + i;
    return isVerified(transfer, block, leaf ?? leafOfZeros(blockLengthOf(sizeBytes, block)));
  });
}

/** @throws SegmentRefusedError */
export function requireWithin(
  place: string,
  transfer: Transfer,
  { firstBlock, blockCount }: SegmentHead,
): void {
  const blocks = blockCountOf(transfer.sizeBytes);
  if (firstBlock + blockCount <= blocks) return;
  throw doesNotFit(
    place,
    `it describes the blocks ${firstBlock} to ${firstBlock + blockCount - 1} of an image of ${blocks}`,
  );
}

/** @throws SegmentRefusedError */
export function requireRange(
  place: string,
  transfer: Transfer,
  { firstBlock, blockCount }: SegmentHead,
  rangeBytes: number,
): void {
  const from = firstBlock * BLOCK_BYTES;
  const wanted = Math.min(transfer.sizeBytes, from + blockCount * BLOCK_BYTES) - from;
  if (rangeBytes === wanted) return;
  throw doesNotFit(place, `its operations are for ${rangeBytes} bytes, and its blocks have ${wanted}`);
}

function doesNotFit(place: string, problem: string): SegmentRefusedError {
  return new SegmentRefusedError("invalid", {
    place,
    problem: `the segment was refused: ${problem}`,
    mend: "Send segments of this transfer only, made for the size that it was opened with.",
  });
}
