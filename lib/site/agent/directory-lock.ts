import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SpillwayError } from "../../errors";
import { type ProcessHandle, isSameProcess, thisProcess } from "../../process-identity";

/** Who holds a directory, and since when (ISO 8601). */
export interface Holder extends ProcessHandle {
  readonly since: string;
}

const RELEASED = "released\n";

/** What a directory is locked for. */
export interface LockPurpose {
  /** What its files are called: letters only. */
  readonly name: string;
  /** The error for a directory that another process holds. */
  readonly held: (directory: string, holder: Holder) => Error;
}

const AGENT: LockPurpose = { name: "agent", held };

/**
 * One process (an agent) for each state directory. The holder is who wrote the lock file of the highest number. A taker that finds it released,
 * or its writer dead, makes the next number, which only one of many can; the highest file is never removed, so nobody can make a
 * number that was used. (Removing a dead holder's file instead would let a slow taker remove the lock of a fast one.)
 */
export class DirectoryLock {
  private constructor(
    private readonly path: string,
    private readonly text: string,
  ) {}

  /** @throws SpillwayError (or what the purpose says) saying who holds it */
  static async take(directory: string, purpose: LockPurpose = AGENT): Promise<DirectoryLock> {
    const { name } = purpose;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const holder: Holder = { ...(await thisProcess()), since: new Date().toISOString() };
    const text = `${JSON.stringify(holder)}\n`;
    const mine = join(directory, `${name}.lock-${randomBytes(8).toString("hex")}`);
    await writeFile(mine, text, { mode: 0o600 });
    try {
      for (;;) {
        const numbers = await numbersIn(directory, name);
        const highest = numbers.at(-1) ?? 0;
        const present = await read(pathOf(directory, name, highest));
        if (present !== undefined && (await isSameProcess(present))) throw purpose.held(directory, present);
        const path = pathOf(directory, name, highest + 1);
        // A link is made whole or not at all, with its content.
        if (!(await linked(mine, path))) continue;
        const now = await numbersIn(directory, name);
        if (now.at(-1) !== highest + 1) {
          await rm(path, { force: true });
          continue;
        }
        const older = now.slice(0, -1).map((number) => rm(pathOf(directory, name, number), { force: true }));
        await Promise.all(older);
        return new DirectoryLock(path, text);
      }
    } finally {
      await rm(mine, { force: true });
    }
  }

  /** The process that holds a directory; undefined when nobody does. */
  static async holder(directory: string): Promise<ProcessHandle | undefined> {
    const highest = (await numbersIn(directory, AGENT.name)).at(-1);
    const present = highest === undefined ? undefined : await read(pathOf(directory, AGENT.name, highest));
    return present !== undefined && (await isSameProcess(present)) ? present : undefined;
  }

  /** Idempotent. */
  async release(): Promise<void> {
    const present = await readFile(this.path, "utf8").catch(() => undefined);
    if (present !== this.text) return;
    await writeFile(`${this.path}.released`, RELEASED, { mode: 0o600 });
    await rename(`${this.path}.released`, this.path);
  }
}

function pathOf(directory: string, name: string, number: number): string {
  return join(directory, `${name}.lock.${number}`);
}

async function numbersIn(directory: string, name: string): Promise<number[]> {
  const pattern = new RegExp(`^${name}\\.lock\\.(\\d+)$`);
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .flatMap((file) => pattern.exec(file)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
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

/** Undefined when it was released, or is none. */
async function read(path: string): Promise<Holder | undefined> {
  try {
    const value = JSON.parse(await readFile(path, "utf8")) as Partial<Holder>;
    return typeof value.pid === "number" && typeof value.startTime === "string"
      ? (value as Holder)
      : undefined;
  } catch {
    return undefined;
  }
}

function held(directory: string, holder: Holder): SpillwayError {
  return new SpillwayError({
    place: directory,
    problem: `another agent works in this state directory: process ${holder.pid}, since ${holder.since}`,
    mend: "Stop it first, or give this agent a state directory of its own.",
  });
}
