import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { SpillwayError, messageOf } from "../../lib/errors";
import { type ProcessHandle, isSameProcess, startTimeOf, startedSinceBoot } from "../../lib/process-identity";
import { sleep } from "../../lib/wait";

export { type ProcessHandle, isSameProcess, thisProcess } from "../../lib/process-identity";

export interface DetachedOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to {@link baseEnvironment}. Nothing else of this process's environment is inherited: it may hold tokens. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Gets standard output and standard error, appended. Its folder is made. */
  readonly logFile: string;
}

/** The variables of this process that a child cannot do without. */
export function baseEnvironment(): Record<string, string> {
  const names = ["PATH", "HOME", "USER", "TMPDIR", "TMP", "TEMP", "LANG", "LC_ALL", "TZ", "SystemRoot"];
  const environment: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/**
 * Starts a process in a session of its own, that lives on when this one is killed.
 * @throws SpillwayError when the command cannot be started
 */
export async function startDetached(options: DetachedOptions): Promise<ProcessHandle> {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, "a", 0o600);
  try {
    const child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: { ...baseEnvironment(), ...options.env },
      detached: true,
      stdio: ["ignore", log, log],
    });
    if (child.pid === undefined) {
      const error = await new Promise<Error>((resolve) => child.once("error", resolve));
      throw new SpillwayError(
        {
          place: options.cwd ?? process.cwd(),
          problem: `\`${options.command}\` cannot be started: ${messageOf(error)}`,
          mend: "Check that the command exists, may be executed, and is on PATH.",
        },
        { cause: error },
      );
    }
    child.on("error", () => undefined);
    child.unref();
    // Read before this process gets a chance to reap it: even a child that died at once is still found.
    return { pid: child.pid, startTime: (await startTimeOf(child.pid, true)) ?? "gone" };
  } finally {
    closeSync(log);
  }
}

/**
 * Ends a process and what it started in its session: SIGTERM, after `graceMs` SIGKILL, and waits until it is gone. Idempotent.
 * Never touches a process that only has the same id.
 * @throws SpillwayError when it outlives SIGKILL by 10 s
 */
export async function endProcess(handle: ProcessHandle, graceMs: number): Promise<void> {
  const alive = await isSameProcess(handle);
  if (alive) {
    signalGroup(handle.pid, "SIGTERM");
    if (!(await goneWithin(handle, graceMs))) {
      if (await isSameProcess(handle)) signalGroup(handle.pid, "SIGKILL");
      if (!(await goneWithin(handle, 10_000))) {
        throw new SpillwayError({
          place: `process ${handle.pid}`,
          problem: "it is still there 10 s after SIGKILL",
          mend: "It hangs in the kernel (a dead file system?) or belongs to another user; end it by hand.",
        });
      }
    }
  }
  // A process id is not given away while a group still carries it, so a group without its leader is what ours left behind
  // (unless that was before a reboot).
  const ours = alive || startedSinceBoot(handle);
  if (ours && (await startTimeOf(handle.pid, false)) === undefined) signalGroup(handle.pid, "SIGKILL");
}

async function goneWithin(handle: ProcessHandle, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  for (let pauseMs = 5; await isSameProcess(handle); pauseMs = Math.min(pauseMs * 2, 100)) {
    const leftMs = deadline - Date.now();
    if (leftMs <= 0) return false;
    await sleep(Math.min(pauseMs, leftMs));
  }
  return true;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
