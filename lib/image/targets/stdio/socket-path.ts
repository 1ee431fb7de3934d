import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Names of sockets may be no longer on some systems, which cut off the rest instead of refusing it. */
const LONGEST_PATH_BYTES = 100;
/** What goes through the description of a forwarding as it is: anything else would mean something to ssh, or to its configuration. */
const PLAIN_PATH = /^\/[A-Za-z0-9._/+-]+$/;

/** May ssh forward to, or from, a socket of this name? Another side may say anything. */
export function isSocketPath(path: unknown): path is string {
  return typeof path === "string" && path.length <= LONGEST_PATH_BYTES && PLAIN_PATH.test(path);
}

/**
 * Makes a directory that is this user's alone, for a socket.
 * @returns the socket's path; undefined where there can be none
 */
export async function makeSocketDirectory(
  prefix: string,
  name: string,
): Promise<{ readonly directory: string; readonly path: string } | undefined> {
  // Windows has no such directories, and its ssh forwards no such sockets.
  if (process.platform === "win32") return undefined;
  for (const parent of new Set([tmpdir(), "/tmp"])) {
    if (!isSocketPath(join(parent, `${prefix}XXXXXX`, name))) continue;
    const directory = await mkdtemp(join(parent, prefix)).catch(() => undefined);
    if (directory !== undefined) return { directory, path: join(directory, name) };
  }
  return undefined;
}
