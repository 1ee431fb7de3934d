import { leafOfZeros } from "../wire/digest";

const PREFIX_BYTES = 8;
const NOTHING = Buffer.alloc(PREFIX_BYTES);

/**
 * Reads what a target says has arrived: the beginnings of leaves.
 * @returns whether a block has arrived as it is here; `leaf` undefined stands for so many zeros
 */
export function arrivedPrefixes(
  encoded: string,
): (block: number, leaf: Uint8Array | undefined, zeros?: number) => boolean {
  if (encoded === "") return () => false;
  const prefixes = Buffer.from(encoded, "base64");
  return (block, leaf, zeros = 0) => {
    const prefix = prefixes.subarray(block * PREFIX_BYTES, (block + 1) * PREFIX_BYTES);
    if (prefix.length < PREFIX_BYTES || prefix.equals(NOTHING)) return false;
    return prefix.equals((leaf ?? leafOfZeros(zeros)).subarray(0, PREFIX_BYTES));
  };
}
