import type { GateSpec, PoolSpec, QuiesceSpec, RecordSpec } from "../api";
import type { MemberHandle } from "../ports";

/** Where a member is in its life. Only `waiting` and `failed` members have no process (or none that is known to run). */
export type MemberPhase =
  /** To be launched, or being launched: written before the launcher is asked. */
  | "launching"
  | "running"
  /** At the balancer it takes no new user. */
  | "draining"
  /** To be ended, or being ended: written before the launcher is asked. */
  | "ending"
  /** It died, and is launched again at `retryAt`. */
  | "waiting"
  /** It died too often; only a retry of the pool launches it again. */
  | "failed";

/** A member, as it is remembered. */
export interface MemberRecord {
  readonly id: string;
  /** Digest it was launched from. */
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The pool's generation it belongs to; members of an older one are replaced. */
  readonly generation: number;
  readonly phase: MemberPhase;
  readonly handle?: MemberHandle;
  readonly launchedAt: number;
  /** Has its monitor ever said that it is up? */
  readonly everUp: boolean;
  /** Since when it is up without interruption. */
  readonly upSince?: number;
  /** It was not up within the launch timeout, and is not yet. */
  readonly overdue?: boolean;
  /** Deaths in a row, without a stretch of health between them. */
  readonly crashes: number;
  /** What the last of these deaths was. */
  readonly death?: string;
  readonly retryAt?: number;
  readonly drainingSince?: number;
  readonly problem?: string;
}

/** A pool, as it is remembered. */
export interface PoolRecord {
  readonly name: string;
  readonly createdAt: number;
  spec: PoolSpec;
  /** Grows with every change that needs new members. */
  generation: number;
  leaving: boolean;
  /** Marked for a new try. */
  failed?: { readonly problem: string; readonly cause: "told" | "port-taken" };
  gate?: GateSpec;
  quiesce: QuiesceSpec;
  /** When the quiesce begins; undefined for one that began at once. */
  quiesceFrom?: number;
  /** When the quiesce ends; undefined for one that holds until it is changed. */
  quiesceUntil?: number;
  /** By it the balancer knows a gate's probes. Marks requests as uncounted and gives access to nothing. */
  probeKey?: string;
  members: readonly MemberRecord[];
}

/** A global record, as it is remembered: a name server that lost it gets it again. */
export interface NameRecord {
  readonly name: string;
  readonly spec: RecordSpec;
}

/** All that an agent must not forget. No secrets. */
export interface AgentState {
  readonly version: 1;
  readonly site: string;
  pools: Record<string, PoolRecord>;
  records: Record<string, NameRecord>;
}

export const NO_QUIESCE: QuiesceSpec = { share: 0, forMs: 0, idleCloseMs: 0 };

export function emptyState(site: string): AgentState {
  return { version: 1, site, pools: {}, records: {} };
}

/** The quiesce that is ordered at `now`, with the time that is left of it, and until it begins. */
export function quiesceAt(record: PoolRecord, now: number): QuiesceSpec {
  const { quiesce, quiesceFrom = 0, quiesceUntil } = record;
  const beginsIn = Math.max(0, quiesceFrom - now);
  const order = quiesce.afterMs === undefined ? quiesce : { ...quiesce, afterMs: beginsIn };
  if (quiesceUntil === undefined) return order;
  const leftMs = quiesceUntil - now - beginsIn;
  return leftMs > 0 ? { ...order, forMs: leftMs } : NO_QUIESCE;
}
