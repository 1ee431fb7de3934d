import type { TerraformProvider } from "cdktf";
import type { Condition } from "../../../lib/constructs/condition";
import type { HealthMonitor } from "../../../lib/constructs/health-monitor";
import type { IAwsImage } from "./aws-image";
import type { AwsLoadBalancer } from "./load-balancer";
import type { AwsTags } from "./tags";
import type { AwsVpc } from "./vpc";

/** Instances that AWS may take back, for a part of its price. */
export interface AwsSpot {
  /** Percent of the members that are Spot instances, 1 to 100. */
  readonly sharePercent: number;
  /**
   * Which pools of Spot capacity are drawn from. `capacity-optimized`: those that AWS is least likely to take back.
   * @default "capacity-optimized"
   */
  readonly allocation?: "capacity-optimized" | "price-capacity-optimized" | "capacity-optimized-prioritized";
}

/** Instances that are started and stopped beforehand, so that a pool that is out already grows faster. */
export interface AwsWarmPool {
  /** The least of them. */
  readonly members: number;
  /**
   * `Stopped` costs the volumes only; `Running` all.
   * @default "Stopped"
   */
  readonly state?: "Stopped" | "Running" | "Hibernated";
}

/** Where members may connect to of themselves. Answers to those who are let in are always let out. */
export interface AwsEgress {
  /** `10.1.0.0/16`, `2001:db8::/32`, or a prefix list's id `pl-…`. */
  readonly to: string;
  /** TCP port. */
  readonly port: number;
}

/** The members' own disk. It is always encrypted, and always gp3. */
export interface AwsVolume {
  /** @default - the image's */
  readonly sizeGib?: number;
  /** 3000 to 16000. @default 3000 */
  readonly iops?: number;
  /** MiB per second, 125 to 1000. @default 125 */
  readonly throughputMibps?: number;
  /** ARN of the KMS key. @default - the account's key for EBS */
  readonly kmsKeyId?: string;
}

/** What a pool in AWS is like, whoever makes it. */
export interface AwsPoolSettings {
  /** Where. */
  readonly vpc: AwsVpc;
  /**
   * In order of preference: when AWS has no capacity of the first in a zone, the next is taken. Give several, all able to carry what
   * one member carries.
   */
  readonly instanceTypes: readonly string[];
  /**
   * Who may connect: CIDR blocks, or ids of prefix lists (`pl-…`). There is no default, lest a pool be open by mistake: a public shop
   * says `["0.0.0.0/0"]`.
   */
  readonly allowFrom: readonly string[];
  /** The certificate that the balancer ends TLS with, or `"none"` for what is sent in clear or encrypted end to end. */
  readonly tls: { readonly certificateArn: string; readonly policy?: string } | "none";
  /**
   * `application` knows requests; `network` forwards connections. Or one that is there already.
   * @default "application", for a home that forwards connections "network"
   */
  readonly balancer?: "application" | "network" | AwsLoadBalancer;
  /**
   * The balancer has private addresses only.
   * @default false
   */
  readonly internal?: boolean;
  /**
   * The balancer stays between bursts. A burst then begins two to four minutes sooner, and the balancer is paid for all the time.
   * @default false
   */
  readonly keepLoadBalancer?: boolean;
  /**
   * Where members listen.
   * @default - the pool's port
   */
  readonly memberPort?: number;
  /**
   * How an application load balancer speaks to members.
   * @default "http"
   */
  readonly memberProtocol?: "http" | "https";
  /**
   * How the balancer judges a member's health. AWS takes whole seconds, 5 to 300, and 2 to 10 answers in a row: what is finer is rounded
   * up.
   * @default - a GET of / every 5 s
   */
  readonly monitor?: HealthMonitor;
  /**
   * `cookie`: a user stays with a member while it is healthy.
   * @default "cookie"; "none" at a network load balancer
   */
  readonly affinity?: "none" | "cookie";
  /**
   * Milliseconds over which a new member's share of requests grows to its full: 0, or 30000 to 900000. Not at a network load balancer.
   * @default 30000
   */
  readonly slowStartMs?: number;
  /**
   * Milliseconds that a leaving member may take to answer what it has begun.
   * @default 300000
   */
  readonly drainTimeoutMs?: number;
  /**
   * Milliseconds from a member's launch in which its failed health checks count for nothing.
   * @default 180000
   */
  readonly launchTimeoutMs?: number;
  /**
   * Milliseconds that an apply waits for all members to be in service. AWS tries again by itself when it has no capacity: other types,
   * other zones, and with growing pauses; the apply fails only at the end of this time.
   * @default 600000
   */
  readonly waitForCapacityTimeoutMs?: number;
  /**
   * Which of the types is taken: the first that can be had, or the cheapest.
   * @default "prioritized"
   */
  readonly allocation?: "prioritized" | "lowest-price";
  /** @default - on-demand instances only */
  readonly spot?: AwsSpot;
  /** @default - none */
  readonly warmPool?: AwsWarmPool;
  /**
   * What the number of members is to the group. `desired`: exactly so many, nobody else changes it. `floor`: at least so many, and a
   * scaling policy of yours may have more, up to `maxMembers`; Terraform does not undo what it does.
   * @default "desired"
   */
  readonly membersAre?: "desired" | "floor";
  /**
   * The most that a scaling policy may have.
   * @default - as many as `members`; in a burst, the policy's `maxCloudMembers`
   */
  readonly maxMembers?: number;
  /**
   * Where members may connect to of themselves. AWS's own name server, clock and metadata need no rule.
   * @default - nowhere; with `ssm`, HTTPS anywhere
   */
  readonly allowTo?: readonly AwsEgress[];
  /**
   * Further security groups of members, such as the one that a database lets in.
   * @default - none
   */
  readonly securityGroupIds?: readonly string[];
  /**
   * Members can be logged in to by AWS Systems Manager, without a key and without an open port.
   * @default false
   */
  readonly ssm?: boolean;
  /**
   * ARNs of policies that members act under.
   * @default - none: members have no AWS identity at all
   */
  readonly policyArns?: readonly string[];
  /** @default - of the image's size, encrypted, gp3 */
  readonly volume?: AwsVolume;
  /**
   * What members run when they start first: plain text. Not for secrets: it is kept in Terraform's state, and every program on a member
   * can read it.
   * @default - none, the image is complete
   */
  readonly userData?: string;
  /**
   * A new image while the pool is there replaces its members, a few at a time.
   * @default true
   */
  readonly rollOut?: boolean;
  /**
   * CloudWatch figures of each member every minute instead of every five. They are paid for.
   * @default false
   */
  readonly detailedMonitoring?: boolean;
  /**
   * The balancer cannot be deleted, by Terraform neither. Only with `keepLoadBalancer`.
   * @default false
   */
  readonly deletionProtection?: boolean;
  /**
   * The bucket that the balancer writes its log to; its policy must let it.
   * @default - no log
   */
  readonly accessLogs?: { readonly bucket: string; readonly prefix?: string };
  /**
   * Tags of everything, members and their disks too.
   * @default - `Name` and `spillway:pool`
   */
  readonly tags?: AwsTags;
  /** @default - the stack's AWS provider */
  readonly provider?: TerraformProvider;
}

export interface AwsCloudPoolProps extends AwsPoolSettings {
  /** What members are launched from. The pool is there while it is. */
  readonly image: IAwsImage;
  /** How many members. At least 1. */
  readonly members: number;
  /** Where users connect. */
  readonly port: number;
  /**
   * The name of group, balancer and target group, at most 32 characters. A change replaces them.
   * @default - the construct's id
   */
  readonly poolName?: string;
  /**
   * The host names that a shared listener forwards to this pool. Only with a balancer that has a `listenerArn`.
   * @default - none
   */
  readonly hosts?: readonly string[];
  /**
   * The pool is there only while this is true. Security groups, target group and identity are there always: they cost nothing.
   * @default - while its image is
   */
  readonly when?: Condition;
}
