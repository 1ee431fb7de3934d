import type { SeenUsers } from "../../../lib/observers";
import type { LoadBalancerKind } from "./arn";

/** Metrics of load balancers have one value a minute. */
export const PERIOD_MS = 60_000;
/** The nodes of a balancer report apart, within a minute of a period's end: what is there before may not be all. */
export const SETTLE_MS = 60_000;
/** What is older tells nothing of now. */
export const STALE_MS = 10 * PERIOD_MS;

/** The values of one metric by the start of their period, milliseconds since 1970. */
export type Series = ReadonlyMap<number, number>;

/** What is looked at to tell whether there are users. A metric that was not asked for is left out. */
export interface UserSeries {
  /** Concurrent: ActiveConnectionCount, ActiveFlowCount. */
  readonly open?: Series;
  /** RequestCount; none of a Network Load Balancer. */
  readonly requests?: Series;
  /** Begun in the period: NewFlowCount. */
  readonly begun?: Series;
  /**
   * Periods for which the balancer has reported: those of a metric that is always reported. What is reported only when it is not 0 was
   * 0 in them; in all others it is unknown.
   */
  readonly reported: ReadonlySet<number>;
}

/** The start of the last period that counts: it is over, and its data can be in. */
export function lastSettled(now: number, settleMs = SETTLE_MS): number {
  return Math.floor((now - settleMs) / PERIOD_MS) * PERIOD_MS - PERIOD_MS;
}

/** Users in one period; undefined when that is unknown. Presence is believed from any one metric, absence only of all. */
export function usersIn(series: UserSeries, kind: LoadBalancerKind, period: number): number | undefined {
  const seen = [series.open, series.requests, series.begun].map((each) => each?.get(period));
  const most = Math.max(0, ...seen.map((value) => value ?? 0));
  if (most > 0) return most;
  // Flows are always reported: where they are missing nothing is known, whatever else has arrived.
  const isKnown = kind === "net" ? series.open?.has(period) === true : series.reported.has(period);
  return isKnown ? 0 : undefined;
}

/**
 * Who is there, from the values of the periods that have arrived. Users count as soon as they are seen; that there are none counts only
 * for periods that are over and settled, and for which the balancer has reported. Pure.
 * @param from periods before are not looked at
 */
export function seenUsers(
  series: UserSeries,
  kind: LoadBalancerKind,
  {
    now,
    from,
    settleMs = SETTLE_MS,
  }: { readonly now: number; readonly from: number; readonly settleMs?: number },
): SeenUsers {
  const first = Math.ceil(from / PERIOD_MS) * PERIOD_MS;
  const last = lastSettled(now, settleMs);
  for (
    let period = Math.floor(now / PERIOD_MS) * PERIOD_MS;
    period > last && period >= first;
    period -= PERIOD_MS
  ) {
    const count = usersIn(series, kind, period) ?? 0;
    if (count > 0) return { count, until: Math.min(now, period + PERIOD_MS) };
  }
  let latest = last;
  while (latest >= first && usersIn(series, kind, latest) === undefined) latest -= PERIOD_MS;
  const until = latest + PERIOD_MS;
  if (latest < first || now - until > STALE_MS) {
    return { problem: "CloudWatch has no metrics of it for the last minutes, which is not 0" };
  }
  const count = usersIn(series, kind, latest) ?? 0;
  if (count > 0) return { count, until };
  let quietFrom = latest;
  while (quietFrom - PERIOD_MS >= first && usersIn(series, kind, quietFrom - PERIOD_MS) === 0)
    quietFrom -= PERIOD_MS;
  return { count: 0, until, quietFrom };
}
