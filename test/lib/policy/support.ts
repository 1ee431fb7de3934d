import type { BurstPolicy } from "../../../lib/hook/manifest";
import {
  decide,
  initialState,
  settled,
  type Decision,
  type Observation,
  type PolicyState,
  type SiteObservation,
} from "../../../lib/policy";

export const POLICY: BurstPolicy = {
  burstAbove: 0.8,
  homeBelow: 0.5,
  confirmations: 3,
  homeAfterMs: 60_000,
  minimumStayMs: 120_000,
  targetUtilisation: 0.7,
  minCloudMembers: 1,
  maxCloudMembers: 20,
  launchEstimateMs: 10_000,
  intervalMs: 1_000,
};

export const QUIET = { burst: false, cloudMembers: 1, weights: { onprem: 100 } };

export function siteSeen(name: string, more: Partial<SiteObservation> = {}): SiteObservation {
  return {
    site: name,
    reachable: true,
    demandRps: 0,
    members: 4,
    membersUp: 4,
    memberCapacityRps: 100,
    sessions: 0,
    openConnections: 0,
    queued: 0,
    p95Ms: 20,
    failedTotal: 0,
    linkBps: 100_000_000,
    ...more,
  };
}

/** Demand of `rps` in all, with four members of 100 rps on premises, and as many in the cloud as may ever be wanted. */
export function seen(at: number, rps: number, more: Partial<Observation> = {}): Observation {
  return {
    at,
    onPrem: siteSeen("onprem", { demandRps: rps }),
    cloud: siteSeen("cloud", { members: 20, membersUp: 20 }),
    demandRps: rps,
    replicaBytesLeft: 0,
    dnsTailMs: 2_000,
    ...more,
  };
}

export interface Turn {
  readonly at: number;
  readonly rps: number;
  readonly state: PolicyState;
  readonly decision: Decision;
}

/**
 * Plays demand, one observation after another. An apply takes `applyMs`: the burst is in force that long after it was decided, unless
 * the decision was reversed meanwhile.
 */
export function play(
  demand: readonly number[],
  options: {
    readonly policy?: BurstPolicy;
    readonly applyMs?: number;
    readonly observe?: (at: number, rps: number, index: number) => Observation;
  } = {},
): Turn[] {
  const policy = options.policy ?? POLICY;
  const observe = options.observe ?? seen;
  const start = 1_000_000_000_000;
  let state = initialState(QUIET, start);
  const turns: Turn[] = [];
  demand.forEach((rps, index) => {
    const at = start + (index + 1) * policy.intervalMs;
    if (at - state.since >= (options.applyMs ?? 5_000)) state = settled(state, at);
    const verdict = decide(state, observe(at, rps, index), policy, at);
    ({ state } = verdict);
    turns.push({ at, rps, ...verdict });
  });
  return turns;
}

export function actions(turns: readonly Turn[]): Decision["action"][] {
  return turns.map(({ decision }) => decision.action).filter((action) => action !== "hold");
}

export function repeat(rps: number, times: number): number[] {
  return Array.from({ length: times }, () => rps);
}
