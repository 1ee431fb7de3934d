import { poolNames } from "../haproxy/names";
import { range, selector } from "./label";

/** One application behind a HAProxy whose built-in exporter Prometheus scrapes (`http-request use-service prometheus-exporter`). */
export interface HaproxyTarget {
  readonly backend: string;
  /** Where its users come in: sessions and requests are counted there. @default - at the backend */
  readonly frontend?: string;
  /**
   * Give it where several HAProxys are scraped: while one of the job's targets is down there is no data, instead of the sum of those
   * that are left.
   * @default - any job, which is right while each proxy's name is there once
   */
  readonly job?: string;
  /** @default - any instance; with several HAProxys their figures are added up */
  readonly instance?: string;
  /** Rates are taken over so long, milliseconds: at least two scrape intervals. @default 60000 */
  readonly overMs?: number;
}

/** PromQL, each giving one number, and no data where the exporter (or the proxy) is not there. */
export interface HaproxyQueries {
  /** Connections of users that are open now (frontend), or sessions on members (backend). */
  readonly sessions: string;
  readonly requestsPerSecond: string;
  /** Waiting requests, at the backend and at each member: with a limit for each member they wait there. */
  readonly queued: string;
  readonly membersUp: string;
  /** Members in service: not in maintenance, not draining. */
  readonly members: string;
  /** Milliseconds, mean of the last 1,024 requests: the exporter has no quantiles. */
  readonly meanLatencyMs: string;
  /** The slowest member's mean, milliseconds: the nearest to a p95 that the exporter has. */
  readonly slowestMemberMs: string;
  /** Answers 5xx per second that HAProxy made itself: no member, member died, queue timeout. */
  readonly failedPerSecond: string;
}

/** Ready-made queries for HAProxy's own exporter, 2.4 and later. Pure. */
export function haproxyQueries(target: HaproxyTarget): HaproxyQueries {
  const { job, instance, backend, frontend } = target;
  const over = range(target.overMs ?? 60_000);
  const behind = selector({ proxy: backend, job, instance });
  const state = (name: string) => selector({ proxy: backend, job, instance, state: name });
  const before = selector({ proxy: frontend, job, instance });
  const http = selector({ proxy: backend, job, instance, code: "5xx" });
  // A backend without members has no server rows, and is still there.
  const none = `0 * sum(haproxy_backend_current_queue${behind})`;
  const inStates = (names: readonly string[]) =>
    names.map((name) => `(sum(haproxy_server_status${state(name)}) or ${none})`).join(" + ");
  const up = `min(up${selector({ job, instance })}) == 1`;
  const whole = (query: string) => (job === undefined ? query : `(${query}) and on() (${up})`);
  const queries: HaproxyQueries = {
    sessions:
      frontend === undefined
        ? `sum(haproxy_backend_current_sessions${behind})`
        : `sum(haproxy_frontend_current_sessions${before})`,
    requestsPerSecond:
      frontend === undefined
        ? `sum(rate(haproxy_backend_http_requests_total${behind}[${over}]))`
        : `sum(rate(haproxy_frontend_http_requests_total${before}[${over}]))`,
    queued: `sum(haproxy_backend_current_queue${behind}) + (sum(haproxy_server_current_queue${behind}) or ${none})`,
    membersUp: inStates(["UP"]),
    members: inStates(["UP", "DOWN", "NOLB"]),
    meanLatencyMs: `1000 * max(haproxy_backend_total_time_average_seconds${behind})`,
    slowestMemberMs: `1000 * max(haproxy_server_total_time_average_seconds${behind})`,
    failedPerSecond:
      `clamp_min(sum(rate(haproxy_backend_http_responses_total${http}[${over}])) - ` +
      `(sum(rate(haproxy_server_http_responses_total${http}[${over}])) or ${none}), 0)`,
  };
  const each = Object.entries(queries).map(([name, query]: [string, string]) => [name, whole(query)]);
  return Object.fromEntries(each) as unknown as HaproxyQueries;
}

/** The same for a pool of Spillway's, whose frontend and backend bear its name. */
export function poolQueries(
  pool: string,
  more: Omit<HaproxyTarget, "backend" | "frontend"> = {},
): HaproxyQueries {
  const { frontend, backend } = poolNames(pool);
  return haproxyQueries({ ...more, frontend, backend });
}
