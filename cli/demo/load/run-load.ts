import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { SpillwayError } from "../../../lib/errors";
import type { LoadBucket, LoadCommand, LoadFailure, LoadMessage, LoadOptions, LoadTotals } from "./options";

export interface LoadHandlers {
  /** Four times a second. */
  readonly onBucket?: (bucket: LoadBucket) => void;
  /** Each of the first failures, as it happens. */
  readonly onFailure?: (failure: LoadFailure) => void;
}

export interface RunningLoad {
  readonly pid: number;
  /** Milliseconds since 1970: bucket times count from here. */
  readonly startedAt: number;
  /** Resolves when the run is over; rejects (SpillwayError) if its process died. */
  readonly ended: Promise<LoadTotals>;
  /** Ends the run: requests under way are waited for. Idempotent. */
  stop(): Promise<LoadTotals>;
}

/**
 * Starts the load in a process of its own.
 * @param through a command that runs the command after it, in the same process: `ip netns exec NAME`
 * @throws SpillwayError if the process does not begin
 */
export async function startLoad(
  options: LoadOptions,
  handlers: LoadHandlers = {},
  through: readonly string[] = [],
): Promise<RunningLoad> {
  const [command, ...args] = [...through, process.execPath, loadEntry()];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.on(
    "data",
    (chunk: Buffer) => (complaint = (complaint + chunk.toString("utf8")).slice(-2_000)),
  );
  // The child may be gone when it is told something; its end is noticed by "close" below.
  child.stdin.on("error", () => undefined);

  let finish!: (totals: LoadTotals) => void;
  let fail!: (error: Error) => void;
  const ended = new Promise<LoadTotals>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  ended.catch(() => undefined);
  const startedAt = await new Promise<number>((resolve, reject) => {
    const broken = (what: string) => {
      const error = new SpillwayError({
        place: `load process ${child.pid ?? "(not started)"}`,
        problem: `${what}${complaint === "" ? "" : `: ${complaint.trim().split("\n").slice(-3).join(" | ")}`}`,
        mend: "Look at the message; run the demo again.",
      });
      reject(error);
      fail(error);
    };
    child.on("error", (error) => broken(`it could not be started (${error.message})`));
    child.on("close", (code, signal) => broken(`it ended early (${signal ?? `exit code ${code}`})`));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const message = JSON.parse(line) as LoadMessage;
      if (message.type === "started") resolve(message.startedAt);
      else if (message.type === "bucket") handlers.onBucket?.(message.bucket);
      else if (message.type === "failure") handlers.onFailure?.(message.failure);
      else if (message.type === "done") finish(message.totals);
      else broken(message.message);
    });
    tell(child, { type: "start", options });
  });

  const stop = (): Promise<LoadTotals> => {
    tell(child, { type: "stop" });
    if (child.exitCode !== null || child.signalCode !== null) return ended;
    // Twice the longest that a request may take; then the process is beyond hope.
    const timer = setTimeout(() => child.kill("SIGKILL"), 2 * (options.timeoutMs ?? 5_000) + 5_000);
    child.once("close", () => clearTimeout(timer));
    return ended;
  };
  return { pid: child.pid!, startedAt, ended, stop };
}

function tell(child: ChildProcess, command: LoadCommand): void {
  child.stdin?.write(JSON.stringify(command) + "\n");
}

/** Built beside this file; when this runs from source (tests), in `dist/`. */
function loadEntry(): string {
  const beside = join(__dirname, "load-main.js");
  return existsSync(beside)
    ? beside
    : join(__dirname, "..", "..", "..", "dist", "cli", "demo", "load", "load-main.js");
}
