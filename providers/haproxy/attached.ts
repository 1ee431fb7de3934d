import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError, throwProblems } from "../../lib/errors";
import { isSameProcess, startTimeOf, type ProcessHandle } from "../../lib/process-identity";
import type { Daemon, Workers } from "./daemon";
import { parseInfo, parseProc, parseStat } from "./parse";
import { compareStanzas } from "./provided";
import { RuntimeClient } from "./runtime-client";
import type { SavedPool } from "./saved-pools";
import type { HaproxySettings } from "./settings";
import { poolStanza } from "./stanza";

/** A HAProxy of the user's own, with the pools' stanzas in its configuration. Only its sockets are used. */
export class AttachedDaemon implements Daemon {
  readonly client: RuntimeClient;
  private readonly master: RuntimeClient | undefined;
  /** Without a master's socket: workers that answered once and may still serve users. */
  private readonly seen = new Map<number, ProcessHandle>();

  constructor(
    attach: { readonly socket: string; readonly masterSocket?: string },
    private readonly stateDir: string,
    private readonly settings: HaproxySettings,
  ) {
    this.client = new RuntimeClient({ socket: attach.socket });
    this.master = attach.masterSocket === undefined ? undefined : new RuntimeClient({ socket: attach.masterSocket });
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
    const rows = parseStat(await this.client.ask("show stat"));
    const { missing, outdated } = compareStanzas(rows, pools, this.settings);
    const report = (problem: string) => (pool: SavedPool) => {
      const file = join(this.stateDir, `haproxy.${pool.spec.name}.cfg`);
      writeFileSync(file, poolStanza(pool.spec, this.settings), { mode: 0o600 });
      return {
        place: `pool ${pool.spec.name} in the HAProxy at ${this.client.socket}`,
        problem,
        mend: `Put the text of ${file} into haproxy.cfg in its place, then reload HAProxy.`,
      };
    };
    throwProblems([
      ...missing.map(report("its configuration has no stanza for the pool")),
      ...outdated.map(report("the pool's stanza is of other settings than the pool's")),
    ]);
  }

  /** Its configuration is the user's: the members come back over the socket. */
  note(): void {
    return;
  }

  async workers(): Promise<Workers> {
    if (this.master !== undefined) {
      const processes = parseProc(await this.master.ask("show proc"));
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
