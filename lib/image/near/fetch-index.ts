import { open, rm } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { AbortedError } from "../../errors";
import { MAX_IMAGE_BYTES } from "../limits";
import { broken, decodeHeader, HEADER_BYTES, maxIndexBytes } from "../wire/index-format";
import { IndexReader } from "../wire/index-reader";
import type { ImageTarget } from "../wire/target";

/** The largest index that is taken: of some hundred gigabytes in use. More chunks than that are not remembered anyway. */
const LARGEST_BYTES = 2 ** 30;

/** Others have their turn after so many blocks: an image may be on its way meanwhile. */
const BLOCKS_AT_ONCE = 16;

/**
 * Fetches the index of an image that a target holds into a file. Takes no more memory than a piece, and no more room on the disk than
 * the index of such an image can have. When it returns true, the leaves are those of the image; its chunks are what the target says.
 * Ends as soon as the signal fires, whatever the target does then. The file is removed unless it returns true.
 * @returns false when the target does not hold the image
 * @throws FormatError for what is no index of that image
 */
export async function fetchIndex(
  target: ImageTarget,
  digest: string,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  let isWhole = false;
  try {
    isWhole = (await save(target, digest, path, signal)) && (await requireIndexOf(digest, path, signal));
    return isWhole;
  } finally {
    if (!isWhole) await rm(path, { force: true });
  }
}

async function save(target: ImageTarget, digest: string, path: string, signal: AbortSignal) {
  requireGoing(signal);
  const file = await open(path, "w", 0o600);
  const { aborted, end } = whenAborted(signal);
  try {
    const limit = new Limit();
    const take = async (piece: Uint8Array) => {
      requireGoing(signal);
      limit.add(piece);
      for (let done = 0; done < piece.length;) {
        done += (await file.write(piece, done, piece.length - done)).bytesWritten;
      }
    };
    const fetching = target.fetchIndex(digest, take, { signal, retryBudgetMs: 0 });
    return await Promise.race([fetching, aborted]);
  } finally {
    end();
    await file.close();
  }
}

/** How much an index may have: the size of its image is the first that it says. */
class Limit {
  private readonly head = Buffer.alloc(HEADER_BYTES);
  private bytes = 0;
  private most = Infinity;

  /** @throws FormatError */
  add(piece: Uint8Array): void {
    if (this.bytes < HEADER_BYTES) {
      this.head.set(piece.subarray(0, HEADER_BYTES - this.bytes), this.bytes);
      if (this.bytes + piece.length >= HEADER_BYTES) {
        this.most = Math.min(LARGEST_BYTES, maxIndexBytes(decodeHeader(this.head, MAX_IMAGE_BYTES)));
      }
    }
    this.bytes += piece.length;
    if (this.bytes > this.most) throw broken(`it goes on after ${this.most} bytes`);
  }
}

/** @throws FormatError unless it is one, wholly, and its leaves make up the digest */
async function requireIndexOf(digest: string, path: string, signal: AbortSignal): Promise<true> {
  const index = await IndexReader.open(path);
  try {
    if (index.digest !== digest) throw broken(`it is that of ${index.digest}`);
    for await (const { block } of index.blocks()) {
      if (block % BLOCKS_AT_ONCE !== 0) continue;
      requireGoing(signal);
      await setImmediate();
    }
    return true;
  } finally {
    await index.close();
  }
}

/** @throws AbortedError */
function requireGoing(signal: AbortSignal): void {
  if (signal.aborted) throw new AbortedError("stopped while fetching an index");
}

/** Tells of the signal also while nobody asks. */
function whenAborted(signal: AbortSignal) {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new AbortedError("stopped while fetching an index"));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  aborted.catch(() => undefined);
  return { aborted, end: () => signal.removeEventListener("abort", onAbort) };
}
