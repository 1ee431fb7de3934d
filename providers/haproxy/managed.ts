import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError, messageOf } from "../../lib/errors";
import { sleep } from "../../lib/wait";
import { endProcess, isSameProcess, startDetached, type ProcessHandle } from "../local/process";
import { readStateFile, writeStateFile } from "../local/state-file";
import type { Daemon, Workers } from "./daemon";
import { managedConfig } from "./configuration";
import { endpoint } from "./names";
import { parseProc, parseStat } from "./parse";
import { isListenFree } from "./ports-free";
import { checkConfiguration, findProgram } from "./program";
import { compareStanzas } from "./provided";
import { RuntimeClient, RuntimeSilence } from "./runtime-client";
import type { SavedPool } from "./saved-pools";
import type { HaproxySettings } from "./settings";
import { socketPath } from "./socket-path";

const START_DEADLINE_MS = 10_000;
const RELOAD_DEADLINE_MS = 10_000;
/** Users of a HAProxy that is ended get so long to finish: none, for who ends it wants the site cleared. */
const STOP_GRACE_MS = 1_000;
/** Of a HAProxy that runs and is silent for so long nobody is served, most likely. */
const HOPELESS_MS = 30_000;

/**
 * A HAProxy that Spillway runs: a master with its workers, detached, with a configuration of its own. It is reloaded when what it
 * listens on changes; members never need that.
 */
export class ManagedDaemon implements Daemon {
  readonly client: RuntimeClient;
  private readonly master: RuntimeClient;
  private readonly sockets: { readonly worker: string; readonly master: string };
  private readonly files: Readonly<Record<"config" | "process" | "log", string>>;
  private noted: string | undefined;
  /** Since when the one that runs has not answered. */
  private silentSince: number | undefined;

  constructor(
    stateDir: string,
    private readonly settings: HaproxySettings,
    private readonly program: string | undefined,
  ) {
    this.sockets = {
      worker: socketPath(stateDir, "haproxy.sock"),
      master: socketPath(stateDir, "haproxy-master.sock"),
    };
    this.files = {
      config: join(stateDir, "haproxy.cfg"),
      process: join(stateDir, "haproxy.process.json"),
      log: join(stateDir, "haproxy.log"),
    };
    this.client = new RuntimeClient({ socket: this.sockets.worker });
    this.master = new RuntimeClient({ socket: this.sockets.master });
  }

  /** The process id of the master that runs; undefined when none does. */
  async pid(): Promise<number | undefined> {
    const handle = readStateFile<ProcessHandle>(this.files.process);
    return handle !== undefined && (await isSameProcess(handle)) ? handle.pid : undefined;
  }

  async start(pools: readonly SavedPool[]): Promise<void> {
    const handle = readStateFile<ProcessHandle>(this.files.process);
    if (handle !== undefined && (await isSameProcess(handle))) {
      if (await this.answers(2_000)) {
        this.silentSince = undefined;
        return this.provide(await this.startable(pools, true));
      }
      this.mustBeSilentForLong();
      await endProcess(handle, 200);
      this.silentSince = undefined;
    } else if (handle !== undefined) {
      // Its workers outlive a master that was killed, and hold its ports.
      await endProcess(handle, 0);
    }
    await this.launch(await this.startable(pools, false));
  }

  /** A HAProxy that is slow to answer us, on a machine at its limit, may serve its users well. @throws RuntimeSilence */
  private mustBeSilentForLong(): void {
    const now = performance.now();
    this.silentSince ??= now;
    if (now - this.silentSince >= HOPELESS_MS) return;
    throw new RuntimeSilence({
      place: `HAProxy's socket ${this.sockets.worker}`,
      problem: "it runs, and does not answer commands",
      mend: `It is asked again, and ended and started anew after ${HOPELESS_MS / 1_000} s of silence. See ${this.files.log}.`,
    });
  }

  async provide(pools: readonly SavedPool[]): Promise<void> {
    const { missing, outdated, surplus } = await this.compare(pools);
    if (missing.length + outdated.length + surplus.length === 0) return this.note(pools);
    await this.refuseTaken(pools, [...missing, ...outdated]);
    await this.reload(pools);
  }

  note(pools: readonly SavedPool[]): void {
    const text = managedConfig(pools, this.sockets.worker, this.settings);
    if (text !== this.noted) this.writeConfig(text);
  }

  async workers(): Promise<Workers> {
    const processes = parseProc(await this.master.askPatiently("show proc", 500));
    const workers = processes.map(({ pid, old }) => ({
      old,
      client: old ? this.master.withPrefix(`@!${pid} `) : this.client,
    }));
    if (!workers.some(({ old }) => !old)) {
      throw new RuntimeSilence({
        place: `HAProxy's master socket ${this.sockets.master}`,
        problem: "the master has no worker",
        mend: `See ${this.files.log}.`,
      });
    }
    return { workers, unseen: 0 };
  }

  async stop(): Promise<void> {
    const handle = readStateFile<ProcessHandle>(this.files.process);
    if (handle === undefined) return;
    await endProcess(handle, STOP_GRACE_MS);
    for (const path of [this.files.process, this.sockets.worker, this.sockets.master])
      rmSync(path, { force: true });
  }

  private async compare(pools: readonly SavedPool[]) {
    return compareStanzas(parseStat(await this.client.ask("show stat")), pools, this.settings);
  }

  /** Pools whose ports another has taken meanwhile must not keep the others from being served. */
  private async startable(pools: readonly SavedPool[], runs: boolean): Promise<readonly SavedPool[]> {
    const able = await Promise.all(
      pools.map(
        async ({ spec }) =>
          (runs && this.holds(spec.listen)) || (await isListenFree(spec.listen)) === undefined,
      ),
    );
    return pools.filter((_, index) => able[index]);
  }

  private async launch(pools: readonly SavedPool[]): Promise<void> {
    const program = findProgram(this.program);
    await this.loadable(pools);
    rmSync(this.sockets.worker, { force: true });
    const handle = await startDetached({
      command: program,
      args: ["-W", "-S", `${this.sockets.master},mode,600`, "-f", this.files.config],
      logFile: this.files.log,
    });
    writeStateFile(this.files.process, handle);
    const deadline = Date.now() + START_DEADLINE_MS;
    while (Date.now() < deadline && (await isSameProcess(handle))) {
      if (await this.answers(0)) return;
      await sleep(20);
    }
    await endProcess(handle, 0);
    throw this.problem(`HAProxy did not start: ${this.lastWords()}`);
  }

  /** Both sockets answer. */
  private async answers(patienceMs: number): Promise<boolean> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      try {
        await this.master.ask("show proc", { timeoutMs: 1_500 });
        await this.client.ask("show version", { timeoutMs: 1_500 });
        return true;
      } catch (error) {
        if (!(error instanceof RuntimeSilence)) throw error;
      }
      if (Date.now() >= deadline) return false;
      await sleep(50);
    }
  }

  /** @throws SpillwayError with the code of the first listener that cannot be had */
  private async refuseTaken(pools: readonly SavedPool[], changed: readonly SavedPool[]): Promise<void> {
    for (const { spec } of changed) {
      const { address, port } = spec.listen;
      const twin = pools.find(
        (other) =>
          other.spec.name !== spec.name &&
          other.spec.listen.port === port &&
          other.spec.listen.address === address,
      );
      const problem = twin
        ? { code: "port-taken", problem: `pool ${twin.spec.name} listens there already` }
        : this.holds(spec.listen)
          ? undefined
          : await isListenFree(spec.listen);
      if (problem === undefined) continue;
      throw new SpillwayError(
        {
          place: `${address}:${port}`,
          problem: `pool ${spec.name} cannot listen there: ${problem.problem}`,
          mend: "Choose a port that is free, and an address of this machine.",
        },
        { cause: Object.assign(new Error(problem.problem), { code: problem.code }) },
      );
    }
  }

  /** Does the HAProxy that runs listen there itself? Its configuration file is what it was loaded with. */
  private holds({ address, port }: SavedPool["spec"]["listen"]): boolean {
    const config = existsSync(this.files.config) ? readFileSync(this.files.config, "utf8") : "";
    return config.split("\n").includes(`    bind ${endpoint(address, port)}`);
  }

  private async reload(pools: readonly SavedPool[]): Promise<void> {
    const before = existsSync(this.files.config) ? readFileSync(this.files.config, "utf8") : undefined;
    const worker = (await this.processes()).find(({ old }) => !old)?.pid;
    await this.loadable(pools);
    try {
      await this.master.ask("reload");
      const deadline = Date.now() + RELOAD_DEADLINE_MS;
      while (Date.now() < deadline) {
        const present = (await this.processes()).find(({ old }) => !old)?.pid;
        if (present !== undefined && present !== worker && (await this.isServing(pools))) return;
        await sleep(20);
      }
      throw this.problem(`HAProxy did not take its new configuration: ${this.lastWords()}`);
    } catch (error) {
      if (before !== undefined) {
        this.writeConfig(before);
        await this.master.ask("reload").catch(() => undefined);
      }
      throw error;
    }
  }

  private async isServing(pools: readonly SavedPool[]): Promise<boolean> {
    try {
      const { missing, outdated, surplus } = await this.compare(pools);
      return missing.length + outdated.length + surplus.length === 0;
    } catch (error) {
      if (error instanceof RuntimeSilence) return false;
      throw error;
    }
  }

  /** Empty while the master executes itself anew. */
  private async processes() {
    try {
      return parseProc(await this.master.ask("show proc"));
    } catch (error) {
      if (error instanceof RuntimeSilence) return [];
      throw error;
    }
  }

  /** Writes the configuration, but only one that HAProxy itself takes. */
  private async loadable(pools: readonly SavedPool[]): Promise<void> {
    const text = managedConfig(pools, this.sockets.worker, this.settings);
    const candidate = this.writeBeside(text);
    await checkConfiguration(findProgram(this.program), candidate);
    renameSync(candidate, this.files.config);
    this.noted = text;
  }

  private writeBeside(text: string): string {
    const path = `${this.files.config}.new`;
    writeFileSync(path, text, { mode: 0o600 });
    chmodSync(path, 0o600);
    return path;
  }

  private writeConfig(text: string): void {
    renameSync(this.writeBeside(text), this.files.config);
    this.noted = text;
  }

  private lastWords(): string {
    try {
      const lines = readFileSync(this.files.log, "utf8").trimEnd().split("\n");
      return (
        lines
          .filter((line) => /ALERT|WARNING/.test(line))
          .slice(-3)
          .join(" | ") || "it ended without a word"
      );
    } catch (error) {
      return messageOf(error);
    }
  }

  private problem(problem: string): SpillwayError {
    return new SpillwayError({
      place: this.files.config,
      problem,
      mend: `Mend what its log names (${this.files.log}), then try again.`,
    });
  }
}
