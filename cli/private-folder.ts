import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { isSameProcess, thisProcess, type ProcessHandle } from "../lib/process-identity";

const PREFIX = "spillway-run-";
const OWNER = "owner.json";

interface Owner extends ProcessHandle {
  readonly host: string;
}

/**
 * Makes a folder that only this user can enter, for a socket and for settings that may hold credentials. The ones that killed processes
 * of this machine left behind are removed first.
 * @param parent where; short, since a socket's path is. @default - the system's directory for temporary files
 */
export async function makePrivateFolder(parent: string = tmpdir()): Promise<string> {
  await removeAbandoned(parent);
  const folder = mkdtempSync(join(parent, PREFIX));
  const owner: Owner = { ...(await thisProcess()), host: hostname() };
  writeFileSync(join(folder, OWNER), `${JSON.stringify(owner)}\n`, { mode: 0o600 });
  return folder;
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(parent, name);
    const owner = ownerOf(folder);
    if (owner?.host !== hostname() || (await isSameProcess(owner))) continue;
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // Another one removes it at this moment.
    }
  }
}

/** Undefined when it cannot be told, as of one made at this moment, and of what another user has put there. */
function ownerOf(folder: string): Owner | undefined {
  try {
    const found = lstatSync(folder);
    if (!found.isDirectory() || found.uid !== process.getuid?.()) return undefined;
    const value = JSON.parse(readFileSync(join(folder, OWNER), "utf8")) as Partial<Owner>;
    return typeof value.pid === "number" && typeof value.startTime === "string" && value.host !== undefined
      ? (value as Owner)
      : undefined;
  } catch {
    return undefined;
  }
}
