import { execFile, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { SpillwayError, messageOf } from "../../lib/errors";
import { sleep } from "../../lib/wait";

/** A process that can be found again after a restart: a process id alone may have been given to another one since. JSON. */
export interface ProcessHandle {
  readonly pid: number;
  /** When it started, in the system's own words. Only ever compared. */
  readonly startTime: string;
}

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

/** The handle of this very process, for lock files. */
export async function thisProcess(): Promise<ProcessHandle> {
  return { pid: process.pid, startTime: (await startTimeOf(process.pid, false)) ?? "unknown" };
}

/** Is it alive, and still the same process? A zombie is not alive. */
export async function isSameProcess(handle: ProcessHandle): Promise<boolean> {
  return (await startTimeOf(handle.pid, false)) === handle.startTime;
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
  const ours = alive || (process.platform === "linux" && handle.startTime.startsWith(`${bootId()}:`));
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

/**
 * Undefined when there is no such process, or only a zombie (unless `evenZombie`). On Linux the start is counted in ticks since
 * boot, so the boot is part of it.
 */
async function startTimeOf(pid: number, evenZombie: boolean): Promise<string | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform === "linux") return linuxStartTime(pid, evenZombie);
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      env: { ...baseEnvironment(), LC_ALL: "C", TZ: "UTC" },
    });
    const [state, ...started] = stdout.trim().split(/\s+/);
    if (started.length === 0 || (state.startsWith("Z") && !evenZombie)) return undefined;
    return started.join(" ");
  } catch {
    return undefined;
  }
}

function linuxStartTime(pid: number, evenZombie: boolean): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses, which may itself hold blanks and parentheses (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (!evenZombie && (fields[0] === "Z" || fields[0] === "X")) return undefined;
  return `${bootId()}:${fields[19]}`;
}

let boot: string | undefined;
function bootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().slice(0, 8);
  return boot;
}
