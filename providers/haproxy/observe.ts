import { parseStat, type StatRow } from "./parse";
import { RuntimeClient, type AskOptions, type RuntimeSocket } from "./runtime-client";

/** What a HAProxy that Spillway does not manage says of one of its applications. */
export interface HaproxyObservation {
  /** Connections of clients, idle ones too; undefined when no frontend was named. */
  readonly openConnections: number | undefined;
  /** Requests (http) or connections (tcp) on members now. */
  readonly inFlight: number;
  /** Waiting, at the backend and at each member. */
  readonly queued: number;
  readonly requestsTotal: number;
  readonly requestsPerSecond: number;
  /** Answers 5xx that HAProxy made itself, and connections that it could not make. */
  readonly failedTotal: number;
  /** Mean of the last 1,024 requests; HAProxy keeps no quantiles. */
  readonly meanLatencyMs: number;
  /** Milliseconds since a request was last given to a member, to the second; undefined when none ever was. */
  readonly quietMs: number | undefined;
  readonly members: number;
  readonly membersUp: number;
  /** Requests that the members which are up take at once by their `maxconn`; undefined when one has no limit. */
  readonly capacity: number | undefined;
  /** The most that ran at once since HAProxy started. */
  readonly peakInFlight: number;
}

/** Which proxies to look at. */
export interface Observed {
  readonly backend: string;
  /** @default - client connections are not counted */
  readonly frontend?: string;
}

/**
 * Looks at a HAProxy over its stats socket; level `user` is enough. Nothing is changed.
 * @returns undefined when it has no such backend
 * @throws RuntimeSilence, AbortedError
 */
export async function observeHaproxy(
  at: RuntimeSocket,
  observed: Observed,
  options: AskOptions = {},
): Promise<HaproxyObservation | undefined> {
  const stat = await new RuntimeClient(at).ask("show stat", options);
  return observation(parseStat(stat), observed);
}

/** The same from rows of `show stat` (or the page `;csv`). Pure. */
export function observation(rows: readonly StatRow[], observed: Observed): HaproxyObservation | undefined {
  const own = rows.filter(({ proxy }) => proxy === observed.backend);
  const backend = own.find(({ name }) => name === "BACKEND");
  if (backend === undefined) return undefined;
  const frontend = rows.find(({ proxy, name }) => proxy === observed.frontend && name === "FRONTEND");
  const servers = own.filter(({ name }) => name !== "BACKEND" && name !== "FRONTEND");
  const sum = (column: string) => servers.reduce((all, row) => all + row.number(column), 0);
  const inService = servers.filter((row) => !/^(MAINT|DRAIN)/.test(row.column("status")));
  const up = inService.filter((row) => /^(UP|no check)/.test(row.column("status")));
  const limits = up.map((row) => row.number("slim"));
  const http = backend.column("mode") !== "tcp";
  const lastSession = backend.column("lastsess");
  return {
    openConnections: frontend?.number("scur"),
    inFlight: sum("scur"),
    // With a limit for each member they wait there, and the backend's own row says 0.
    queued: backend.number("qcur") + sum("qcur"),
    requestsTotal: backend.number("stot"),
    requestsPerSecond: frontend && http ? frontend.number("req_rate") : backend.number("rate"),
    failedTotal: http ? Math.max(0, backend.number("hrsp_5xx") - sum("hrsp_5xx")) : backend.number("econ"),
    meanLatencyMs: backend.number("ttime"),
    quietMs: lastSession === "" || Number(lastSession) < 0 ? undefined : Number(lastSession) * 1_000,
    members: inService.length,
    membersUp: up.length,
    capacity: limits.includes(0) ? undefined : limits.reduce((all, limit) => all + limit, 0),
    peakInFlight: backend.number("smax"),
  };
}
