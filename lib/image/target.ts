export type { TargetCallOptions } from "./wire/target";
