import { createHash } from "node:crypto";
import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { SpillwayError } from "../../lib/errors";

/** HAProxy binds a temporary name beside a unix socket first, some bytes longer than its own; the system has room for 107. */
const LONGEST = 90;

/**
 * Where a socket of a managed HAProxy lives: in its state folder, or, when that is too deep for a unix socket's path, in a private
 * folder of the temporary directory.
 */
export function socketPath(stateDir: string, name: string): string {
  const direct = join(stateDir, name);
  if (Buffer.byteLength(direct) <= LONGEST) return direct;
  const { uid } = userInfo();
  const folder = join(tmpdir(), `spillway-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new SpillwayError({
      place: folder,
      problem: "the folder for control sockets can be opened by others",
      mend: `Remove it, or choose a state folder shorter than ${stateDir}.`,
    });
  }
  return join(folder, `${createHash("sha256").update(direct).digest("hex").slice(0, 24)}.sock`);
}
