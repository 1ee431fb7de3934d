import type { ProblemReport } from "../errors";
import type { BurstPolicy } from "../hook/manifest";

type Rule = readonly [attribute: keyof BurstPolicy, holds: (policy: BurstPolicy) => boolean, must: string];

const finite = (value: number) => typeof value === "number" && Number.isFinite(value);
const whole = (value: number, from: number) => Number.isInteger(value) && value >= from;

const RULES: readonly Rule[] = [
  [
    "burstAbove",
    (p) => finite(p.burstAbove) && p.burstAbove > 0 && p.burstAbove <= 2,
    "be above 0 and at most 2",
  ],
  ["homeBelow", (p) => finite(p.homeBelow) && p.homeBelow > 0, "be above 0"],
  [
    "homeBelow",
    (p) => !(p.homeBelow >= p.burstAbove),
    "be below `burstAbove`, or the burst would come and go",
  ],
  ["confirmations", (p) => whole(p.confirmations, 1), "be a whole number of at least 1"],
  ["homeAfterMs", (p) => finite(p.homeAfterMs) && p.homeAfterMs >= 0, "be 0 or more milliseconds"],
  ["minimumStayMs", (p) => finite(p.minimumStayMs) && p.minimumStayMs >= 0, "be 0 or more milliseconds"],
  [
    "targetUtilisation",
    (p) => finite(p.targetUtilisation) && p.targetUtilisation > 0 && p.targetUtilisation <= 1,
    "be above 0 and at most 1",
  ],
  ["minCloudMembers", (p) => whole(p.minCloudMembers, 1), "be a whole number of at least 1"],
  ["maxCloudMembers", (p) => whole(p.maxCloudMembers, 1), "be a whole number of at least 1"],
  ["maxCloudMembers", (p) => !(p.maxCloudMembers < p.minCloudMembers), "be at least `minCloudMembers`"],
  [
    "launchEstimateMs",
    (p) => finite(p.launchEstimateMs) && p.launchEstimateMs >= 0,
    "be 0 or more milliseconds",
  ],
  ["intervalMs", (p) => finite(p.intervalMs) && p.intervalMs >= 50, "be at least 50 milliseconds"],
];

/** Everything that is wrong with a policy; empty if nothing is. */
export function policyProblems(policy: BurstPolicy, place: string): ProblemReport[] {
  return RULES.filter(([, holds]) => !holds(policy)).map(([attribute, , must]) => ({
    place,
    problem: `\`policy.${attribute}\` must ${must}, got ${JSON.stringify(policy[attribute]) ?? "nothing"}`,
    mend: "Correct it in the Burst props (or in `spillway.json`) and synthesise again.",
    attribute: ["policy", attribute],
  }));
}
