import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError, throwProblems } from "../../lib/errors";
import { isSameProcess, startTimeOf, type ProcessHandle } from "../../lib/process-identity";
import { readStateFile, writeStateFile } from "../local/state-file";
import type { Daemon, Workers } from "./daemon";
import { parseInfo, parseProc, parseStat } from "./parse";
import { savedStanza } from "./configuration";
import { compareStanzas } from "./provided";
import { RuntimeClient } from "./runtime-client";
import type { SavedPool } from "./saved-pools";
import type { HaproxySettings } from "./settings";

/** A master that is being reloaded does not answer for so long at most. */
const RELOAD_MS = 1_000;

/** A HAProxy of the user's own, with the pools' stanzas in its configuration. Only its sockets are used. */
export class AttachedDaemon implements Daemon {
  readonly client: RuntimeClient;
  /** Holds nothing but what Spillway writes. */
  readonly stanzaDir: string;
  private readonly master: RuntimeClient | undefined;
  private noted: ReadonlyMap<string, string> = new Map();
  /** Without a master's socket: workers that answered once and may still serve users, also to agents before this one. */
  private readonly seen: Map<number, ProcessHandle>;
  private readonly seenFile: string;

  constructor(
    attach: { readonly socket: string; readonly masterSocket?: string },
    stateDir: string,
    private readonly settings: HaproxySettings,
  ) {
    this.stanzaDir = join(stateDir, "haproxy.d");
    this.seenFile = join(stateDir, "haproxy.workers.json");
    const seen = readStateFile<readonly ProcessHandle[]>(this.seenFile) ?? [];
    this.seen = new Map(seen.map((handle) => [handle.pid, handle]));
    this.client = new RuntimeClient({ socket: attach.socket });
    this.master =
      attach.masterSocket === undefined ? undefined : new RuntimeClient({ socket: attach.masterSocket });
  }

  /** @throws RuntimeSilence, RuntimeRefusal, SpillwayError when the sockets cannot be used for orders, or to see all users */
  async start(): Promise<void> {
    const level = (await this.client.ask("show cli level")).trim();
    if (level === "admin") return this.mustSeeWorkers();
    throw new SpillwayError({
      place: `HAProxy's socket ${this.client.socket}`,
      problem: `the socket has level \`${level}\`, and members are added with level \`admin\` only`,
      mend: "Say `level admin` on its `stats socket` line in the global section, then reload HAProxy.",
    });
  }

  /** After a reload the old worker serves its users to their end: who cannot see it would take a site for empty. */
  private async mustSeeWorkers(): Promise<void> {
    if (this.master !== undefined || isHaproxyHere(await this.pid())) return;
    throw new SpillwayError({
      place: `HAProxy's socket ${this.client.socket}`,
      problem:
        "its process is not on this machine, so users of workers from before a reload would not be seen",
      mend: "Start it with `-W -S`, and name that socket as `masterSocket`.",
    });
  }

  private async pid(): Promise<number> {
    return Number(parseInfo(await this.client.ask("show info")).get("Pid"));
  }

  async provide(pools: readonly SavedPool[]): Promise<void> {
    this.note(pools);
    const rows = parseStat(await this.client.ask("show stat"));
    const { missing, outdated } = compareStanzas(rows, pools, this.settings);
    const report = (problem: string) => (pool: SavedPool) => ({
      place: `pool ${pool.spec.name} in the HAProxy at ${this.client.socket}`,
      problem,
      mend: `Start it with \`-f ${this.stanzaDir}\` besides its own file (or put the text of ${this.stanzaFile(pool)} into that), then reload it.`,
    });
    throwProblems([
      ...missing.map(report("its configuration has no stanza for the pool")),
      ...outdated.map(report("the pool's stanza that it runs is of other settings than the pool's")),
    ]);
  }

  /**
   * Keeps each pool's stanza in a file of a folder that HAProxy can be told to read, with the members that are up: so they are there
   * at once after its user reloads it. Files of pools that are gone are removed, but for the listener to close it must be reloaded.
   */
  note(pools: readonly SavedPool[]): void {
    mkdirSync(this.stanzaDir, { recursive: true, mode: 0o755 });
    const files = new Map(
      pools.map((pool) => [this.stanzaFile(pool), savedStanza(pool, this.settings)] as const),
    );
    for (const [file, text] of files) {
      if (this.noted.get(file) === text) continue;
      writeFileSync(`${file}.new`, text, { mode: 0o644 });
      renameSync(`${file}.new`, file);
    }
    for (const name of readdirSync(this.stanzaDir)) {
      const file = join(this.stanzaDir, name);
      if (name.endsWith(".cfg") && !files.has(file)) rmSync(file, { force: true });
    }
    this.noted = files;
  }

  private stanzaFile({ spec }: SavedPool): string {
    return join(this.stanzaDir, `spillway-${spec.name}.cfg`);
  }

  async workers(): Promise<Workers> {
    if (this.master !== undefined) {
      const processes = parseProc(await this.master.askPatiently("show proc", RELOAD_MS));
      const old = processes.filter((process) => process.old);
      return {
        workers: [
          { client: this.client, old: false },
          ...old.map(({ pid }) => ({ client: this.master!.withPrefix(`@!${pid} `), old: true })),
        ],
        unseen: 0,
      };
    }
    const pid = await this.pid();
    const before = [...this.seen.keys()].join();
    const known = this.seen.get(pid);
    if (known === undefined || !(await isSameProcess(known))) {
      const startTime = isHaproxyHere(pid) ? await startTimeOf(pid, false) : undefined;
      if (startTime !== undefined) this.seen.set(pid, { pid, startTime });
    }
    let unseen = 0;
    for (const handle of this.seen.values()) {
      if (handle.pid === pid) continue;
      if (await isSameProcess(handle)) unseen += 1;
      else this.seen.delete(handle.pid);
    }
    if ([...this.seen.keys()].join() !== before) writeStateFile(this.seenFile, [...this.seen.values()]);
    return { workers: [{ client: this.client, old: false }], unseen };
  }

  /** The user's HAProxy runs on. */
  stop(): Promise<void> {
    return Promise.resolve();
  }
}

/** A process id of another machine, or of a container, is nobody's here, or somebody else's. */
function isHaproxyHere(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("haproxy");
  } catch {
    return false;
  }
}
