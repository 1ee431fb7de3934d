import type { BurstPolicy } from "../hook/manifest";
import { aboveZeroRule, durationRule, rule, shareRule, wholeRule } from "./validate";
import type { Rule } from "./validate";

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

/** @internal */
export function policyRules(policy: BurstPolicy): readonly Rule[] {
  return [
    aboveZeroRule("policy.burstAbove", policy.burstAbove, "0.8 bursts when home is four fifths full."),
    aboveZeroRule("policy.homeBelow", policy.homeBelow, "0.5 comes home when home would be half full."),
    rule(
      !(policy.homeBelow >= policy.burstAbove),
      "policy.homeBelow",
      `must be below \`burstAbove\` (${policy.burstAbove}), got ${policy.homeBelow}`,
      "Leave room between the two, or the burst would come and go with every ripple.",
    ),
    shareRule(
      "policy.targetUtilisation",
      policy.targetUtilisation,
      "0.7 keeps home at seven tenths during a burst.",
    ),
    wholeRule("policy.confirmations", policy.confirmations, 1, "1 trusts the first observation."),
    wholeRule("policy.minCloudMembers", policy.minCloudMembers, 1, "A burst has at least one member."),
    wholeRule(
      "policy.maxCloudMembers",
      policy.maxCloudMembers,
      1,
      "It is the budget: the most members the hook may ask for.",
    ),
    rule(
      !(policy.minCloudMembers > policy.maxCloudMembers),
      "policy.minCloudMembers",
      `must be at most \`maxCloudMembers\` (${policy.maxCloudMembers}), got ${policy.minCloudMembers}`,
      "Lower the one or raise the other.",
    ),
    durationRule("policy.homeAfterMs", policy.homeAfterMs, 0),
    durationRule("policy.minimumStayMs", policy.minimumStayMs, 0),
    durationRule("policy.launchEstimateMs", policy.launchEstimateMs, 0),
    durationRule("policy.intervalMs", policy.intervalMs, 50),
  ];
}
