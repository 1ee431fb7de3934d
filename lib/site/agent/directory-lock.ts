import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SpillwayError } from "../../errors";
import { type ProcessHandle, isSameProcess, thisProcess } from "../../process-identity";

interface Holder extends ProcessHandle {
  readonly since: string;
  /** Tells two holders in one process apart. */
  readonly nonce: string;
}

/** One agent for each state directory. */
export class DirectoryLock {
  private constructor(
    private readonly path: string,
    private readonly text: string,
  ) {}

  /** @throws SpillwayError saying who holds it */
  static async take(directory: string): Promise<DirectoryLock> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, "agent.lock");
    const nonce = randomBytes(8).toString("hex");
    const holder: Holder = { ...(await thisProcess()), since: new Date().toISOString(), nonce };
    const text = `${JSON.stringify(holder)}\n`;
    const mine = `${path}.${nonce}`;
    await writeFile(mine, text, { mode: 0o600 });
    try {
      for (let attempt = 0; attempt < 20; attempt++) {
        // A link is made whole or not at all, with its content.
        if (await linked(mine, path)) return new DirectoryLock(path, text);
        const found = await readFile(path, "utf8").catch(() => undefined);
        if (found === undefined) continue;
        const other = parse(found);
        if (other && (await isSameProcess(other))) throw held(directory, other);
        await removeStale(path, found, `${mine}.stale`);
      }
    } finally {
      await rm(mine, { force: true });
    }
    throw held(directory, undefined);
  }

  async release(): Promise<void> {
    if ((await readFile(this.path, "utf8").catch(() => undefined)) === this.text)
      await rm(this.path, { force: true });
  }
}

/** Two agents may find the same stale lock: the slower must not remove what the faster has put there since. */
async function removeStale(path: string, stale: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if ((await readFile(aside, "utf8")) !== stale) await linked(aside, path);
  await rm(aside, { force: true });
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder>;
    return typeof value.pid === "number" && typeof value.startTime === "string"
      ? (value as Holder)
      : undefined;
  } catch {
    return undefined;
  }
}

function held(directory: string, holder: Holder | undefined): SpillwayError {
  const who = holder ? `process ${holder.pid}, since ${holder.since}` : "another process";
  return new SpillwayError({
    place: directory,
    problem: `another agent works in this state directory: ${who}`,
    mend: "Stop it first, or give this agent a state directory of its own.",
  });
}
