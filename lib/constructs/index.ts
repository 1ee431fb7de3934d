export { Image } from "./image";
export type { ImageProps } from "./image";
export { Site } from "./site";
export type { SiteProps } from "./site";
export { SpillwayProvider } from "./spillway-provider";
export type { SpillwayProviderProps } from "./spillway-provider";
export { HealthMonitor } from "./health-monitor";
export type { HealthMonitorProps } from "./health-monitor";
export { ImageReplica } from "./image-replica";
export type { IImageReplica, ImageReplicaProps, TransferBandwidth } from "./image-replica";
export type { IPool, PoolProps, PoolSettings } from "./pool";
export { OnPremPool } from "./on-prem-pool";
export type { OnPremPoolAttributes, OnPremPoolProps } from "./on-prem-pool";
export { CloudPool } from "./cloud-pool";
export type { CloudPoolProps } from "./cloud-pool";
export { Gate } from "./gate";
export type { GateProps, GateTuning, IGate } from "./gate";
export { GlobalRecord } from "./global-record";
export type {
  GlobalRecordProps,
  IGlobalRecord,
  RampProps,
  RecordAnswerProps,
  RecordTuning,
} from "./global-record";
export { Burst } from "./burst";
export type { IBurst } from "./burst";
export type { BurstCloud, BurstOnPrem, BurstProps } from "./burst-props";
export type {
  AgentParts,
  BuiltCloud,
  BuiltRecord,
  BurstPlan,
  CloudGate,
  CloudParts,
  CloudPlatform,
  RecordManifest,
  RecordPlan,
  RecordPlatform,
  Share,
} from "./burst-platform";
export type { BurstPart, BurstPlatform } from "../hook/manifest";
export type { Broken, Rule } from "./validate";
export type { PrePositioning } from "./pre-positioning";
export type { SeedPrices } from "../hook/manifest";
export { DEFAULT_POLICY } from "./burst-policy";
export type { Condition } from "./condition";
