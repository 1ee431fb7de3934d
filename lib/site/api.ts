import type { ProblemReport } from "../errors";

/**
 * The site agent's HTTP API, as types. `openapi.yaml` beside this file says the same for other languages, and a test holds the
 * two together. All times are milliseconds (durations) or milliseconds since 1970 (`…At`).
 *
 * Every request but `GET /v1/health` carries `Authorization: Bearer TOKEN`. Every answer but an image's index is JSON. An
 * answer with a status of 400 or more is an {@link ApiProblem}.
 *
 * | method and path                       | body            | answer |
 * |---------------------------------------|-----------------|--------|
 * | GET    /v1/health                     |                 | {@link Health} |
 * | GET    /v1/context                    |                 | {@link SiteContext} |
 * | GET    /v1/parts                      |                 | {@link SiteParts}: what the site runs on, looked at now. Changes nothing |
 * | GET    /metrics                       |                 | all of it for Prometheus, in its text format |
 * | GET    /v1/events?after=SEQ           |                 | {@link SiteEvents}: what the site did, in order |
 * | GET    /v1/images                     |                 | `{ images: ImageStatus[] }` |
 * | GET    /v1/images/{digest}            |                 | {@link ImageStatus}; 404 |
 * | GET    /v1/images/{digest}/index     |                 | image index (binary, lib/image); 404. May take minutes: it is made first |
 * | POST   /v1/images/{digest}/estimate   | {@link TransferEstimate} | {@link TransferEstimate}: pinned, or what was pinned before |
 * | POST   /v1/images/{digest}/verify     |                 | {@link ImageStatus}: the whole of it was read again; 422 corrupt |
 * | DELETE /v1/images/{digest}            |                 | 204; 409 while a pool uses it |
 * | POST   /v1/images/{digest}/snapshots  | {@link SnapshotRequest} | {@link SnapshotStatus} 202: the agent makes a snapshot of it; idempotent, goes on where it was |
 * | GET    /v1/images/{digest}/snapshots  |                 | {@link SnapshotStatus}; 404 when none is made or being made |
 * | DELETE /v1/images/{digest}/snapshots/{snapshotId} |     | 204; 409 while a machine image uses it |
 * | PUT    /v1/transfers/{id}             | {@link TransferRequest} | {@link TransferState} |
 * | PUT    /v1/transfers/{id}/segments/{segmentId} | segment (binary, lib/image) | {@link SegmentAnswer}; idempotent |
 * | POST   /v1/transfers/{id}/complete    | `{ digest }`    | {@link ImageStatus}; 409 incomplete, 422 corrupt |
 * | PUT    /v1/pools/{name}               | {@link PoolSpec} | {@link PoolStatus}; 202, the agent reconciles |
 * | GET    /v1/pools/{name}               |                 | {@link PoolStatus}; 404 |
 * | DELETE /v1/pools/{name}?owner=        |                 | {@link PoolStatus} 202: drains each member, then ends it; GET until 404 |
 * | POST   /v1/pools/{name}/retry         |                 | {@link PoolStatus}: a failed pool's members are launched anew |
 * | POST   /v1/pools/{name}/fail          | `{ reason }`    | {@link PoolStatus}: marks the pool for a new try |
 * | PUT    /v1/pools/{name}/gate          | {@link GateSpec} | {@link PoolStatus}: notes who admitted the pool |
 * | POST   /v1/pools/{name}/quiesce       | {@link QuiesceSpec} | {@link PoolTraffic} |
 * | GET    /v1/pools/{name}/traffic       |                 | {@link PoolTraffic} |
 * | GET    /v1/records                  |                 | `{ records: RecordStatus[] }`; none at a site without a name server; with serial 0 what was declared and is not held so (yet) |
 * | PUT    /v1/records/{name}             | {@link RecordSpec} | {@link RecordStatus} |
 * | GET    /v1/records/{name}             |                 | {@link RecordStatus}; 404 |
 * | DELETE /v1/records/{name}?owner=      |                 | 204 |
 * | POST   /v1/records/{name}/plan        | {@link RecordSpec} | {@link RecordPlan}: what a PUT of it would be refused for; changes nothing |
 * | POST   /v1/records/{name}/prepare     |                 | {@link ShiftPreparation}: the TTL is lowered ahead of a shift; 404 |
 */

/** The version in every path. */
export const API_VERSION = "v1";

/** An answer that says no: the same three parts as every Spillway error, and a code for programs. */
export interface ApiProblem {
  readonly code:
    | "unauthorized"
    | "not-found"
    | "invalid"
    | "owned-by-another"
    | "image-missing"
    | "image-incomplete"
    | "image-corrupt"
    | "image-in-use"
    | "port-taken"
    | "no-name-server"
    | "part-unavailable"
    | "disk-full"
    | "too-large"
    | "internal";
  readonly place: string;
  readonly problem: string;
  readonly mend: string;
  readonly attribute?: readonly (string | number)[];
  /** Of a refused segment: what it copied gave wrong bytes; send these blocks again without any copy. */
  readonly withoutCopies?: boolean;
  /** Of a refused segment: the first block that is wrong, or that is not there. */
  readonly block?: number;
  /** Of a refused segment: the image that it copied from. */
  readonly base?: string;
}

export interface Health {
  readonly site: string;
  /** The agent's own version. */
  readonly version: string;
  readonly uptimeMs: number;
}

// ---------------------------------------------------------------- images

export interface ImageStatus {
  /** `sha256:` and 64 hex digits, of the whole image, as `spillway image index` prints it. */
  readonly digest: string;
  /** Of the virtual disk. */
  readonly sizeBytes: number;
  /** True only once every byte is here and the digest was verified. */
  readonly complete: boolean;
  /** Bytes of the image that are here already, of `sizeBytes`. */
  readonly presentBytes: number;
  readonly completedAt?: number;
  /** Pools launched from it. */
  readonly usedBy: readonly string[];
}

/** How the agent is to make a snapshot of an image that is complete at its site. */
export interface SnapshotRequest {
  /** Only blocks that differ from it are written. @default the one of Spillway's own that leaves the least to write */
  readonly parentId?: string;
  /** @default as the account has it */
  readonly encrypted?: boolean;
  readonly kmsKeyId?: string;
  readonly description?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** What is a version of what: the name of the image's file. */
  readonly lineage?: string;
}

/** A snapshot that an agent makes, or has made. */
export interface SnapshotStatus {
  readonly digest: string;
  /** Where: `eu-central-1`. */
  readonly region: string;
  readonly state: "making" | "complete" | "failed";
  /** Known once it is complete. */
  readonly snapshotId?: string;
  readonly sizeBytes?: number;
  /** What goes on, in a line. */
  readonly message: string;
  /** 0 to 1, where it is known. */
  readonly fraction?: number;
  readonly etaMs?: number;
  /** Why it failed. Asked for again, it is gone on with. */
  readonly problem?: ProblemReport;
}

/** What a transfer is about: one image on its way to this site, under an id (64 hex digits) that the near side chose. */
export interface TransferRequest {
  /** Of the virtual disk. */
  readonly sizeBytes: number;
  /** As soon as it is known: it binds the transfer to that image. */
  readonly digest?: string;
  /** Only looks: nothing is begun, and nothing changes at the site. @default false */
  readonly peek?: boolean;
}

/** What a site says of a transfer. */
export interface TransferState {
  /** Present when the digest was given and the image is complete there already: nothing is to be done. */
  readonly complete?: ImageStatus;
  /** Digests of complete images that copies may refer to, where that is known the newest first. */
  readonly images: readonly string[];
  /**
   * Base64: for each block of the image 8 bytes, the beginning of its leaf if it has arrived (zeros have one too), else zeros. It ends
   * with the last that has, and blocks beyond 4 TiB are not told (they count as not arrived).
   */
  readonly arrived: string;
  /** Measured last on this link, bits per second; undefined when it never was. */
  readonly rateBps?: number;
  /** Bytes on the link for one byte of an image, as measured last. */
  readonly packedShare?: number;
}

export interface SegmentAnswer {
  /** Bytes of the image that are here now. */
  readonly presentBytes: number;
}

/**
 * What a transfer would take. Pinned by the site for one state of the image there, so that Terraform's two plans of one apply
 * agree.
 */
export interface TransferEstimate {
  /** Of the virtual disk. */
  readonly totalBytes: number;
  /** Bytes of the image that are in use; all others are zeros. */
  readonly inUseBytes: number;
  /** Of these, bytes that the site holds already, in any image. */
  readonly presentBytes: number;
  /** Bytes in use to send, before compression. */
  readonly sendBytes: number;
  /** Milliseconds at the rate measured last on this link, or the assumed one. */
  readonly etaMs: number;
  /** The rate used, bits per second. */
  readonly rateBps: number;
  readonly rateIs: "measured" | "assumed";
}

// ---------------------------------------------------------------- pools

/** How a member's (or a site's) health is judged. */
export interface MonitorSpec {
  /** `http`: GET `path` and compare the status. `tcp`: a connection is enough. */
  readonly type: "http" | "tcp";
  readonly path: string;
  readonly expectStatus: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Good answers in a row that make it up. */
  readonly rise: number;
  /** Bad answers in a row that make it down. */
  readonly fall: number;
}

/** What a pool should be. PUT is idempotent: the same owner may send it again, another is refused. */
export interface PoolSpec {
  /** Who declared it (a stack and a construct path). A pool of another owner is never taken over. */
  readonly owner: string;
  /** Digest of an image that this site holds complete. */
  readonly image: string;
  readonly members: number;
  /** Where the local balancer listens for this pool. */
  readonly listen: { readonly address: string; readonly port: number; readonly mode: "http" | "tcp" };
  readonly monitor: MonitorSpec;
  /** `cookie`: a user stays with a member while it is up and not draining. */
  readonly affinity: "none" | "cookie";
  /** Concurrent requests a member takes; more wait in the balancer's queue. 0: no limit. */
  readonly maxConnections: number;
  /** A user who sent nothing for so long is no longer a session. */
  readonly sessionIdleMs: number;
  /** Environment of each member. Not for secrets: it is kept in state. */
  readonly environment: Readonly<Record<string, string>>;
  /** A member gets so long to become up after its launch. */
  readonly launchTimeoutMs: number;
  /** A leaving member gets so long to lose its last session before it is ended all the same. */
  readonly drainTimeoutMs: number;
  /**
   * Which declaration of the pool this is; kept and shown as it came. When a declaration is replaced by another of the same name,
   * the take-down of the old one sees that the pool is no longer its own. A change of it alone changes nothing else.
   */
  readonly claim?: string;
  /**
   * Host names that users ask for, lower-case. Requests for any other name (scanners, strangers' monitors) are answered all the
   * same, but keep no gate open: they are no sessions and no activity. Only with `listen.mode` "http".
   * @default every request is a user's
   */
  readonly hosts?: readonly string[];
}

export type MemberState = "launching" | "up" | "down" | "draining" | "failed";

export interface MemberStatus {
  readonly id: string;
  readonly image: string;
  readonly address: string;
  readonly port: number;
  readonly state: MemberState;
  /** Requests (http) or connections (tcp) being served now. */
  readonly inFlight: number;
  readonly sessions: number;
  readonly launchedAt: number;
  /** The last thing that went wrong, for a person. */
  readonly problem?: string;
}

export interface PoolStatus {
  readonly name: string;
  readonly site: string;
  readonly spec: PoolSpec;
  /**
   * `reconciling`: members are being launched or replaced. `ready`: what was asked for is running (whether it is *up* is said by each
   * member); members that are no longer asked for may still be draining. `failed`: marked for a new try. `leaving`: being taken down.
   */
  readonly phase: "reconciling" | "ready" | "failed" | "leaving";
  readonly problem?: string;
  readonly members: readonly MemberStatus[];
  readonly gate?: GateSpec;
  readonly quiesce: QuiesceSpec;
  /**
   * What a gate's probe puts into its `x-spillway-probe` header, so that the balancer counts it as nobody's. Random, and good for
   * nothing else.
   */
  readonly probeKey?: string;
}

export interface GateSpec {
  /** One per gate resource; a gate that is no longer the pool's present one lets its destroy pass. */
  readonly generation: string;
  readonly admittedAt: number;
}

/**
 * How users who keep a connection are moved. `share` of the kept-alive connections, chosen by a stable hash of their user, get
 * `Connection: close` with their next answer; idle ones are closed after `idleCloseMs`, where the balancer can. A WebSocket or
 * another tunnel is never asked: it lives until it ends.
 */
export interface QuiesceSpec {
  /** 0: nobody; 1: everybody. */
  readonly share: number;
  /** How long it holds, from its beginning; 0: until changed. In answers what is left of it. */
  readonly forMs: number;
  readonly idleCloseMs: number;
  /**
   * It begins so long from now: once the answers from before a record's change have left all caches, whoever is asked to leave does
   * not come back by one of them. In answers what is left of it.
   * @default 0
   */
  readonly afterMs?: number;
  /**
   * For a shift: each connection is asked once, spread evenly over {@link PACE_MS}, and only one that was open when it began and was
   * opened in the first half of `afterMs` or before (most of those opened later came by a new answer). Whoever comes back is left in peace,
   * with a share of 1 too.
   * @default false: as long as it holds; with a share of 1 whoever comes is asked as well
   */
  readonly once?: boolean;
}

/** Users who are asked to leave once are asked spread over so long, so that they do not all come anew in one moment. */
export const PACE_MS = 2_000;

/**
 * Who is at a pool now, seen at its balancer. Monitors and gates' probes are not counted. Requests for other names than the pool's
 * `hosts` are requests, but nobody's: they count in totals, rates and latencies only.
 */
export interface PoolTraffic {
  readonly openConnections: number;
  /** Users' requests being served now. */
  readonly inFlight: number;
  readonly queued: number;
  /** Users: open connections, and affinity cookies seen within `sessionIdleMs` on no open connection. */
  readonly sessions: number;
  /** Milliseconds since the last request, connection or open connection; large if there never was one. */
  readonly quietMs: number;
  readonly requestsTotal: number;
  /** Answers 5xx made by the balancer itself (no member, member died). */
  readonly failedTotal: number;
  /** Mean of the last 2 s. */
  readonly requestsPerSecond: number;
  /** Of the last 2 s; 0 when there was no request. */
  readonly latencyMs: { readonly p50: number; readonly p95: number };
  /** Members that are up and take new users. */
  readonly membersUp: number;
  /** Members that are to take users: launched, and not draining. */
  readonly members: number;
}

// ---------------------------------------------------------------- records

export interface RecordAnswer {
  readonly site: string;
  /** An IPv4 address (A), an IPv6 address (AAAA) or a host name (CNAME). One type in one weighted set. */
  readonly address: string;
  /** 1 to 100. A site that is out of service is left out, never 0. */
  readonly weight: number;
  /**
   * The pool behind the address, `SITE/NAME`, where it is known; kept and shown as it came. By it a gate sees that users are still
   * sent to its pool.
   */
  readonly pool?: string;
}

export interface RecordSpec {
  readonly owner: string;
  readonly ttlSeconds: number;
  /** At least one; weights add up to 100. */
  readonly answers: readonly RecordAnswer[];
}

export interface RecordStatus {
  readonly name: string;
  readonly spec: RecordSpec;
  /** When an answer of the previous set last left the name server, or could be cached. */
  readonly changedAt: number;
  /** Grows with every change. */
  readonly serial: number;
  /**
   * In the answer to a change: answers of the previous set may be cached for so long after {@link changedAt}.
   * @default the previous set's TTL
   */
  readonly staleMs?: number;
}

/** What would become of a record that is only planned. */
export interface RecordPlan {
  /** A PUT would be refused for these. An `attribute` is one of {@link RecordSpec}, or `name`. */
  readonly problems: readonly ProblemReport[];
  /** Where users would get something else than was declared. One sentence each, for the plan. */
  readonly notes: readonly string[];
  /** This owner has a record of that name already. */
  readonly exists: boolean;
}

/** What was done ahead of a shift. */
export interface ShiftPreparation {
  /** When answers with the higher TTL have left all caches; left out when there was nothing to lower. */
  readonly readyAt?: number;
}

// ---------------------------------------------------------------- context and events

export interface PoolContext {
  readonly name: string;
  readonly phase: PoolStatus["phase"];
  readonly traffic: PoolTraffic;
}

export interface SiteContext {
  readonly site: string;
  readonly at: number;
  readonly pools: readonly PoolContext[];
  readonly images: readonly ImageStatus[];
  readonly link: { readonly rateBps: number; readonly rateIs: "measured" | "assumed" };
  readonly records: readonly RecordStatus[];
  /** Why the name server cannot be asked; then it is not known which records there are. */
  readonly recordsProblem?: string;
  /** Where the name server answers, `address:port`, if this site has one. */
  readonly nameServer?: string;
}

/** A part that a site runs on, and what is wrong with it. */
export interface PartStatus {
  readonly part: "launcher" | "balancer" | "nameServer";
  /** `embedded`, `haproxy`, `powerdns`, … */
  readonly kind: string;
  /** With any of these it does not do its work. */
  readonly problems: readonly ProblemReport[];
  /** It works, but not as well as it could. */
  readonly advice: readonly ProblemReport[];
}

export interface SiteParts {
  readonly parts: readonly PartStatus[];
}

/** Something the site did. Kept across restarts (the last 10,000). */
export interface SiteEvent {
  readonly seq: number;
  readonly at: number;
  readonly kind:
    | "image-complete"
    | "image-deleted"
    | "image-evicted"
    | "snapshot-complete"
    | "snapshot-deleted"
    | "member-launched"
    | "member-up"
    | "member-down"
    | "member-draining"
    | "member-ended"
    | "member-adopted"
    | "pool-created"
    | "pool-changed"
    | "pool-failed"
    | "pool-gone"
    | "gate-opened"
    | "quiesce-changed"
    | "record-changed"
    | "record-removed"
    | "agent-started";
  readonly subject: string;
  readonly detail: string;
}

export interface SiteEvents {
  readonly events: readonly SiteEvent[];
  /** Ask again with `after=` this. */
  readonly last: number;
}
