import { KeyTable } from "../../../lib/image/chunking";
import type { PartReport } from "../../../lib/image/extents";
import type { IndexedImage } from "../../../lib/image/near";
import { BLOCK_BYTES } from "../../../lib/image/wire/digest";
import { IndexReader } from "../../../lib/image/wire/index-reader";

/** What a part of a new image has in common with an old image. Bytes, without zeros. */
export interface PartDifference {
  readonly offset: number;
  readonly length: number;
  readonly kind: string;
  /** Held by the old image, anywhere in it. */
  readonly sameBytes: number;
  /** Neither held by the old image nor seen before in the new one. */
  readonly newBytes: number;
}

/** Chunks of 2 to 4 KiB that are known at most: 16 bytes each. */
const MAX_CHUNKS = 16 * 1024 * 1024;
const OLD = 0;
const SEEN = 1;

type Indexed = Pick<IndexedImage, "indexPath">;

/** Compares two images by their chunks: what would be sent, before it is packed and before likeness inside of chunks is used. */
export async function diffImages(
  old: Indexed,
  fresh: Indexed & { readonly parts: readonly PartReport[] },
): Promise<readonly PartDifference[]> {
  const table = new KeyTable(MAX_CHUNKS);
  await forEachChunk(old, (_offset, _length, lo, hi) => void table.add(lo, hi, OLD, 0));
  const differences = fresh.parts.map(({ offset, length, kind }) => ({
    ...{ offset, length, kind },
    ...{ sameBytes: 0, newBytes: 0 },
  }));
  let part = 0;
  await forEachChunk(fresh, (offset, length, lo, hi) => {
    while (part < differences.length - 1 && offset >= differences[part].offset + differences[part].length)
      part++;
    const slot = table.find(lo, hi);
    if (slot < 0) {
      differences[part].newBytes += length;
      table.add(lo, hi, SEEN, 0);
    } else if (table.imageAt(slot) === OLD) differences[part].sameBytes += length;
  });
  return differences;
}

async function forEachChunk(
  { indexPath }: Indexed,
  use: (offset: number, length: number, lo: number, hi: number) => void,
): Promise<void> {
  const index = await IndexReader.open(indexPath);
  try {
    for await (const found of index.blocks()) {
      const { block, count, ends, keys, isZeros } = found;
      if (isZeros) continue;
      for (let i = 0, from = 0; i < count; from = ends[i++]) {
        if (!found.isHole(i)) use(block * BLOCK_BYTES + from, ends[i] - from, keys[i * 2], keys[i * 2 + 1]);
      }
    }
  } finally {
    await index.close();
  }
}
