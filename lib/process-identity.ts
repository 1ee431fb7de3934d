import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

/** A process that can be found again after a restart: a process id alone may have been given to another one since. JSON. */
export interface ProcessHandle {
  readonly pid: number;
  /** When it started, in the system's own words. Only ever compared. */
  readonly startTime: string;
}

/** The handle of this very process, for lock files. */
export async function thisProcess(): Promise<ProcessHandle> {
  return { pid: process.pid, startTime: (await startTimeOf(process.pid, false)) ?? "unknown" };
}

/** Is it alive, and still the same process? A zombie is not alive. */
export async function isSameProcess(handle: ProcessHandle): Promise<boolean> {
  return (await startTimeOf(handle.pid, false)) === handle.startTime;
}

/** Was it started since the machine was? False where that cannot be told. */
export function startedSinceBoot(handle: ProcessHandle): boolean {
  return bootId() !== "" && handle.startTime.startsWith(`${bootId()}:`);
}

/**
 * Undefined when there is no such process, or only a zombie (unless `evenZombie`). On Linux the start is counted in ticks since
 * boot, so the boot is part of it.
 */
export async function startTimeOf(pid: number, evenZombie: boolean): Promise<string | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform === "linux") return linuxStartTime(pid, evenZombie);
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
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
  const { state, startTime } = parseStat(stat);
  return !evenZombie && (state === "Z" || state === "X") ? undefined : startTime;
}

/** The state and the start time in a line of `/proc/PID/stat`. */
export function parseStat(stat: string): { readonly state: string; readonly startTime: string } {
  // The second field is the command in parentheses, which may itself hold blanks and parentheses (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0], startTime: `${bootId()}:${fields[19]}` };
}

let boot: string | undefined;
/** Another one after each boot of the machine; empty where the system does not tell. */
export function bootId(): string {
  if (process.platform !== "linux") return "";
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().slice(0, 8);
  return boot;
}
