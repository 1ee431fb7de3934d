export { decide } from "./decide";
export type { Decision, DecisionFigures, Verdict } from "./decision";
export { forecast, type Forecast, type Sample } from "./forecast";
export { leadTime, type LeadTimeInput } from "./lead-time";
export { capacityOf, type Observation, type SiteObservation } from "./observation";
export { burstWeights, cloudMembersFor, weightDistance } from "./members";
export { desiredOf, parametersFor, sameDesired } from "./desired";
export { adopted, initialState, settled, type Desired, type Phase, type PolicyState } from "./state";
export { split, type BySite } from "./weights";
export { policyProblems } from "./validate";
export { checkPlan, type PlanCheck, type Refusal, type SafetyRule } from "./check-plan";
export { otherImageInCloud } from "./image-stays";
export { keepSeed, type SeedQuestion, type SeedVerdict } from "./seed";
export {
  linkBpsKnowing,
  lowPriorityCapBps,
  prePositionDue,
  type LinkMemory,
  type PrePositionDue,
  type PrePositionQuestion,
} from "./pre-position";
export { prePositionBandwidth, prePositionProblems } from "./pre-position-settings";
export { count, percent } from "./words";
