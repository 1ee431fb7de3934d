import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { sleep } from "../../../lib/wait";

/** The built command line, as a user runs it. */
const MAIN = join(__dirname, "..", "..", "..", "dist", "cli", "main.js");

export interface SpillwayEnded {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpillwayOptions {
  readonly cwd?: string;
  /** Set, or (undefined) taken out of, what this process has. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** In a process group of its own, as a terminal's command is. @default false */
  readonly ownGroup?: boolean;
}

/** A command that runs on. */
export interface RunningSpillway {
  readonly child: ChildProcess;
  readonly ended: Promise<SpillwayEnded>;
  stdout(): string;
  stderr(): string;
  /** Looks until its standard output is so. */
  until(what: RegExp, deadlineMs?: number): Promise<RegExpExecArray>;
  /** Sends a signal and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<SpillwayEnded>;
}

export function startSpillway(args: readonly string[], options: SpillwayOptions = {}): RunningSpillway {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(SPILLWAY_|TF_)/.test(name));
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: options.cwd,
    detached: options.ownGroup === true,
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => (said[name] += text));
  }
  const ended = new Promise<SpillwayEnded>((resolve) =>
    child.once("close", (code) => resolve({ code, ...said })),
  );
  return {
    child,
    ended,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    until: async (what, deadlineMs = 20_000) => {
      const deadline = Date.now() + deadlineMs;
      for (;;) {
        const match = what.exec(said.stdout);
        if (match) return match;
        if (Date.now() > deadline || child.exitCode !== null) {
          throw new Error(
            `never said ${what} (exit code ${child.exitCode}):\n${said.stdout}\n${said.stderr}`,
          );
        }
        await sleep(20);
      }
    },
    stop: (signal = "SIGINT") => {
      child.kill(signal);
      return ended;
    },
  };
}

/** Runs a command to its end, however that is. */
export function spillway(args: readonly string[], options?: SpillwayOptions): Promise<SpillwayEnded> {
  return startSpillway(args, options).ended;
}

/** The one JSON object on standard output. */
export function onlyJson({ stdout, stderr }: SpillwayEnded): Record<string, unknown> {
  const lines = stdout.split("\n");
  if (lines.length !== 2 || lines[1] !== "") throw new Error(`not one line:\n${stdout}\n${stderr}`);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

/** What a failed command says with `--json`. */
export function refusal(
  problem: unknown,
  place: unknown = expect.any(String),
  mend: unknown = expect.stringMatching(/\w/),
) {
  return { ok: false, errors: [{ place, problem, mend }] };
}

/** Processes of which command line, environment or working directory names a directory, found in the system. Linux only. */
export function processesAbout(directory: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        if (/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) return [];
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        const all = [command, readFileSync(`/proc/${pid}/environ`, "utf8"), readlinkSync(`/proc/${pid}/cwd`)];
        return all.some((text) => text.includes(directory)) ? [`${pid} ${command}`] : [];
      } catch {
        // It ended while it was looked at, or is another user's.
        return [];
      }
    });
}

/** Every file below a directory with its content: two of them are the same when nothing was changed. */
export function contentOf(directory: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(directory, { recursive: true }) as string[]) {
    const file = join(directory, name);
    found[name] = statSync(file).isDirectory() ? "directory" : readFileSync(file, "latin1");
  }
  return found;
}
