import type { SideQueries } from "./side-observer";

/**
 * What the hook must know of a burst. The `Burst` construct writes it into the synthesised stack, under the root comment key that
 * Terraform ignores (`cdk.tf.json`: `"//".spillway.bursts.NAME`); users of plain HCL write the same as `spillway.json`
 * (`{ "bursts": { NAME: … } }`).
 */
export interface BurstManifest {
  readonly version: 1;
  /** The burst's name. */
  readonly name: string;
  /** The Terraform variable that holds its {@link DesiredParameters}. */
  readonly variable: string;
  /** The variable file, relative to the directory of `cdktf.json` (or of `spillway.json`). */
  readonly parametersFile: string;
  readonly onPrem: BurstSide;
  readonly cloud: BurstSide;
  readonly sites: Readonly<Record<string, SiteEndpoint>>;
  readonly record: {
    readonly name: string;
    readonly ttlSeconds: number;
    /** Whose agent answers for the name. Absent: DNS is the platform's. */
    readonly nameServerSite?: string;
  };
  /** Who runs the cloud side, when it is no site with an agent; `sites` then has no such site. @default - the cloud has an agent */
  readonly platform?: BurstPlatform;
  /** Addresses of the burst's own resources, without index. The hook refuses a plan that touches any other. */
  readonly addresses: {
    readonly replica: string;
    readonly pool: string;
    readonly gate: string;
    readonly record: string;
    /** The cloud's own answer, where each site's is a resource of its own; it is removed on the way home. */
    readonly cloudRecord?: string;
    /** Further resources of the burst that its plans may touch, and what they are: the same rules hold for them. */
    readonly also?: Readonly<Record<string, BurstPart>>;
  };
  readonly policy: BurstPolicy;
  /** Who sees the sides besides their agents. @default - nobody: the agents alone are asked */
  readonly observers?: BurstObservers;
  /** Keeps the image nearly current at the cloud between bursts. @default - off */
  readonly prePosition?: PrePosition;
}

/** What a resource of a burst is. */
export type BurstPart = "replica" | "pool" | "gate" | "record";

/** A cloud without an agent, and what there is seen of it, by name. */
export interface BurstPlatform {
  readonly kind: "aws";
  readonly region: string;
  readonly autoScalingGroup: string;
  readonly targetGroup: string;
  readonly loadBalancer: string;
  /** The hosted zone's name. @default - the record's weights are not looked at there */
  readonly zone?: string;
  /** Set identifiers of the answers of both sides. */
  readonly homeIdentifier: string;
  readonly cloudIdentifier: string;
}

/** Other eyes of the hook. What they see takes the place of what the side's agent says of the same figure. */
export interface BurstObservers {
  /** Who is asked the sides' queries. Secrets are never here. */
  readonly prometheus?: {
    readonly endpoint: string;
    /** Relative paths: from the directory of `cdktf.json`. */
    readonly tokenFile?: string;
    readonly tokenEnv?: string;
    readonly user?: string;
    readonly passwordFile?: string;
    readonly passwordEnv?: string;
    readonly caFile?: string;
  };
  readonly onPrem?: SideObservers;
  /** Looked at only while the cloud's agent knows the pool, or cannot be asked: before a burst there is nothing to see. */
  readonly cloud?: SideObservers;
}

/** PromQL by figure, each giving one number; and a HAProxy that Spillway does not manage. Queries win over it. */
export type SideObservers = SideQueries & {
  readonly haproxy?: {
    /** Its stats socket: a path, or `host:port`. Level `user` is enough. */
    readonly socket: string;
    readonly backend: string;
    readonly frontend?: string;
  };
};

/** How the hook brings the image to the cloud in the background, so that a burst sends only the last delta. */
export interface PrePosition {
  /** The image file. A relative path is taken from the directory of `cdktf.json`. */
  readonly source: string;
  /** When given, the file must have it. */
  readonly digest?: string;
  /** Bit by bit. @default false: what its file systems call free counts as zeros */
  readonly exact?: boolean;
  /** @default - told from the file's first bytes */
  readonly format?: "raw" | "qcow2";
  /** Between two transfers. */
  readonly everyMs: number;
  /** What it may take of the link: `10Mbit`, `2MB/s`. @default - a quarter of the rate measured last */
  readonly cap?: string;
  /** When it may run: `22:00-06:00`, `sat,sun 00:00-24:00 50Mbit`; a window without a rate has `cap`. @default - always */
  readonly windows?: readonly string[];
  /** Whose clocks the windows go by: an IANA name. @default - this machine's */
  readonly timeZone?: string;
  /** Prices, by which the hook says whether the seed is worth its keep. @default - it says nothing of it */
  readonly seed?: SeedPrices;
}

/** What holding an image at the cloud costs, and what it saves, in any one currency. */
export interface SeedPrices {
  /** For a GB (10⁹ bytes) over a month. */
  readonly storagePricePerGbMonth: number;
  /** For a GB that crosses the link. @default 0 */
  readonly transferPricePerGb?: number;
  /** For a minute that the cloud is late. @default - not known: a seed without which it would be late is kept at any price */
  readonly lateMinutePrice?: number;
  /** @default 4 */
  readonly burstsPerMonth?: number;
  /** How long the transfer may take from the decision to burst. @default 600000 */
  readonly leadTimeMs?: number;
}

export interface BurstSide {
  readonly site: string;
  readonly pool: string;
  /** Requests per second one member carries at a good latency. */
  readonly memberCapacityRps: number;
  readonly members: number;
}

/** How an agent is reached. The token itself is never here. */
export interface SiteEndpoint {
  /** `http://127.0.0.1:7501`, `https://agent.cloud.example:7501`. */
  readonly endpoint: string;
  /** A file that holds the token. Relative paths: from the directory of `cdktf.json`. */
  readonly tokenFile?: string;
  /** An environment variable that holds the token. @default SPILLWAY_TOKEN_<SITE>, then SPILLWAY_TOKEN */
  readonly tokenEnv?: string;
  /** PEM file of the authority that signed the agent's certificate. @default - the system's */
  readonly caFile?: string;
}

/** When to go out and when to come home. Utilisation is demand over the capacity of the on-premises members that are up. */
export interface BurstPolicy {
  /** Burst when utilisation, forecast over the lead time, is above it. @default 0.8 */
  readonly burstAbove: number;
  /** Come home when all demand would load the on-premises pool less than that. Must be below `burstAbove`. @default 0.5 */
  readonly homeBelow: number;
  /** Observations in a row that must agree before going out. @default 3 */
  readonly confirmations: number;
  /** Demand must stay below `homeBelow` for so long. @default 300000 */
  readonly homeAfterMs: number;
  /** Stay burst at least so long. @default 300000 */
  readonly minimumStayMs: number;
  /** Load the on-premises pool is planned for during a burst. @default 0.7 */
  readonly targetUtilisation: number;
  readonly minCloudMembers: number;
  readonly maxCloudMembers: number;
  /** Expected time from launch to available. @default 30000 */
  readonly launchEstimateMs: number;
  /** Between two observations. @default 1000 */
  readonly intervalMs: number;
}
