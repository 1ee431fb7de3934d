import { readdir } from "node:fs/promises";
import { TargetError } from "./errors";

/** What a store has in its directory from the first time it was opened. */
const OF_A_STORE = /^(?:[0-9a-f]{64}\.[a-z]+|link\.json|store\.lock\.\d+)$/;

/**
 * For who only reads: looking for an image makes no directory, and no store of one.
 * @throws TargetError with code `not-found`
 */
export async function requireStore(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => error);
  const refuse = (problem: string, cause?: Error) =>
    new TargetError(
      "not-found",
      { place: directory, problem, mend: "Give the directory that images were pushed to." },
      { cause },
    );
  if (names instanceof Error) {
    const isThere = names.code !== "ENOENT" && names.code !== "ENOTDIR";
    throw refuse(isThere ? `it cannot be read: ${names.message}` : "there is no directory of images", names);
  }
  if (!names.some((name) => OF_A_STORE.test(name)))
    throw refuse("no images were ever pushed to this directory");
}
