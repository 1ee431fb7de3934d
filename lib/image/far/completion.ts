import { chmod, rename, utimes } from "node:fs/promises";
import { storeCorrupt } from "../errors";
import { BLOCK_BYTES } from "../wire/digest";
import type { StoreFiles } from "./files";
import { writeManifest } from "./manifest";
import { placeOf, stillMissing } from "./refusals";
import type { Transfer } from "./transfer";

/**
 * Makes a complete image's file of a transfer's, once all of it was verified and is on the disk. Callers see to it that nothing of it
 * changes meanwhile.
 * @throws ImageStoreError `image-incomplete`, `image-corrupt`, `disk-full`
 */
export async function completeImage(files: StoreFiles, transfer: Transfer, digest: string): Promise<void> {
  const place = placeOf(digest);
  const { blocks } = transfer;
  requireAll(place, transfer);
  const found = blocks.digest();
  if (found !== digest) {
    throw storeCorrupt(place, `every block has arrived, but together they are the image ${found}`);
  }
  await verifyClaims(transfer, place);
  await transfer.seal();
  // A disk that failed in the meantime leaves nothing sure.
  requireAll(place, transfer);
  await verifyClaims(transfer, place);
  const { image, manifest } = files.of(digest);
  const { partial } = files.ofTransfer(transfer.id);
  await writeManifest(files, manifest, transfer.sizeBytes, blocks.leaves());
  await chmod(partial, 0o444);
  await utimes(partial, new Date(), new Date());
  await rename(partial, image);
  transfer.digest = digest;
  transfer.retire();
  await files.syncDirectory();
}

async function verifyClaims(transfer: Transfer, place: string): Promise<void> {
  const bad = await transfer.verifyClaims();
  if (bad.length === 0) return;
  throw storeCorrupt(
    place,
    `${bad.length} blocks are wrong on the disk of the image store, first at offset ${bad[0] * BLOCK_BYTES}`,
  );
}

/** @throws ImageStoreError `image-incomplete` */
function requireAll(place: string, { blocks }: Transfer): void {
  const missing = blocks.missing();
  if (missing) throw stillMissing(place, missing.bytes, missing.first * BLOCK_BYTES);
}
