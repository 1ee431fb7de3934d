export { checkRfc2136, type CheckResult } from "./check";
export { LostRace } from "./errors";
export type { Rfc2136Options } from "./options";
export { Rfc2136NameServer } from "./rfc2136-name-server";
export { ALGORITHMS, sign, verify, type TsigAlgorithm, type TsigKey, type Verification } from "./tsig";
export { planAnswers, type AnswerPlan, type WeightOptions } from "./weights";
