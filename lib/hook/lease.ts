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
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { AbortedError, messageOf, SpillwayError } from "../errors";
import { formatDuration } from "../duration";
import { isSameProcess, thisProcess, type ProcessHandle } from "../process-identity";
import { sleep } from "../wait";

/** Who holds a lease. JSON, in the lease file. */
export interface LeaseHolder extends ProcessHandle {
  readonly host: string;
  /** When it was taken, milliseconds since 1970. */
  readonly since: number;
  /** Tells two leases of one process apart. */
  readonly token: string;
}

/** Thieves of one lease have so long to notice each other. */
const SETTLE_MS = 250;

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
  /**
   * Fires when another has taken it, or when it can no longer be kept (the disk is full or gone): then nothing more may be done. Its
   * reason is an `Error` that says which.
   */
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
  const { file, signal } = options;
  mkdirSync(dirname(file), { recursive: true });
  const self: LeaseHolder = {
    ...(await thisProcess()),
    host: hostname(),
    since: Date.now(),
    token: randomBytes(8).toString("hex"),
  };
  const text = `${JSON.stringify(self)}\n`;
  let said = "";
  for (;;) {
    if (signal.aborted) throw new AbortedError("stopped while waiting for the lease");
    const seen = look(file);
    let handle: number | undefined;
    if (!seen) handle = create(file, text);
    else if (await isOver(seen, expiryMs)) handle = await steal(file, seen.text, text, signal);
    else if (!options.wait) throw heldBy(file, seen.holder, expiryMs);
    if (handle !== undefined) return hold(file, handle, text, expiryMs);
    if (!seen) continue;
    const message = `waiting for the lease, held by ${describe(seen.holder)}`;
    if (message !== said) options.onWaiting?.(message);
    said = message;
    await sleep(Math.min(500, expiryMs / 4), signal);
  }
}

/** Who holds the lease now; undefined if nobody does. */
export async function leaseHolder(file: string, expiryMs = 15_000): Promise<LeaseHolder | undefined> {
  const seen = look(file);
  return seen && !(await isOver(seen, expiryMs)) ? seen.holder : undefined;
}

interface Seen {
  readonly text: string;
  readonly holder: LeaseHolder | undefined;
  readonly touchedAt: number;
}

function look(file: string): Seen | undefined {
  try {
    const handle = openSync(file, "r");
    try {
      const { mtimeMs } = fstatSync(handle);
      const text = readFileSync(handle, "utf8");
      return { text, holder: parseHolder(text), touchedAt: mtimeMs };
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

/** Whole or not at all, and only where there is none: the file is linked into place with its text in it. */
function create(file: string, text: string): number | undefined {
  return withTemporary(file, text, (temporary) => {
    try {
      linkSync(temporary, file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  });
}

/**
 * Puts this lease in the place of one that is over. Several may do so at once: the last one's stays, so each looks again after all have
 * had the time to.
 */
async function steal(
  file: string,
  judged: string,
  text: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const handle = withTemporary(file, text, (temporary) => {
    if (look(file)?.text !== judged) return false;
    renameSync(temporary, file);
    return true;
  });
  if (handle === undefined) return undefined;
  try {
    await sleep(SETTLE_MS, signal);
    if (isOurs(file, text)) return handle;
  } catch (error) {
    closeSync(handle);
    throw error;
  }
  closeSync(handle);
  return undefined;
}

function withTemporary(
  file: string,
  text: string,
  place: (temporary: string) => boolean,
): number | undefined {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const handle = openSync(temporary, "wx", 0o600);
  let placed = false;
  try {
    writeSync(handle, text);
    placed = place(temporary);
    return placed ? handle : undefined;
  } finally {
    if (!placed) closeSync(handle);
    rmSync(temporary, { force: true });
  }
}

function hold(file: string, handle: number, text: string, expiryMs: number): Lease {
  const lost = new AbortController();
  const timer = setInterval(
    () => {
      const why = giveSignOfLife(file, handle, text);
      if (why === undefined) return;
      clearInterval(timer);
      lost.abort(new Error(why));
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
      try {
        try {
          if (isOurs(file, text)) rmSync(file, { force: true });
        } finally {
          closeSync(handle);
        }
      } catch {
        // Where it cannot be removed, it expires.
      }
    },
  };
}

/** @returns why the lease is lost; undefined while it is not */
function giveSignOfLife(file: string, handle: number, text: string): string | undefined {
  try {
    const now = new Date();
    futimesSync(handle, now, now);
    return isOurs(file, text) ? undefined : `another hook has taken the lease ${file}`;
  } catch (error) {
    return `the lease ${file} can no longer be kept: ${messageOf(error)}`;
  }
}

function isOurs(file: string, text: string): boolean {
  return look(file)?.text === text;
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
