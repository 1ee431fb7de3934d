import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { DeadlineError, messageOf } from "../../lib/errors";
import { sleep } from "../../lib/wait";
import { baseEnvironment } from "../../providers/local/process";
import { PACKAGE_ROOT } from "../version";

export interface AgentProcessOptions {
  readonly site: string;
  readonly stateDir: string;
  readonly tokenFile: string;
  /** `host:port` of its API. */
  readonly listen: string;
  readonly nameServer?: string;
  readonly logFile: string;
  readonly onRestart: (reason: string) => void;
}

/** An agent in a process of its own, started again when it dies, as a service manager would. */
export interface AgentProcess {
  readonly pid: () => number | undefined;
  /** Ends the agent. What it runs lives on: that is the agent's nature; see `clearSite`. */
  stop(): Promise<void>;
}

/** The built program, also when this runs from source (in tests). */
const MAIN = join(PACKAGE_ROOT, "dist", "cli", "main.js");
const RESTART_AFTER_MS = 250;

export async function startAgentProcess(options: AgentProcessOptions): Promise<AgentProcess> {
  let stopping = false;
  let child: ChildProcess | undefined;
  const args = [
    MAIN,
    "agent",
    "--site",
    options.site,
    "--state",
    options.stateDir,
    "--token-file",
    options.tokenFile,
  ];
  args.push("--listen", options.listen);
  if (options.nameServer) args.push("--name-server", options.nameServer);

  const start = () => {
    const log = openSync(options.logFile, "a", 0o600);
    child = spawn(process.execPath, args, {
      stdio: ["ignore", log, log],
      env: baseEnvironment(),
      detached: true,
    });
    closeSync(log);
    child.once("exit", (code, signal) => {
      if (stopping) return;
      options.onRestart(`agent ${options.site} ended (${signal ?? `exit code ${code}`}); starting it again`);
      setTimeout(() => !stopping && start(), RESTART_AFTER_MS);
    });
  };
  const stop = async () => {
    stopping = true;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child?.once("exit", () => resolve()));
    child.kill("SIGTERM");
    const firmly = setTimeout(() => child?.kill("SIGKILL"), 3_000);
    await gone;
    clearTimeout(firmly);
  };
  start();
  try {
    await answers(options);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: () => child?.pid, stop };
}

async function answers(options: AgentProcessOptions): Promise<void> {
  const deadline = Date.now() + 15_000;
  let last = "no answer yet";
  while (Date.now() < deadline) {
    try {
      const response = await fetch(`http://${options.listen}/v1/health`, {
        signal: AbortSignal.timeout(1_000),
      });
      if (response.ok) return;
      last = `status ${response.status}`;
    } catch (error) {
      last = messageOf(error);
    }
    await sleep(50);
  }
  throw new DeadlineError({
    place: `agent ${options.site} at ${options.listen}`,
    problem: `it did not answer within 15 s (${last})`,
    mend: `Read its log: ${options.logFile}`,
  });
}
