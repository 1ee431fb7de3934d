import type { TerraformResource } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import type { BurstPart, BurstPlatform, BurstPolicy } from "../hook/manifest";
import type { Condition } from "./condition";
import type { CloudPool } from "./cloud-pool";
import type { Gate, GateTuning } from "./gate";
import type { HealthMonitor } from "./health-monitor";
import type { Image } from "./image";
import type { ImageReplica } from "./image-replica";
import type { IPool } from "./pool";
import type { Rule } from "./validate";

/** The links of a burst's chain that are the cloud's own. */
export interface CloudParts {
  readonly replica: IConstruct;
  readonly pool: IConstruct;
  readonly gate: CloudGate;
}

/** What the cloud's answer waits for. */
export interface CloudGate extends IConstruct {
  readonly resource: TerraformResource;
}

/** Those of a cloud that is a site with an agent. */
export interface AgentParts extends CloudParts {
  readonly replica: ImageReplica;
  readonly pool: CloudPool;
  readonly gate: Gate;
}

/** What a burst tells a platform that is to build its cloud. */
export interface BurstPlan {
  readonly burstName: string;
  readonly image: Image;
  readonly home: IPool;
  /** True while the burst is out. */
  readonly whileBurst: Condition;
  /** True while the image is wanted there: always, with `preposition: true`. */
  readonly whileImage: Condition | undefined;
  /** How many members, as an expression; known when it is applied. */
  readonly members: number;
  /** The most that `members` will be. */
  readonly maxMembers: number;
  /** How health is judged; as at home, if the burst says nothing else. */
  readonly monitor: HealthMonitor | undefined;
  readonly gate: GateTuning;
  readonly recordName: string;
  readonly recordTtlSeconds: number;
}

/** What a burst must know of the cloud that a platform has built. */
export interface BuiltCloud<Parts extends CloudParts> {
  readonly parts: Parts;
  /** How the hook finds it. */
  readonly manifest: Omit<BurstPlatform, keyof RecordManifest>;
  /** The pool's name, as the cloud knows it. */
  readonly poolName: string;
  /** Addresses of the links. */
  readonly addresses: { readonly replica: string; readonly pool: string; readonly gate: string };
  /** Addresses of whatever else comes and goes with the burst. */
  readonly also: Readonly<Record<string, BurstPart>>;
  /** Where users are sent. */
  readonly balancer: { readonly dnsName: string; readonly zoneId: string };
}

/**
 * The port for a cloud without a Spillway agent: the burst says what is wanted and when, the platform makes ordinary resources of it.
 * `AwsCloud` of `spillway/aws` is one.
 */
export interface CloudPlatform<Parts extends CloudParts = CloudParts> {
  /** What weights call it. */
  readonly siteName: string;
  /** Requests per second that one member carries there. @default - as many as at home */
  readonly memberCapacityRps?: number;
  /** Where users connect. @default - as at home */
  readonly port?: number;
  /** What a burst's policy is here, where it says nothing else. */
  readonly policy?: Partial<BurstPolicy>;
  /** All that is wrong with it for this burst, before anything is made. Attributes are named from here on. */
  cloudRules(scope: Construct, burst: BurstPlan): readonly Rule[];
  /** Makes `replica`, `pool`, `gate` and whatever they need as children of `scope`. */
  buildCloud(scope: Construct, burst: BurstPlan): BuiltCloud<Parts>;
}

/** One side's share of users. */
export interface Share {
  readonly site: string;
  /** An expression: 0 when it has none. */
  readonly weight: number;
}

/** What a burst tells the platform that is to build its record. */
export interface RecordPlan {
  readonly home: Share & { readonly pool: IPool };
  readonly cloud: Share & {
    readonly balancer: { readonly dnsName: string; readonly zoneId: string };
    /** The answer is made after it and removed before it. */
    readonly gate: CloudGate;
    readonly when: Condition;
  };
}

/** What the manifest's `platform` says of the record. */
export type RecordManifest = Pick<BurstPlatform, "zone" | "homeIdentifier" | "cloudIdentifier">;

export interface BuiltRecord<Built extends IConstruct> {
  readonly record: Built;
  /** How the hook finds it. */
  readonly manifest: RecordManifest;
  /** The record that is always there, and the cloud's own answer. */
  readonly addresses: { readonly record: string; readonly cloudRecord: string };
}

/** The port for a global record that no agent answers for. `Route53Record` of `spillway/aws` is one. */
export interface RecordPlatform<Built extends IConstruct = IConstruct> {
  /** The name that users ask for. */
  readonly name: string;
  /** Seconds for which an answer may be kept, the longest of the set. */
  readonly ttlSeconds: number;
  /** All that is wrong with it for this home, before anything is made. */
  recordRules(home: IPool): readonly Rule[];
  /** Makes `record` as a child of `scope`. */
  buildRecord(scope: Construct, record: RecordPlan): BuiltRecord<Built>;
}

/** @internal */
export function isCloudPlatform(cloud: object): cloud is CloudPlatform {
  return "buildCloud" in cloud;
}

/** @internal */
export function isRecordPlatform(record: object): record is RecordPlatform {
  return "buildRecord" in record;
}
