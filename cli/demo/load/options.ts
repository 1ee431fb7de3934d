import type { DemandCurve } from "../trace";

/** What a load run does. JSON: it is sent to the load's own process. */
export interface LoadOptions {
  /** The name users resolve: `shop.example.test`. */
  readonly name: string;
  /** `address:port` of the name server (UDP). */
  readonly nameServer: string;
  /** Every site answers on this port: address records carry none. */
  readonly port: number;
  /** @default "/" */
  readonly path?: string;
  /** Address by site, to tell in whose favour the name server answered. */
  readonly sites: Readonly<Record<string, string>>;
  /** Demand; after its end the last value holds until the run is stopped. */
  readonly curve: DemandCurve;
  /** @default 100 */
  readonly users?: number;
  /** Share of users that keep connections and cookies. The others open a connection for each request. @default 0.5 */
  readonly keepAliveShare?: number;
  /** Share of users behind a resolver that keeps answers longer than it may. @default 0.1 */
  readonly ttlIgnoringShare?: number;
  /** How many times the TTL such a resolver keeps an answer. @default 10 */
  readonly ttlIgnoringFactor?: number;
  /** A request unanswered for so long has failed. @default 5000 */
  readonly timeoutMs?: number;
  /** Connections one user holds at most, as browsers do. @default 6 */
  readonly connectionsPerUser?: number;
  /** Requests under way at most; more are not sent, and are counted as `heldBack`. @default 4000 */
  readonly maxInFlight?: number;
  /** The run ends by itself after so long. @default 600000 */
  readonly maxMs?: number;
  /** Who asks when is drawn from it. @default 1 */
  readonly seed?: number;
  /** Give each user an address of its own in 127.1.0.0/16. @default true on Linux, where all of 127.0.0.0/8 is local */
  readonly ownAddresses?: boolean;
}

/** A quarter of a second of load, as the users saw it. */
export interface LoadBucket {
  /** Start, in milliseconds since the start of the run. */
  readonly atMs: number;
  readonly lengthMs: number;
  readonly offered: number;
  readonly ok: number;
  readonly failed: number;
  /** Requests sent a second time, as RFC 9110 9.2.2 allows: a kept connection was closed before any byte of the answer. */
  readonly retried: number;
  /** Not sent, because `maxInFlight` was reached or the load's own process was stalled. A good run has none. */
  readonly heldBack: number;
  /** Requests under way at the end. */
  readonly inFlight: number;
  /** Good answers by the site that says it made them. */
  readonly bySite: Readonly<Record<string, number>>;
  /** Of the good answers, in milliseconds; 0 if there was none. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Users by the site that answered them last. */
  readonly usersBySite: Readonly<Record<string, number>>;
  /** Open kept-alive connections by the site of their far end, at the end. */
  readonly connectionsBySite: Readonly<Record<string, number>>;
  /** Answers of the name server by site. */
  readonly dnsBySite: Readonly<Record<string, number>>;
}

/** One request that failed. */
export interface LoadFailure {
  readonly atMs: number;
  readonly user: number;
  readonly kind: UserKind;
  /** Where it was sent, if it was sent. */
  readonly site?: string;
  readonly reason: FailureReason;
  readonly detail: string;
}

export type UserKind = "keep-alive" | "per-request";

export type FailureReason =
  | "no-name"
  | "refused"
  | "reset"
  | "timed-out"
  | "server-error"
  | "unexpected-status"
  | "cut-off"
  | "unreadable";

/** The whole run. */
export interface LoadTotals {
  readonly startedAt: number;
  readonly durationMs: number;
  readonly requests: number;
  readonly ok: number;
  readonly failed: number;
  readonly retried: number;
  readonly heldBack: number;
  readonly bySite: Readonly<Record<string, number>>;
  readonly dnsBySite: Readonly<Record<string, number>>;
  readonly failures: Readonly<Partial<Record<FailureReason, number>>>;
  /** The first 50, to look into. */
  readonly firstFailures: readonly LoadFailure[];
  readonly latencyMs: {
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    readonly max: number;
  };
}

/** What the load's process is told, a JSON line each, on its standard input. Its end means stop. */
export type LoadCommand =
  { readonly type: "start"; readonly options: LoadOptions } | { readonly type: "stop" };

/** What it says, a JSON line each, on its standard output. */
export type LoadMessage =
  | { readonly type: "started"; readonly startedAt: number }
  | { readonly type: "bucket"; readonly bucket: LoadBucket }
  | { readonly type: "failure"; readonly failure: LoadFailure }
  | { readonly type: "done"; readonly totals: LoadTotals }
  | { readonly type: "error"; readonly message: string };

/** Length of a {@link LoadBucket}. */
export const BUCKET_MS = 250;
/** How many failures are told one by one. */
export const FAILURES_TOLD = 50;
