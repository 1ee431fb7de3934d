import { spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Names of sockets may be no longer on some systems, which cut off the rest instead of refusing it. */
const LONGEST_PATH_BYTES = 100;
/** What goes through the description of a forwarding as it is: anything else would mean something to ssh, or to its configuration. */
const PLAIN_PATH = /^\/[A-Za-z0-9._/+-]+$/;

/** Ends when nobody holds the other end of its standard input any more, however that came to pass. */
const SWEEPER = 'read -r _; rm -rf -- "$1"';

/** A place for a socket. */
export interface SocketDirectory {
  readonly path: string;
  /** Removes the directory, shortly after; that also happens when this process is killed. Idempotent. */
  readonly remove: () => void;
}

/** May ssh forward to, or from, a socket of this name? Another side may say anything. */
export function isSocketPath(path: unknown): path is string {
  return typeof path === "string" && path.length <= LONGEST_PATH_BYTES && PLAIN_PATH.test(path);
}

/**
 * Makes a directory that is this user's alone, for a socket.
 * @returns undefined where there can be none
 */
export async function makeSocketDirectory(
  prefix: string,
  name: string,
): Promise<SocketDirectory | undefined> {
  // Windows has no such directories, and its ssh forwards no such sockets.
  if (process.platform === "win32") return undefined;
  for (const parent of new Set([tmpdir(), "/tmp"])) {
    if (!isSocketPath(join(parent, `${prefix}XXXXXX`, name))) continue;
    const directory = await mkdtemp(join(parent, prefix)).catch(() => undefined);
    if (directory !== undefined) return { path: join(directory, name), remove: sweeper(directory) };
  }
  return undefined;
}

/** A shell that takes a megabyte: a process that is killed removes nothing itself. */
function sweeper(directory: string): () => void {
  const shell = spawn("/bin/sh", ["-c", SWEEPER, "sh", directory], {
    cwd: "/",
    // In a session of its own: who ends this process by its group would end the other too.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return () => void shell.stdin.end();
}
