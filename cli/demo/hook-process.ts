import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { HookEvent } from "../../lib/hook";
import { PACKAGE_ROOT } from "../version";

/** `spillway run` in a process of its own, as an operator runs it. */
export interface HookProcess {
  readonly pid: number;
  readonly events: HookEvent[];
  /** What it said on standard error, the end of it. */
  complaint(): string;
  running(): boolean;
  /** Its exit code; null if a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Ends it in good order, and waits. */
  stop(): Promise<void>;
}

export function startHook(dir: string, onEvent: (event: HookEvent) => void): HookProcess {
  const child = spawn(
    process.execPath,
    [join(PACKAGE_ROOT, "dist", "cli", "main.js"), "run", "--dir", dir, "--json"],
    {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    },
  );
  const events: HookEvent[] = [];
  let complaint = "";
  let running = true;
  const ended = new Promise<number | null>((resolve) =>
    child.once("close", (code) => {
      running = false;
      resolve(code);
    }),
  );
  child.stderr.on(
    "data",
    (chunk: Buffer) => (complaint = (complaint + chunk.toString("utf8")).slice(-4_000)),
  );
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = JSON.parse(line) as HookEvent & { ok?: false };
    if (event.ok === false) {
      complaint += line;
      return;
    }
    events.push(event);
    onEvent(event);
  });
  return {
    pid: child.pid ?? -1,
    events,
    complaint: () => complaint.trim(),
    running: () => running,
    ended,
    stop: async () => {
      if (running) child.kill("SIGINT");
      const firmly = setTimeout(() => child.kill("SIGKILL"), 20_000);
      await ended;
      clearTimeout(firmly);
    },
  };
}
