import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError, throwProblems } from "../../lib/errors";
import { isSameProcess, startTimeOf, type ProcessHandle } from "../../lib/process-identity";
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
  /** Without a master's socket: workers that answered once and may still serve users. */
  private readonly seen = new Map<number, ProcessHandle>();

  constructor(
    attach: { readonly socket: string; readonly masterSocket?: string },
    stateDir: string,
    private readonly settings: HaproxySettings,
  ) {
    this.stanzaDir = join(stateDir, "haproxy.d");
    this.client = new RuntimeClient({ socket: attach.socket });
    this.master =
      attach.masterSocket === undefined ? undefined : new RuntimeClient({ socket: attach.masterSocket });
  }

  /** @throws RuntimeSilence, RuntimeRefusal when the socket cannot be used for orders */
  async start(): Promise<void> {
    const level = (await this.client.ask("show cli level")).trim();
    if (level === "admin") return;
    throw new SpillwayError({
      place: `HAProxy's socket ${this.client.socket}`,
      problem: `the socket has level \`${level}\`, and members are added with level \`admin\` only`,
      mend: "Say `level admin` on its `stats socket` line in the global section, then reload HAProxy.",
    });
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
    const pid = Number(parseInfo(await this.client.ask("show info")).get("Pid"));
    if (!this.seen.has(pid)) {
      const startTime = await startTimeOf(pid, false);
      if (startTime !== undefined) this.seen.set(pid, { pid, startTime });
    }
    let unseen = 0;
    for (const handle of this.seen.values()) {
      if (handle.pid === pid) continue;
      if (await isSameProcess(handle)) unseen += 1;
      else this.seen.delete(handle.pid);
    }
    return { workers: [{ client: this.client, old: false }], unseen };
  }

  /** The user's HAProxy runs on. */
  stop(): Promise<void> {
    return Promise.resolve();
  }
}
