import type { BurstPolicy } from "../hook/manifest";

/** What a burst's policy is where nothing else is said. `BurstPolicy` explains each. */
export const DEFAULT_POLICY: BurstPolicy = {
  burstAbove: 0.8,
  homeBelow: 0.5,
  confirmations: 3,
  homeAfterMs: 300_000,
  minimumStayMs: 300_000,
  targetUtilisation: 0.7,
  minCloudMembers: 1,
  maxCloudMembers: 10,
  launchEstimateMs: 30_000,
  intervalMs: 1_000,
};

/** The policy with its defaults; what is given as undefined is not given. */
export function withDefaults(policy: Partial<BurstPolicy> = {}): BurstPolicy {
  const given = Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
  return { ...DEFAULT_POLICY, ...given };
}
