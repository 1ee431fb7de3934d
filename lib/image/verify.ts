import { createHash } from "node:crypto";
import { formatBytes } from "../duration";
import { digestOf } from "./digest";
import { ImageStoreError, storeCorrupt } from "./errors";
import { RunList, type Run } from "./image-index";
import { BLOCK_BYTES } from "./limits";
import type { Partial } from "./partial";

const READ_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/**
 * Verifies every byte against the image's digest. If it does not match, each chunk is looked at, the bad ones become missing
 * again, and holes that are not empty are emptied.
 * @throws ImageStoreError `image-corrupt`
 */
export async function verifyWhole(partial: Partial, place: string): Promise<void> {
  const { index } = partial;
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let offset = 0;
  while (offset < index.sizeBytes) {
    const wanted = Math.min(READ_BYTES, index.sizeBytes - offset);
    const read = await partial.read(buffer.subarray(0, wanted), offset);
    if (read === 0) break;
    hash.update(buffer.subarray(0, read));
    offset += read;
  }
  const digest = digestOf(hash.digest());
  if (offset === index.sizeBytes && digest === index.digest) return;
  const bad = await findBad(partial);
  if (bad.length === 0) {
    throw new IndexMismatch(place, `every chunk is as the index says, yet the whole is ${digest}`);
  }
  await partial.reject(bad);
  throw storeCorrupt(
    place,
    `${formatBytes(partial.index.bytesOf(bad))} are wrong, on the disk of the image store or in another image there that they were copied from; first at offset ${index.offsetOf(bad[0][0])}`,
  );
}

/** The index describes another image than its digest says: nothing that is here can be kept. */
export class IndexMismatch extends ImageStoreError {
  constructor(place: string, problem: string) {
    super("image-corrupt", {
      place,
      problem: `the index that was offered does not describe this image: ${problem}`,
      mend: "Index the source again (delete the index cache at the near side) and push it anew; what had arrived was dropped.",
    });
  }
}

async function findBad(partial: Partial): Promise<readonly Run[]> {
  const { index } = partial;
  const bad = new RunList();
  const chunk = Buffer.alloc(READ_BYTES);
  let offset = 0;
  for (let position = 0; position < index.count; position++) {
    const length = index.lengthOf(position);
    if (index.isHole(position)) await emptyHole(partial, offset, length);
    else {
      const read = await partial.read(chunk.subarray(0, length), offset);
      if (read !== length || !index.matches(position, chunk.subarray(0, length))) bad.add(position);
    }
    offset += length;
  }
  return bad.runs;
}

async function emptyHole(partial: Partial, offset: number, length: number): Promise<void> {
  const bytes = Buffer.alloc(READ_BYTES);
  for (let done = 0; done < length;) {
    const wanted = Math.min(bytes.length, length - done);
    const read = await partial.read(bytes.subarray(0, wanted), offset + done);
    if (read === 0) return;
    for (let at = 0; at < read; at += BLOCK_BYTES) {
      const end = Math.min(at + BLOCK_BYTES, read);
      if (bytes.compare(ZEROS, 0, end - at, at, end) === 0) continue;
      await partial.write(ZEROS.subarray(0, end - at), offset + done + at);
    }
    done += read;
  }
}
