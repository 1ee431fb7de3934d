import type { BalancerPool } from "../../lib/site/ports";
import type { Daemon } from "./daemon";
import { poolNames } from "./names";
import { parseInfo, parseServersState, parseStat, parseTables } from "./parse";
import type { WorkerSight } from "./pool-view";
import { RuntimeSilence, type RuntimeClient } from "./runtime-client";

/** Looks at one pool in every worker that can be asked. */
export async function lookAt(daemon: Daemon, pool: Pick<BalancerPool, "name">) {
  const { workers, unseen } = await daemon.workers();
  const [present, ...old] = workers;
  const sights = [await lookInto(present.client, pool.name)];
  for (const worker of old) {
    try {
      sights.push(await lookInto(worker.client, pool.name));
    } catch (error) {
      // An old worker ends with its last user: that it went just now is no trouble.
      if (!(error instanceof RuntimeSilence)) throw error;
    }
  }
  return { sights, unseen };
}

async function lookInto(client: RuntimeClient, pool: string): Promise<WorkerSight> {
  const names = poolNames(pool);
  const [info, stat, state, text] = await Promise.all([
    client.ask("show info"),
    client.ask(`show stat ${names.backend} -1 -1`),
    client.ask(`show servers state ${names.backend}`),
    client.ask([names.connections, names.users, names.totals].map((name) => `show table ${name}`).join("; ")),
  ]);
  const values = parseInfo(info);
  const tables = parseTables(text);
  return {
    pid: Number(values.get("Pid")),
    uptimeMs: Number(values.get("Uptime_sec") ?? 0) * 1_000,
    rows: parseStat(stat),
    servers: parseServersState(state),
    connections: tables.get(names.connections) ?? [],
    users: tables.get(names.users) ?? [],
    totals: tables.get(names.totals) ?? [],
  };
}
