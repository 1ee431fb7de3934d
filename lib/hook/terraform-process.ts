import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatDuration } from "../duration";
import { AbortedError, SpillwayError, messageOf } from "../errors";
import { isSameProcess, startTimeOf, type ProcessHandle } from "../process-identity";
import { sleep } from "../wait";
import { tail } from "./tail";
import type { TerraformTool } from "./find-terraform";

export interface ProcessOptions {
  readonly tool: TerraformTool;
  /** Where it runs: the stack. */
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** A folder only its owner can read. */
  readonly scratch: string;
  /** An aborted Terraform gets so long to end before it is killed. A kill can lose state. */
  readonly killAfterMs: number;
}

/**
 * A stopped provider winds up within 10 s (it puts weights back, lets users stay, undoes a launch), and then Terraform still has to
 * write its state to a backend that may be slow. A Terraform that is killed while it does so forgets what it has made and leaves its lock
 * behind, so patience costs less than a kill.
 */
export const DEFAULT_KILL_AFTER_MS = 5 * 60_000;

export interface RunOptions {
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  /** Each line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
  /** Called once it runs, before anything else can happen in this process. */
  readonly onStart?: (handle: ProcessHandle) => void;
}

export interface RunResult {
  /** Undefined when it died of a signal. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** It was asked to stop while it ran. */
  readonly aborted: boolean;
}

let counter = 0;

/**
 * Runs one Terraform command in a process group of its own, so that a Ctrl-C meant for this program does not reach it by itself. When
 * `signal` fires it is asked once to stop (SIGINT: Terraform stops its providers and saves what is done), and killed after a deadline.
 * Its output goes through files: this program's death must not break the pipe of a running apply.
 * @throws SpillwayError when it cannot be started
 * @throws AbortedError when `signal` had fired before
 */
export async function runTerraform(options: ProcessOptions, run: RunOptions): Promise<RunResult> {
  if (run.signal.aborted) throw new AbortedError("stopped");
  counter += 1;
  const base = join(options.scratch, `${run.args[0] ?? "run"}-${counter}`);
  const files = { out: `${base}.out`, err: `${base}.err` };
  const out = openSync(files.out, "wx", 0o600);
  const err = openSync(files.err, "wx", 0o600);
  const follower = run.onLine ? tail(files.out, run.onLine) : undefined;
  try {
    const child = spawn(options.tool.binary, run.args, {
      cwd: options.directory,
      env: environmentFor(options),
      detached: true,
      stdio: ["ignore", out, err],
    });
    const ended = new Promise<number | undefined>((resolve, reject) => {
      child.once("exit", (code) => resolve(code ?? undefined));
      child.once("error", reject);
    });
    const { pid } = child;
    if (pid === undefined) throw await ended.then(() => new Error("no process id"));
    run.onStart?.({ pid, startTime: (await startTimeOf(pid, true)) ?? "gone" });

    let aborted = false;
    let killer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      aborted = true;
      child.kill("SIGINT");
      killer = setTimeout(() => killGroup(pid), options.killAfterMs);
    };
    run.signal.addEventListener("abort", onAbort, { once: true });
    if (run.signal.aborted) onAbort();
    const code = await ended.finally(() => {
      clearTimeout(killer);
      run.signal.removeEventListener("abort", onAbort);
    });
    follower?.end();
    return {
      code,
      stdout: readFileSync(files.out, "utf8"),
      stderr: readFileSync(files.err, "utf8"),
      aborted,
    };
  } catch (error) {
    follower?.end();
    if (error instanceof SpillwayError) throw error;
    throw new SpillwayError(
      {
        place: options.directory,
        problem: `\`${options.tool.binary} ${run.args[0]}\` cannot be run: ${messageOf(error)}`,
        mend: "Check that the stack's folder exists (synthesise first) and that Terraform may be executed.",
      },
      { cause: error },
    );
  } finally {
    closeSync(out);
    closeSync(err);
    rmSync(files.out, { force: true });
    rmSync(files.err, { force: true });
  }
}

/**
 * Ends a Terraform that an earlier, killed run of this program left behind: politely, then firmly.
 * @returns false if it had ended already
 * @throws SpillwayError if it cannot be ended
 * @throws AbortedError
 */
export async function endOrphan(
  handle: ProcessHandle,
  options: {
    readonly killAfterMs: number;
    readonly signal: AbortSignal;
    /** Said once, when there is something to wait for. */
    readonly onWaiting: (message: string) => void;
    /** After the kill, so long until it is given up. @default 10000 */
    readonly giveUpAfterMs?: number;
  },
): Promise<boolean> {
  if (!(await isSameProcess(handle))) return false;
  const { killAfterMs, signal, onWaiting } = options;
  onWaiting(
    `waiting for an apply that a killed hook left behind (process ${handle.pid}): it is asked to stop, and killed after ${formatDuration(killAfterMs)}`,
  );
  tryKill(handle.pid, "SIGINT");
  if (await hasEnded(handle, killAfterMs, signal)) return true;
  killGroup(handle.pid);
  if (await hasEnded(handle, options.giveUpAfterMs ?? 10_000, signal)) return true;
  throw new SpillwayError({
    place: `process ${handle.pid}`,
    problem: "an apply that a killed hook left behind does not end, not even by SIGKILL",
    mend: `End process ${handle.pid} by hand (it may wait for a disk or belong to someone else), then start the hook again.`,
  });
}

async function hasEnded(handle: ProcessHandle, withinMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (await isSameProcess(handle)) {
    if (Date.now() >= deadline) return false;
    await sleep(50, signal);
  }
  return true;
}

function killGroup(pid: number): void {
  tryKill(-pid, "SIGKILL");
}

function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile, or is not ours: whether it is still there is looked at, not guessed.
  }
}

function environmentFor(options: ProcessOptions): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    ...options.environment,
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    CHECKPOINT_DISABLE: "1",
  };
  // A person's own flags would change what is parsed here.
  for (const name of Object.keys(environment)) if (name.startsWith("TF_CLI_ARGS")) delete environment[name];
  const configured = environment.TF_CLI_CONFIG_FILE;
  if (configured !== undefined && configured !== "" && !existsSync(configured)) {
    // Terraform warns on every command about a configuration file that is not there.
    const empty = join(options.scratch, "terraform.rc");
    if (!existsSync(empty)) writeFileSync(empty, "", { mode: 0o600 });
    environment.TF_CLI_CONFIG_FILE = empty;
  }
  return environment;
}
