import { chunkBlock } from "../../../../lib/image/chunking";
import { BLOCK_BYTES, imageDigest, leafOf } from "../../../../lib/image/wire/digest";
import { IndexWriter } from "../../../../lib/image/wire/index-writer";

function* blocksOf(image: Buffer): Generator<Buffer> {
  for (let at = 0; at < image.length; at += BLOCK_BYTES) yield image.subarray(at, at + BLOCK_BYTES);
}

/** The digest of an image without holes. */
export function digestOfImage(image: Buffer): string {
  return imageDigest(image.length, [...blocksOf(image)].map(leafOf));
}

/**
 * Writes an index with the leaves and the digest of one image, and the chunks of another of the same size: what somebody says who
 * claims to hold bytes that he does not have.
 * @returns the digest
 */
export async function writeLyingIndex(path: string, held: Buffer, claimed: Buffer): Promise<string> {
  const writer = await IndexWriter.create(path, held.length);
  const claims = [...blocksOf(claimed)];
  let number = 0;
  for (const block of blocksOf(held)) await writer.addBlock(leafOf(block), chunkBlock(claims[number++]));
  const digest = digestOfImage(held);
  await writer.finish(digest);
  return digest;
}
