import { existsSync, fstatSync, rmSync } from "node:fs";
import { messageOf } from "../../lib/errors";
import { serveControl, type ControlAnswer, type ControlRequest } from "./control";
import {
  CONTROL_PROTOCOL,
  controlSocketPath,
  helperFiles,
  type HelperHealth,
  type HelperIdentity,
  type HelperOptions,
} from "./helper-process";
import { isSameProcess, thisProcess } from "./process";
import { readStateFile, writeStateFile } from "./state-file";

/** What a helper's entry file gives: its name, where it keeps its state, and how it answers. */
export interface HelperServerOptions {
  readonly kind: HelperOptions["kind"];
  readonly stateDir: string;
  /** Brings it up with what its state file holds; called once this process knows that it is the only one. */
  readonly begin: (stateFile: string) => Promise<void>;
  /** Answers every question but `GET /health`. */
  readonly handle: (request: ControlRequest) => Promise<ControlAnswer>;
}

/**
 * The frame of a helper process: makes sure that there is one per state folder, answers on the control socket, and ends itself
 * when its folder is gone or another took its place, so that a lab that was simply deleted leaves nothing behind.
 */
export async function serveHelper(options: HelperServerOptions): Promise<void> {
  const files = helperFiles(options.stateDir, options.kind);
  const socket = controlSocketPath(options.stateDir, options.kind);
  const self = await thisProcess();
  process.on("uncaughtException", (error) => log(`fault: ${error.stack ?? error.message}`));
  process.on("unhandledRejection", (reason) => log(`fault: ${messageOf(reason)}`));

  const known = readStateFile<HelperIdentity>(files.identity);
  if (known !== undefined && known.process.pid !== process.pid && (await isSameProcess(known.process))) {
    log(`process ${known.process.pid} runs already`);
    process.exit(0);
  }
  let begun = false;
  const server = await serveControl(socket, async (request) => {
    if (!begun) return { status: 503, body: starting };
    if (request.method === "GET" && request.path[0] === "health") return { status: 200, body: health() };
    return options.handle(request);
  });
  if (server === undefined) {
    log("another process answers on the control socket");
    process.exit(0);
  }
  try {
    await options.begin(files.state);
  } catch (error) {
    log(messageOf(error));
    process.exit(1);
  }
  begun = true;
  const identity: HelperIdentity = { process: self, socket, protocol: CONTROL_PROTOCOL };
  writeStateFile(files.identity, identity);

  const end = () => {
    if (readStateFile<HelperIdentity>(files.identity)?.process.pid === process.pid) rmSync(files.identity);
    rmSync(socket, { force: true });
    process.exit(0);
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  setInterval(() => {
    if (!existsSync(options.stateDir)) process.exit(0);
    const owner = readStateFile<HelperIdentity>(files.identity);
    if (owner === undefined) writeStateFile(files.identity, identity);
    else if (owner.process.pid !== process.pid) process.exit(0);
  }, 2_000).unref();
}

const starting = {
  code: "internal",
  place: "control socket",
  problem: "it is still starting",
  mend: "Ask again in a moment.",
};

function health(): HelperHealth {
  const { user, system } = process.cpuUsage();
  return {
    pid: process.pid,
    protocol: CONTROL_PROTOCOL,
    cpuMicros: user + system,
    rssBytes: process.memoryUsage.rss(),
  };
}

/** One line to the log file that standard error is. */
export function log(line: string): void {
  if (fstatSync(2).size < MAX_LOG_BYTES) process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}

const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** The value of `--NAME VALUE` on this process's command line. */
export function argument(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? undefined : process.argv[at + 1];
}
