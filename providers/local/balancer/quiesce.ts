import type { QuiesceSpec } from "../../../lib/site/api";
import { cohortOf } from "./cohort";

/** What the moving of users needs to know of one of their connections. */
export interface KeptConnection {
  readonly openedAt: number;
  /** The affinity cookie's user it came with, else its address and port. Never changes, so that no user is rolled twice. */
  readonly cohortKey: string;
}

/** A quiesce order, and since when it holds. JSON. */
export interface QuiesceOrder {
  readonly spec: QuiesceSpec;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** When the ramp that it is a step of began: connections opened later have already followed the new answer. */
  readonly rampSince: number;
}

export const NO_QUIESCE: QuiesceOrder = {
  spec: { share: 0, forMs: 0, idleCloseMs: 0 },
  since: 0,
  rampSince: 0,
};

/**
 * The order that follows `present` when `spec` is asked for at `now`. Asking for the same again changes nothing (a pool's whole
 * state is sent anew at each reconcile), not even when its time has run out; another share in a running ramp keeps the ramp's
 * beginning.
 */
export function nextOrder(present: QuiesceOrder, spec: QuiesceSpec, now: number): QuiesceOrder {
  const same =
    present.spec.share === spec.share &&
    present.spec.forMs === spec.forMs &&
    present.spec.idleCloseMs === spec.idleCloseMs;
  if (same) return present;
  return { spec, since: now, rampSince: shareAt(present, now) > 0 ? present.rampSince : now };
}

/** The share in force at `now`: 0 once its time has run out. */
export function shareAt(order: QuiesceOrder, now: number): number {
  const { share, forMs } = order.spec;
  return forMs > 0 && now - order.since >= forMs ? 0 : share;
}

/** Must this connection be closed with its next answer? With a share of 1 everybody must leave, whenever they came. */
export function mustLeave(order: QuiesceOrder, connection: KeptConnection, now: number): boolean {
  const share = shareAt(order, now);
  if (share <= 0) return false;
  if (share >= 1) return true;
  return connection.openedAt < order.rampSince && cohortOf(connection.cohortKey) < share;
}
