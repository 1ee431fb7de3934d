export { endAbandoned, endLab } from "./abandoned";
export { handleOf, layOut, openLab } from "./lay-out";
export type {
  AgentConfiguration,
  Datacenter,
  LayOutOptions,
  Line,
  LineOptions,
  Part,
  PartName,
  Place,
  RunOptions,
  RunResult,
  SiteAccess,
  SiteName,
  SpawnOptions,
} from "./options";
export { missingParts } from "./requirements";
export { readLab, type LabState } from "./state";
