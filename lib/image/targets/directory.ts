import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import type { ImageStatus } from "../../site/api";
import type { ImageStore } from "../far";
import { openImageStore } from "../far";
import type { TargetCallOptions } from "../wire/target";
import { TargetError } from "./errors";
import { StoreLock } from "./store-lock";
import type { ServedStore } from "./stdio/serve-directory";
import { verifyImageFile, type VerifyOptions } from "./verify-file";

/** The images in a directory, for this process alone until it is closed. */
export interface ImageDirectory extends ServedStore, Pick<ImageStore, "list" | "path" | "delete"> {
  verify(digest: string, options?: VerifyOptions | AbortSignal): Promise<ImageStatus>;
}

/**
 * Opens a directory that holds images, or is to hold them; it is made when missing.
 * @throws DirectoryInUse while another process works on it
 * @throws SpillwayError when it cannot be made, or is an agent's
 */
export async function openImageDirectory(directory: string): Promise<ImageDirectory> {
  const path = resolve(directory);
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: Error) => {
    throw new TargetError(
      "invalid",
      {
        place: path,
        problem: `the directory cannot be made: ${error.message}`,
        mend: "Give the path of a directory that may be written to.",
      },
      { cause: error },
    );
  });
  const lock = await StoreLock.take(path);
  try {
    const store = await openServedStore(path);
    return {
      ...store,
      putSegment: async (id, segmentId, segment, options) => {
        // The directory may lie on a link (NFS), and who gives a cap means it.
        await takeTurns(segment.length, options);
        return store.putSegment(id, segmentId, segment, options);
      },
      close: () => store.close().finally(() => lock.release()),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Opens the store in a directory that this process has locked. */
export async function openServedStore(directory: string): Promise<ImageDirectory> {
  const store = await openImageStore({ directory });
  return {
    openTransfer: (...args) => store.openTransfer(...args),
    putSegment: (...args) => store.putSegment(...args),
    completeTransfer: (...args) => store.completeTransfer(...args),
    fetchIndex: (...args) => store.fetchIndex(...args),
    // Not pinned: Terraform, which asks twice, asks sites.
    pinEstimate: (_digest, estimate) => Promise.resolve(estimate),
    list: () => store.list(),
    path: (digest) => store.path(digest),
    delete: (digest) => store.delete(digest),
    close: () => store.close(),
    verify: (digest, options) => verifyHeld(store, digest, options),
  };
}

async function takeTurns(bytes: number, { pace, signal }: TargetCallOptions = {}): Promise<void> {
  if (!pace) return;
  for (let left = bytes; left > 0;) {
    const slice = Math.min(pace.sliceBytes, left);
    await pace.take(slice, signal);
    left -= slice;
  }
}

async function verifyHeld(
  store: ImageStore,
  digest: string,
  options: VerifyOptions | AbortSignal = {},
): Promise<ImageStatus> {
  const settings = options instanceof AbortSignal ? { signal: options } : options;
  const path = store.path(digest);
  const indexPath = await store.indexPath(digest, { signal: settings.signal });
  await verifyImageFile(path, digest, indexPath, settings);
  const status = await store.status(digest);
  if (!status) throw new TargetError("image-missing", missing(digest));
  return status;
}

function missing(digest: string) {
  return {
    place: `image ${digest}`,
    problem: `the image ${digest} was deleted while it was verified`,
    mend: "Push it again if it is needed.",
  };
}
