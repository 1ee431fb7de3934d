import { PACE_MS, type QuiesceSpec } from "../../../lib/site/api";
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
  /** When it begins. Milliseconds since 1970. */
  readonly since: number;
  /**
   * Connections opened later have already followed the new answer. When the ramp that the order is a step of began; of an order that
   * asks once, the middle of the time before it begins.
   */
  readonly rampSince: number;
}

export const NO_QUIESCE: QuiesceOrder = {
  spec: { share: 0, forMs: 0, idleCloseMs: 0 },
  since: 0,
  rampSince: 0,
};

/** The time left of an order is told anew with each change of its pool; on its way it loses some of it. */
const SAME_TIME_MS = 1_000;

/**
 * The order that follows `present` when `spec` is asked for at `now`. Asking for the same again changes nothing (a pool's whole
 * state is sent anew at each reconcile), not even when its time has run out; another share in a running ramp keeps the ramp's
 * beginning.
 */
export function nextOrder(present: QuiesceOrder, spec: QuiesceSpec, now: number): QuiesceOrder {
  if (isSame(present, spec, now)) return present;
  const afterMs = spec.afterMs ?? 0;
  const since = now + afterMs;
  if (spec.once) return { spec, since, rampSince: now + afterMs / 2 };
  const inRamp = !present.spec.once && shareAt(present, now) > 0;
  return { spec, since, rampSince: inRamp ? present.rampSince : since };
}

/** The share in force at `now`: 0 before its time and once that has run out. Of those who are asked once it grows, so that they leave one by one. */
export function shareAt(order: QuiesceOrder, now: number): number {
  const { share, forMs, once } = order.spec;
  if (now < order.since || (forMs > 0 && now - order.since >= forMs)) return 0;
  return once ? share * Math.min(1, (now - order.since) / PACE_MS) : share;
}

/** Must whoever is here leave, and whoever comes, so that affinity ends too? */
export function everybodyLeaves(order: QuiesceOrder, now: number): boolean {
  return order.spec.share >= 1 && !order.spec.once && shareAt(order, now) >= 1;
}

/** Must this connection be closed with its next answer? */
export function mustLeave(order: QuiesceOrder, connection: KeptConnection, now: number): boolean {
  const share = shareAt(order, now);
  if (share <= 0) return false;
  if (everybodyLeaves(order, now)) return true;
  return connection.openedAt < order.rampSince && cohortOf(keyIn(order, connection)) < share;
}

/**
 * Each order that asks once draws its own crowd. Those that the last one drew and who chose this site again are fewer here than they
 * are elsewhere: drawn again as the first, they would be too few.
 */
function keyIn(order: QuiesceOrder, { cohortKey }: KeptConnection): string {
  return order.spec.once ? `${cohortKey}~${order.rampSince}` : cohortKey;
}

function isSame({ spec: present, since }: QuiesceOrder, spec: QuiesceSpec, now: number): boolean {
  const isAlike =
    present.share === spec.share &&
    present.idleCloseMs === spec.idleCloseMs &&
    (present.once ?? false) === (spec.once ?? false) &&
    (present.forMs === 0) === (spec.forMs === 0);
  if (!isAlike) return false;
  if (!spec.once) return present.forMs === spec.forMs && (present.afterMs ?? 0) === (spec.afterMs ?? 0);
  const begins = now + (spec.afterMs ?? 0);
  if (spec.forMs > 0) return Math.abs(begins + spec.forMs - since - present.forMs) < SAME_TIME_MS;
  return begins <= Math.max(since, now) + SAME_TIME_MS;
}
