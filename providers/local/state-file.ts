import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { SpillwayError, messageOf } from "../../lib/errors";

/**
 * Replaces a small JSON file so that a crash at any point leaves the old or the new one, never half of either.
 * @throws the file system's own error (a full disk, a missing folder)
 */
export function writeStateFile(path: string, value: unknown): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, "w", 0o600);
  try {
    writeSync(file, `${JSON.stringify(value)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/**
 * Reads what {@link writeStateFile} wrote; undefined when there is none.
 * @throws SpillwayError when the file is there but is not JSON (edited by hand, or a broken disk)
 */
export function readStateFile<T>(path: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new SpillwayError(
      {
        place: path,
        problem: `it is not JSON: ${messageOf(error)}`,
        mend: "Delete the file; what it held is declared again by the next agent or apply.",
      },
      { cause: error },
    );
  }
}

/** A rename is only durable once its folder is. Not every system can open a folder; then there is nothing to do. */
function syncFolder(path: string): void {
  try {
    const folder = openSync(path, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch {
    return;
  }
}
