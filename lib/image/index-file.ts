import { createHash } from "node:crypto";
import { constants, type BigIntStats } from "node:fs";
import { open, realpath, type FileHandle } from "node:fs/promises";
import { AbortedError, SpillwayError, messageOf } from "../errors";
import { formatBytes } from "../duration";
import { Chunker } from "./chunking";
import { digestOf } from "./digest";
import { defaultCacheDirectory, identityOf, IndexCache, sameFile, type FileIdentity } from "./index-cache";
import { ImageIndexBuilder, type ImageIndex } from "./image-index";
import { MAX_IMAGE_BYTES } from "./limits";

const READ_BYTES = 1024 * 1024;

export interface IndexFileOptions {
  readonly signal?: AbortSignal;
  /** Called after every MiB or so. */
  readonly progress?: (doneBytes: number, totalBytes: number) => void;
  /** Where indexes are kept; false: nowhere. @default $XDG_CACHE_HOME/spillway or ~/.cache/spillway */
  readonly cacheDirectory?: string | false;
}

/** An image file, and what it consisted of when it was read. */
export interface IndexedFile {
  readonly index: ImageIndex;
  readonly identity: FileIdentity;
  /** True when the file had not changed since it was read last. */
  readonly fromCache: boolean;
}

/**
 * The index of an image file (raw bytes, of any kind), from the cache if the file did not change since. Reading takes about 4 MB
 * of memory and 20 bytes for each 4 KiB of the image that is not zero.
 * @throws SpillwayError when there is no such file, it is none, it cannot be read, or it changes while it is read
 * @throws AbortedError
 */
export async function indexFile(path: string, options: IndexFileOptions = {}): Promise<IndexedFile> {
  const handle = await openSource(path);
  try {
    const realPath = await realpath(path);
    const before = identityOf(realPath, await statSource(path, handle));
    const { cacheDirectory = defaultCacheDirectory() } = options;
    const cache = cacheDirectory === false ? undefined : new IndexCache(cacheDirectory);
    const known = await cache?.get(before);
    if (known) return { index: known, identity: before, fromCache: true };
    const startedAt = Date.now();
    const index = await readIndex(path, handle, Number(before.size), options);
    if (!sameFile(before, identityOf(realPath, await handle.stat({ bigint: true })))) {
      throw sourceChanged(path, "while it was being indexed");
    }
    await cache?.put(before, index, startedAt);
    return { index, identity: before, fromCache: false };
  } finally {
    await handle.close();
  }
}

/** @throws SpillwayError when there is no such file, or it cannot be read */
export async function openSource(path: string): Promise<FileHandle> {
  try {
    // Not waiting for a writer at the other end, should it be a pipe.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new SpillwayError(
      {
        place: path,
        problem: missing
          ? `there is no image file "${path}"`
          : `the image file "${path}" cannot be read: ${messageOf(error)}`,
        mend: missing
          ? "Correct `source`: the path of the image at the machine where this runs."
          : "Make it readable for the user who runs this.",
        attribute: ["source"],
      },
      { cause: error },
    );
  }
}

/** The error for a source that is no longer what it was. */
export function sourceChanged(path: string, when: string): SpillwayError {
  return new SpillwayError({
    place: path,
    problem: `the image file "${path}" was changed ${when}`,
    mend: "Let nothing write to it (a machine that runs from it does), or give a copy as `source`; then try again.",
    attribute: ["source"],
  });
}

async function statSource(path: string, handle: FileHandle): Promise<BigIntStats> {
  const stat = await handle.stat({ bigint: true });
  const problem = !stat.isFile()
    ? `"${path}" is ${stat.isDirectory() ? "a directory" : "not a regular file"}`
    : stat.size === 0n
      ? `the image file "${path}" is empty`
      : stat.size > BigInt(MAX_IMAGE_BYTES)
        ? `the image file "${path}" has ${formatBytes(Number(stat.size))}, more than ${formatBytes(MAX_IMAGE_BYTES)}`
        : undefined;
  if (problem === undefined) return stat;
  throw new SpillwayError({
    place: path,
    problem,
    mend: "Give the path of an image file as `source`.",
    attribute: ["source"],
  });
}

async function readIndex(
  path: string,
  handle: FileHandle,
  totalBytes: number,
  options: IndexFileOptions,
): Promise<ImageIndex> {
  const builder = new ImageIndexBuilder();
  const whole = createHash("sha256");
  const chunker = new Chunker({
    data: (bytes) => builder.addChunk(bytes),
    hole: (length) => builder.addHole(length),
  });
  // The disk reads into one buffer while the other is being cut and hashed.
  let [present, next] = [Buffer.allocUnsafe(READ_BYTES), Buffer.allocUnsafe(READ_BYTES)];
  const read = (into: Buffer, at: number) =>
    handle.read(into, 0, READ_BYTES, at).catch((error) => {
      throw new SpillwayError(
        {
          place: `${path}, offset ${at}`,
          problem: `the image file "${path}" cannot be read at offset ${at}: ${messageOf(error)}`,
          mend: "Look at the disk it lies on, then try again.",
          attribute: ["source"],
        },
        { cause: error },
      );
    });
  let offset = 0;
  let reading = read(present, 0);
  for (;;) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) break;
    if (options.signal?.aborted) throw new AbortedError(`stopped while indexing ${path}`);
    offset += bytesRead;
    reading = read(next, offset);
    // A failure is told when its turn comes; here it must only not count as unhandled.
    reading.catch(() => undefined);
    const bytes = present.subarray(0, bytesRead);
    whole.update(bytes);
    chunker.write(bytes);
    options.progress?.(offset, totalBytes);
    [present, next] = [next, present];
  }
  chunker.end();
  if (offset !== totalBytes) throw sourceChanged(path, "while it was being indexed");
  return builder.finish(digestOf(whole.digest()));
}
