import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { SpillwayError } from "../../lib/errors";
import { sleep } from "../../lib/wait";
import { NobodyAnswers, Silence, askControl } from "./control";
import { endProcess, isSameProcess, startDetached, thisProcess, type ProcessHandle } from "./process";
import { readStateFile } from "./state-file";

/** Spoken on the control sockets. A helper that speaks another one is replaced. */
export const CONTROL_PROTOCOL = 1;

/** What a helper writes of itself into its state folder, so that the next agent finds it. JSON. */
export interface HelperIdentity {
  readonly process: ProcessHandle;
  readonly socket: string;
  readonly protocol: number;
}

/** What every helper answers to `GET /health`. */
export interface HelperHealth {
  readonly pid: number;
  readonly protocol: number;
  /** CPU time used since its start, microseconds. */
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

export interface HelperOptions {
  /** Names its files: `balancer.sock`, `balancer.process.json`, `balancer.log`. */
  readonly kind: "balancer" | "name-server";
  readonly stateDir: string;
  /** Path of its entry file below `dist/`, without `.js`. */
  readonly entry: string;
  readonly args: readonly string[];
}

const START_DEADLINE_MS = 15_000;
const ANSWER_DEADLINE_MS = 10_000;
/** Two silences in a row of so long, and it is taken for hung and replaced: users are without it all the while. */
const SILENCE_MS = 1_500;

/** The files of a helper in its state folder. */
export function helperFiles(stateDir: string, kind: HelperOptions["kind"]) {
  return {
    identity: join(stateDir, `${kind}.process.json`),
    state: join(stateDir, `${kind}.state.json`),
    lock: join(stateDir, `${kind}.lock`),
    log: join(stateDir, `${kind}.log`),
  };
}

/**
 * Where a helper's control socket lives. A unix socket's path has room for about 100 bytes; a state folder deeper than that gets
 * its socket in a private folder of the temporary directory.
 */
export function controlSocketPath(stateDir: string, kind: HelperOptions["kind"]): string {
  const direct = join(stateDir, `${kind}.sock`);
  if (Buffer.byteLength(direct) < 100) return direct;
  const folder = join(tmpdir(), `spillway-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(folder);
  if (uid !== userInfo().uid || (mode & 0o077) !== 0) {
    throw new SpillwayError({
      place: folder,
      problem: "the folder for control sockets can be opened by others",
      mend: `Remove it, or choose a state folder shorter than ${stateDir}.`,
    });
  }
  return join(folder, `${createHash("sha256").update(direct).digest("hex").slice(0, 24)}.sock`);
}

/** A process of ours that outlives this one: started when there is none, adopted when there is, asked over its control socket. */
export class HelperProcess {
  private readonly files: ReturnType<typeof helperFiles>;
  private starting: Promise<HelperIdentity> | undefined;
  private stopped = false;

  constructor(private readonly options: HelperOptions) {
    this.files = helperFiles(options.stateDir, options.kind);
  }

  /**
   * Starts it, or adopts the one that runs already.
   * @throws SpillwayError when it does not come up, with the end of its log
   */
  async start(): Promise<void> {
    this.stopped = false;
    await this.ensure();
  }

  /**
   * Asks it. When nobody answers, it is started again and asked once more: every question here may be repeated. One that is silent
   * is asked once whether it is well, and replaced if it is silent then too.
   * @param patienceMs for questions that take long; without it, one that is well gets 10 s when it is asked again
   * @throws SpillwayError
   */
  async ask<T>(method: string, path: readonly string[], body?: unknown, patienceMs?: number) {
    if (this.stopped) throw this.problem("it was stopped", "Start it again before using it.");
    const identity = readStateFile<HelperIdentity>(this.files.identity) ?? (await this.ensure());
    try {
      return await askControl<T>(identity.socket, method, path, {
        body,
        timeoutMs: patienceMs ?? SILENCE_MS,
      });
    } catch (error) {
      if (!(error instanceof NobodyAnswers)) throw error;
      const fresh = await this.ensure(error instanceof Silence ? identity : undefined);
      const timeoutMs = patienceMs ?? ANSWER_DEADLINE_MS;
      return await askControl<T>(fresh.socket, method, path, { body, timeoutMs });
    }
  }

  /** Ends it and waits until it is gone. Idempotent. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.starting?.catch(() => undefined);
    const identity = readStateFile<HelperIdentity>(this.files.identity);
    if (identity === undefined) return;
    await endProcess(identity.process, 5_000);
    rmSync(this.files.identity, { force: true });
    rmSync(identity.socket, { force: true });
  }

  /** `silent`: the one that did not answer just now. */
  private ensure(silent?: HelperIdentity): Promise<HelperIdentity> {
    this.starting ??= this.adoptOrStart(silent).finally(() => (this.starting = undefined));
    return this.starting;
  }

  private async adoptOrStart(silent: HelperIdentity | undefined): Promise<HelperIdentity> {
    mkdirSync(this.options.stateDir, { recursive: true, mode: 0o700 });
    const running = await this.findRunning(2_000);
    if (running !== undefined) return running;
    const release = await this.lock();
    try {
      // Another agent may have started it while this one waited for the lock. And an end costs users: look once more, unless this
      // very process has been silent twice.
      const present = readStateFile<HelperIdentity>(this.files.identity);
      if (silent === undefined || !isSameHelper(present, silent)) {
        const other = await this.findRunning(1_000);
        if (other !== undefined) return other;
      }
      const stale = readStateFile<HelperIdentity>(this.files.identity);
      // One that speaks another protocol may end in order; one that hangs hears nothing, and its users wait.
      if (stale !== undefined)
        await endProcess(stale.process, stale.protocol === CONTROL_PROTOCOL ? 200 : 2_000);
      return await this.launch();
    } finally {
      release();
    }
  }

  private async launch(): Promise<HelperIdentity> {
    const { entry, args, stateDir } = this.options;
    const handle = await startDetached({
      command: process.execPath,
      // Small young generation and one malloc arena: a few percent of speed for a third of the memory.
      args: ["--max-semi-space-size=2", builtFile(entry), "--state-dir", stateDir, ...args],
      env: { MALLOC_ARENA_MAX: "1" },
      logFile: this.files.log,
    });
    let deadline = Date.now() + START_DEADLINE_MS;
    let goneAt: number | undefined;
    while (Date.now() < deadline) {
      const running = await this.findRunning(0);
      if (running !== undefined) return running;
      // It also ends when it finds another one at work, which then tells of itself within seconds.
      if (!(await isSameProcess(handle))) deadline = Math.min(deadline, (goneAt ??= Date.now()) + 3_000);
      await sleep(20);
    }
    await endProcess(handle, 0);
    const words = lastLines(this.files.log, 5);
    throw this.problem(
      `it did not start: ${words === "" ? "it ended without a word" : words}`,
      `Mend what its log names (${this.files.log}), then try again.`,
    );
  }

  /** The helper that runs and answers, if there is one; waits `patienceMs` for one that runs but cannot be asked yet. */
  private async findRunning(patienceMs: number): Promise<HelperIdentity | undefined> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const identity = readStateFile<HelperIdentity>(this.files.identity);
      if (identity === undefined || !(await isSameProcess(identity.process))) return undefined;
      if (identity.protocol !== CONTROL_PROTOCOL) return undefined;
      try {
        await askControl<HelperHealth>(identity.socket, "GET", ["health"], { timeoutMs: SILENCE_MS });
        return identity;
      } catch (error) {
        if (error instanceof Silence) return undefined;
        if (!(error instanceof NobodyAnswers)) throw error;
      }
      if (Date.now() >= deadline) return undefined;
      await sleep(50);
    }
  }

  /** Only one process at a time may start a helper of one state folder. */
  private async lock(): Promise<() => void> {
    const mine = JSON.stringify(await thisProcess());
    const deadline = Date.now() + START_DEADLINE_MS + 10_000;
    for (;;) {
      try {
        const file = openSync(this.files.lock, "wx", 0o600);
        writeSync(file, mine);
        closeSync(file);
        return () => rmSync(this.files.lock, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = lockHolder(this.files.lock);
      if (holder === undefined ? isOlderThan(this.files.lock, 5_000) : !(await isSameProcess(holder))) {
        rmSync(this.files.lock, { force: true });
      } else if (Date.now() > deadline) {
        throw this.problem(
          `process ${holder?.pid ?? "(unknown)"} holds ${this.files.lock}`,
          "End that process, or delete the file if it is none of Spillway's.",
        );
      } else {
        await sleep(50);
      }
    }
  }

  private problem(problem: string, mend: string): SpillwayError {
    return new SpillwayError({ place: `${this.options.kind} in ${this.options.stateDir}`, problem, mend });
  }
}

function isSameHelper(one: HelperIdentity | undefined, other: HelperIdentity): boolean {
  return one?.process.pid === other.process.pid && one.process.startTime === other.process.startTime;
}

/** Undefined while its holder has made it but not yet written to it. */
function lockHolder(path: string): ProcessHandle | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessHandle;
  } catch {
    return undefined;
  }
}

function isOlderThan(path: string, ms: number): boolean {
  try {
    return Date.now() - statSync(path).mtimeMs > ms;
  } catch {
    return false;
  }
}

/** A file of `dist/`, whether this module runs from there or from its TypeScript source. */
function builtFile(entry: string): string {
  let root = __dirname;
  while (!existsSync(join(root, "package.json"))) {
    if (dirname(root) === root) throw new Error(`no package.json above ${__dirname}`);
    root = dirname(root);
  }
  return join(root, "dist", `${entry}.js`);
}

function lastLines(path: string, count: number): string {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n");
  } catch {
    return "";
  }
}
