import type { IConstruct } from "constructs";
import type { BurstObservers, BurstPolicy } from "../hook/manifest";
import type { AgentParts, CloudParts, CloudPlatform, RecordPlatform } from "./burst-platform";
import type { GateTuning } from "./gate";
import type { GlobalRecord, RecordTuning } from "./global-record";
import type { HealthMonitor } from "./health-monitor";
import type { Image } from "./image";
import type { TransferBandwidth } from "./image-replica";
import type { IPool, PoolProps } from "./pool";
import type { PrePositioning } from "./pre-positioning";
import type { Site } from "./site";

/** Home. */
export interface BurstOnPrem {
  /** The pool that overflows. */
  readonly pool: IPool;
  /** Requests per second that one of its members carries at a good latency. Measure it. */
  readonly memberCapacityRps: number;
}

/** Where the overflow goes. What is not said of its pool is as at home. */
export interface BurstCloud extends Partial<Omit<PoolProps, "replica" | "members" | "imageDigest">> {
  readonly site: Site;
  /**
   * Requests per second that one member carries there.
   * @default - as many as at home
   */
  readonly memberCapacityRps?: number;
  /**
   * Milliseconds that the image's transfer may take.
   * @default - 24 hours
   */
  readonly transferTimeoutMs?: number;
  /**
   * What the image's transfer may take of the link during a burst, and when.
   * @default - no limit but the one that `spillway image cap` sets for the machine
   */
  readonly bandwidth?: TransferBandwidth;
}

/**
 * A cloud is a site with an agent, or a platform such as `AwsCloud` of `spillway/aws`; a platform's record is a platform's too.
 */
export interface BurstProps<
  Parts extends CloudParts = AgentParts,
  Answering extends IConstruct = GlobalRecord,
> {
  /** What cloud members are launched from. */
  readonly image: Image;
  readonly onPrem: BurstOnPrem;
  readonly cloud: BurstCloud | CloudPlatform<Parts>;
  /** The name that users ask for; the burst shares its answers out. */
  readonly record: RecordTuning | RecordPlatform<Answering>;
  /**
   * How health is judged in the cloud, by local balancer and gate.
   * @default - as at home
   */
  readonly monitor?: HealthMonitor;
  /**
   * How carefully the gate opens and closes.
   * @default - as `GateTuning` says
   */
  readonly gate?: GateTuning;
  /**
   * Have the image at the cloud site before a burst. `true`: it is there always, and moves when the stack is applied. With a schedule
   * instead, the hook keeps it nearly current there in the background, so that a burst sends only the last delta.
   * @default false, the image moves when the burst begins
   * @example
   * preposition: { everyMs: 6 * 3_600_000, windows: ["22:00-06:00"], cap: "20Mbit" }
   */
  readonly preposition?: boolean | PrePositioning;
  /**
   * Who tells the hook of the sides besides their agents: PromQL by figure, and HAProxys that Spillway does not manage.
   * @default - the agents alone are asked
   * @example
   * observers: {
   *   prometheus: { endpoint: "http://127.0.0.1:9090" },
   *   onPrem: { demandRps: 'sum(rate(haproxy_frontend_http_requests_total{proxy="shop"}[30s]))' },
   * }
   */
  readonly observers?: BurstObservers;
  /**
   * When to go out and when to come home.
   * @default - as `BurstPolicy` says, with 1 to 10 cloud members
   */
  readonly policy?: Partial<BurstPolicy>;
  /**
   * The burst's name, which its variable, its output and its parameters file bear.
   * @default - the construct's id
   */
  readonly burstName?: string;
  /**
   * The variable file that holds the parameters, relative to the directory that the program is run in.
   * @default - desired/NAME.tfvars.json
   */
  readonly parametersFile?: string;
}
