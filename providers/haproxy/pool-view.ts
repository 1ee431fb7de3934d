import type { BalancerMemberView, BalancerPool, BalancerPoolView } from "../../lib/site/ports";
import { BUCKETS, quantileMs } from "./latency";
import { poolNames, serverName, serverNumber } from "./names";
import type { ServerState, StatRow, TableEntry } from "./parse";
import { MEMBER_FAILURES, TOTALS_EXPIRE_MS } from "./stanza";

/** What one worker of HAProxy says of one pool. After a reload there may be several: the old ones still serve who was with them. */
export interface WorkerSight {
  readonly pid: number;
  readonly uptimeMs: number;
  readonly rows: readonly StatRow[];
  readonly servers: readonly ServerState[];
  readonly connections: readonly TableEntry[];
  readonly users: readonly TableEntry[];
  readonly totals: readonly TableEntry[];
}

/** What was seen before and is in no worker's memory any more. */
export interface SightMemory {
  /** Requests of workers that have ended, and answers 5xx that HAProxy made in them. */
  readonly requestsBefore: number;
  readonly failedBefore: number;
  /** Milliseconds since a user's connection was seen open; Infinity when none was. */
  readonly sinceOpenMs: number;
  /** Users of workers that have ended, who may still come back with their cookie. */
  readonly users: readonly TableEntry[];
  /** Old workers that run and cannot be asked who is still with them. */
  readonly unseenWorkers: number;
}

/** Requests and failures so far, as one worker counts them. */
export function totalsOf({ rows, totals }: WorkerSight, pool: Pick<BalancerPool, "name" | "listen">) {
  const backend = rowsOf(rows, pool.name).find(({ name }) => name === "BACKEND");
  if (pool.listen.mode === "tcp") {
    return { requests: sum(totals, "conn_cnt"), failed: backend?.number("econ") ?? 0 };
  }
  const asked = totals.filter(({ key }) => key !== "probe");
  // HAProxy counts an answer 5xx at the backend whoever made it; those that members made are counted apart.
  const failed = (backend?.number("hrsp_5xx") ?? 0) - sum(totals, `gpc${MEMBER_FAILURES}`);
  return { requests: sum(asked, "http_req_cnt"), failed: Math.max(0, failed) };
}

/** Does the present worker have the pool's backend? */
export function holdsPool(sights: readonly WorkerSight[]): boolean {
  return sights[0]?.rows.some(({ name }) => name === "BACKEND") ?? false;
}

/** Is a user's connection open in any of the workers? */
export function isAnyoneConnected(
  sights: readonly WorkerSight[],
  pool: Pick<BalancerPool, "listen">,
): boolean {
  return sights.some(({ connections }) => connections.some((entry) => isUsers(entry, pool)));
}

/**
 * A pool's view, put together from all workers' tables. The first worker is the present one: it alone says who is up. Pure.
 */
export function poolView(
  pool: BalancerPool,
  sights: readonly WorkerSight[],
  memory: SightMemory,
): BalancerPoolView {
  const http = pool.listen.mode === "http";
  const open = sights.flatMap(({ connections }) => connections.filter(({ use }) => use > 0));
  const usersOpen = open.filter((entry) => isUsers(entry, pool));
  const connected = new Set(usersOpen.map((entry) => entry.value("gpt0")));
  const seen = sights.flatMap((sight) => sight.users);
  const since = new Set(seen.map((entry) => entry.value("gpt0")));
  const users = [...seen, ...memory.users.filter((entry) => !since.has(entry.value("gpt0")))].filter(
    (entry) => entry.value("gpt1") === 0,
  );
  const away = new Set(users.map((entry) => entry.value("gpt0")).filter((user) => !connected.has(user)));
  const totals = sights.flatMap((sight) => sight.totals);
  const served = totals.filter(({ key }) => key === "user");
  const asked = totals.filter(({ key }) => key !== "probe");
  const counted = sights.map((sight) => totalsOf(sight, pool));
  const inFlight = http ? sum(served, "conn_cur") : usersOpen.length;
  const members = memberViews(pool, sights, users, usersOpen);
  const inService = pool.members.filter(({ draining }) => !draining);
  const up = new Set(members.filter((member) => member.up).map(({ id }) => id));
  const counts = Array.from({ length: BUCKETS }, (_, index) => sum(asked, `gpc${index}_rate`));
  const { unseenWorkers } = memory;
  return {
    traffic: {
      openConnections: open.length + unseenWorkers,
      inFlight,
      queued: sights
        .flatMap(({ rows }) => rowsOf(rows, pool.name))
        .reduce((all, row) => all + row.number("qcur"), 0),
      sessions: usersOpen.length + away.size + unseenWorkers,
      quietMs:
        inFlight > 0 || usersOpen.length > 0 || unseenWorkers > 0
          ? 0
          : Math.min(memory.sinceOpenMs, ...sights.map(quietMsOf)),
      requestsTotal: memory.requestsBefore + counted.reduce((all, { requests }) => all + requests, 0),
      failedTotal: memory.failedBefore + counted.reduce((all, { failed }) => all + failed, 0),
      requestsPerSecond: sum(asked, http ? "http_req_rate" : "conn_rate") / 2,
      latencyMs: { p50: quantileMs(counts, 0.5), p95: quantileMs(counts, 0.95) },
      membersUp: inService.filter(({ id }) => up.has(id)).length,
      members: inService.length,
    },
    members,
  };
}

function memberViews(
  pool: BalancerPool,
  sights: readonly WorkerSight[],
  users: readonly TableEntry[],
  usersOpen: readonly TableEntry[],
): BalancerMemberView[] {
  const rows = sights.flatMap((sight) => rowsOf(sight.rows, pool.name));
  const bound = new Map<number, Set<number>>();
  const bind = (member: number, user: number) => {
    if (member === 0 || user === 0) return;
    bound.set(member, (bound.get(member) ?? new Set()).add(user));
  };
  for (const user of users) bind(user.value("gpt2"), user.value("gpt0"));
  for (const connection of usersOpen) bind(connection.value("gpt1"), connection.value("gpt0"));
  const absence = holdsPool(sights)
    ? undefined
    : "HAProxy does not have the pool: its port is taken, or its stanza is not in the configuration";
  const viewOf = (id: string, name: string): BalancerMemberView => {
    const server = sights[0]?.servers.find((other) => other.name === name);
    const row = sights[0]?.rows.find((other) => other.name === name);
    const isUp = server !== undefined && server.running && !server.inMaintenance;
    return {
      id,
      up: isUp,
      inFlight: rows.reduce((all, other) => all + (other.name === name ? other.number("scur") : 0), 0),
      sessions: bound.get(serverNumber(id))?.size ?? 0,
      lastProblem: isUp ? undefined : row ? problemOf(row, pool) : absence,
    };
  };
  const names = new Set(pool.members.map(({ id }) => serverName(id)));
  // Those that were taken out and still have a request or a tunnel; HAProxy lets them go with the last.
  const retiring = (sights[0]?.servers ?? []).filter(({ name }) => !names.has(name));
  return [
    ...pool.members.map(({ id }) => viewOf(id, serverName(id))),
    ...retiring.map(({ name }) => ({ ...viewOf(name, name), up: false })),
  ];
}

/** What its last check found, in the words of the monitor; undefined while there was none. */
function problemOf(row: StatRow, pool: BalancerPool): string | undefined {
  const status = row.column("check_status").replace(/^\* /, "");
  if (status === "" || status === "INI" || /^L[467]OKC?$/.test(status)) return undefined;
  const code = row.column("check_code");
  if (status === "L7STS" && code !== "") {
    return `GET ${pool.monitor.path} answered ${code}, not ${pool.monitor.expectStatus}`;
  }
  if (/^L[467]TOUT$/.test(status)) return `no answer within ${pool.monitor.timeoutMs} ms`;
  return [row.column("check_desc") || status, row.column("last_chk")].filter(Boolean).join(": ");
}

function isUsers(entry: TableEntry, pool: Pick<BalancerPool, "listen">): boolean {
  return entry.use > 0 && (pool.listen.mode === "tcp" || entry.value("gpt2") === 1);
}

/** An entry's time to live is renewed at each request and each answer, so what is left of it tells when the last one was. */
function quietMsOf({ totals, uptimeMs }: WorkerSight): number {
  const users = totals.find(({ key }) => key === "user");
  if (users === undefined) return uptimeMs;
  if (users.use > 0) return 0;
  return Math.max(0, TOTALS_EXPIRE_MS - (users.expiresMs ?? 0));
}

function rowsOf(rows: readonly StatRow[], pool: string): readonly StatRow[] {
  return rows.filter(({ proxy }) => proxy === poolNames(pool).backend);
}

function sum(entries: readonly TableEntry[], value: string): number {
  return entries.reduce((all, entry) => all + entry.value(value), 0);
}
