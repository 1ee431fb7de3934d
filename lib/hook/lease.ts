import { randomBytes } from "node:crypto";
import {
  closeSync,
  fstatSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { SpillwayError } from "../errors";
import { formatDuration } from "../duration";
import { isSameProcess, thisProcess, type ProcessHandle } from "../process-identity";
import { sleep } from "../wait";

/** Who holds a lease. JSON, in the lease file. */
export interface LeaseHolder extends ProcessHandle {
  readonly host: string;
  /** When it was taken, milliseconds since 1970. */
  readonly since: number;
}

export interface LeaseOptions {
  readonly file: string;
  /** False: a lease that is held is an error. */
  readonly wait: boolean;
  readonly signal: AbortSignal;
  /** Said when waiting begins, and whenever the holder changes. */
  readonly onWaiting?: (message: string) => void;
  /** Without a sign of life for so long, a holder has lost it. @default 15000 */
  readonly expiryMs?: number;
}

/** The right to be the one active hook of a burst. */
export interface Lease {
  /** Fires when another has taken it: then nothing more may be done. */
  readonly lost: AbortSignal;
  release(): void;
}

/**
 * Takes the lease, or waits for it. It is stolen from a holder whose process is dead (on this machine) or who gave no sign of life for
 * `expiryMs`. The sign of life is the file's own modification time, set through the handle it was created with: a holder who was robbed
 * touches only its own, discarded file.
 * @throws SpillwayError naming the holder, if `wait` is false
 * @throws AbortedError
 */
export async function acquireLease(options: LeaseOptions): Promise<Lease> {
  const expiryMs = options.expiryMs ?? 15_000;
  mkdirSync(dirname(options.file), { recursive: true });
  const self: LeaseHolder = { ...(await thisProcess()), host: hostname(), since: Date.now() };
  let said = "";
  for (;;) {
    const handle = tryCreate(options.file, self);
    if (handle !== undefined) return hold(options.file, handle, expiryMs);
    const seen = look(options.file);
    if (seen && (await isOver(seen, expiryMs))) {
      discard(options.file, seen.inode);
      continue;
    }
    if (seen && !options.wait) throw heldBy(options.file, seen.holder, expiryMs);
    const message = seen ? `waiting for the lease, held by ${describe(seen.holder)}` : said;
    if (message !== said) options.onWaiting?.(message);
    said = message;
    await sleep(Math.min(500, expiryMs / 4), options.signal);
  }
}

/** Who holds the lease now; undefined if nobody does. */
export async function leaseHolder(file: string, expiryMs = 15_000): Promise<LeaseHolder | undefined> {
  const seen = look(file);
  return seen && !(await isOver(seen, expiryMs)) ? seen.holder : undefined;
}

interface Seen {
  readonly holder: LeaseHolder | undefined;
  readonly inode: bigint;
  readonly touchedAt: number;
}

/** Whole or not at all: the file is linked into place with its text in it. */
function tryCreate(file: string, self: LeaseHolder): number | undefined {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const handle = openSync(temporary, "wx", 0o600);
  try {
    writeSync(handle, `${JSON.stringify(self)}\n`);
    linkSync(temporary, file);
    return handle;
  } catch (error) {
    closeSync(handle);
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function look(file: string): Seen | undefined {
  try {
    const handle = openSync(file, "r");
    try {
      const { ino, mtimeMs } = fstatSync(handle, { bigint: true });
      return { holder: parseHolder(readFileSync(handle, "utf8")), inode: ino, touchedAt: Number(mtimeMs) };
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function parseHolder(text: string): LeaseHolder | undefined {
  try {
    const value = JSON.parse(text) as Partial<LeaseHolder>;
    return typeof value.pid === "number" && typeof value.startTime === "string"
      ? (value as LeaseHolder)
      : undefined;
  } catch {
    return undefined;
  }
}

async function isOver(seen: Seen, expiryMs: number): Promise<boolean> {
  if (Date.now() - seen.touchedAt > expiryMs) return true;
  return seen.holder !== undefined && seen.holder.host === hostname() && !(await isSameProcess(seen.holder));
}

/** Removes the lease that was judged, and no other that took its place meanwhile. */
function discard(file: string, inode: bigint): void {
  const aside = `${file}.${process.pid}.${randomBytes(4).toString("hex")}.over`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  try {
    if (statSync(aside, { bigint: true }).ino !== inode) linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function hold(file: string, handle: number, expiryMs: number): Lease {
  const lost = new AbortController();
  const inode = fstatSync(handle, { bigint: true }).ino;
  let misses = 0;
  const timer = setInterval(
    () => {
      const now = new Date();
      futimesSync(handle, now, now);
      // For an instant, a thief who judged an older lease may have this one in hand: only twice in a row is it gone.
      misses = isOurs(file, inode) ? 0 : misses + 1;
      if (misses >= 2) lost.abort();
    },
    Math.min(2_000, expiryMs / 5),
  );
  timer.unref();
  let released = false;
  return {
    lost: lost.signal,
    release() {
      if (released) return;
      released = true;
      clearInterval(timer);
      if (isOurs(file, inode)) discard(file, inode);
      closeSync(handle);
    },
  };
}

function isOurs(file: string, inode: bigint): boolean {
  try {
    return statSync(file, { bigint: true }).ino === inode;
  } catch {
    return false;
  }
}

function heldBy(file: string, holder: LeaseHolder | undefined, expiryMs: number): SpillwayError {
  return new SpillwayError({
    place: file,
    problem: `another hook is active for this burst: ${describe(holder)}`,
    mend: `Stop it, or let this one wait for it; a hook that died loses its lease at once, one that hangs after ${formatDuration(expiryMs)}.`,
  });
}

function describe(holder: LeaseHolder | undefined): string {
  if (!holder) return "a process that did not say who it is";
  return `process ${holder.pid} on ${holder.host}, since ${new Date(holder.since).toISOString()}`;
}
