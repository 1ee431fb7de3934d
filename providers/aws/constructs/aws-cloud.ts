import type { Construct } from "constructs";
import { TerraformStack } from "cdktf";
import type {
  BuiltCloud,
  BurstPlan,
  CloudParts,
  CloudPlatform,
} from "../../../lib/constructs/burst-platform";
import type { BurstPart, BurstPolicy } from "../../../lib/hook/manifest";
import { aboveZeroRule, nameRule, rule } from "../../../lib/constructs/validate";
import type { Rule } from "../../../lib/constructs/validate";
import type { TransferBandwidth } from "../../../lib/constructs/image-replica";
import type { Site } from "../../../lib/constructs/site";
import { AwsCloudPool } from "./aws-cloud-pool";
import type { AwsPoolSettings } from "./aws-cloud-pool-props";
import { balancerNameRule, hasSharedListener, isNetwork, settingsRules } from "./aws-cloud-pool-rules";
import { AwsGate } from "./aws-gate";
import { AwsImage, imageRules } from "./aws-image";
import type { AwsImageSettings } from "./aws-image";
import { EbsImageReplica } from "./ebs-image-replica";
import { AwsLoadBalancer } from "./load-balancer";
import { addressOf } from "./reference";
import { isRegion, regionOf } from "./region";

/** The links of a burst's chain that are AWS's. */
export interface AwsParts extends CloudParts {
  readonly replica: EbsImageReplica;
  readonly image: AwsImage;
  readonly pool: AwsCloudPool;
  readonly gate: AwsGate;
}

/** Where the overflow goes. What is not said of the pool is as at home. */
export interface AwsCloudProps extends AwsPoolSettings {
  /**
   * `eu-central-1`
   * @default - the region of the stack's AWS provider
   */
  readonly region?: string;
  /**
   * What weights call it.
   * @default "aws"
   */
  readonly site?: string;
  /**
   * The name of group, balancer and target group, at most 32 characters. A change replaces them.
   * @default - the burst's name
   */
  readonly poolName?: string;
  /**
   * Requests per second that one member carries there.
   * @default - as many as at home
   */
  readonly memberCapacityRps?: number;
  /** What a machine that starts from the image must be like. @default - as `AwsImageSettings` says */
  readonly machine?: AwsImageSettings;
  /**
   * An agent in the region that is sent the image's differences, and writes the snapshot from there.
   * @default - written from where Terraform runs
   */
  readonly writer?: Site;
  /**
   * Does the snapshot stay between bursts? Then the next one sends only what has changed, and it is paid for meanwhile.
   * @default true
   */
  readonly retainSnapshot?: boolean;
  /**
   * Where the gate asks as users do, with the gate's or the burst's monitor, from the machine that runs Terraform: `host:port` or a URL.
   * @default - nowhere: the target group's own health checks are believed
   */
  readonly probe?: string;
  /** Milliseconds that the image's transfer may take. @default - 24 hours */
  readonly transferTimeoutMs?: number;
  /** What the image's transfer may take of the link during a burst, and when. @default - no limit */
  readonly bandwidth?: TransferBandwidth;
}

/** From the decision until members are healthy: a balancer takes minutes, an instance takes one. */
const LAUNCH_ESTIMATE_MS = { withBalancer: 270_000, membersOnly: 120_000 };

/**
 * AWS as the cloud of a burst. A value, not a resource: the burst makes {@link EbsImageReplica}, {@link AwsImage},
 * {@link AwsCloudPool} and {@link AwsGate} of it.
 *
 * @example
 * cloud: new AwsCloud({
 *   vpc, instanceTypes: ["m6i.large", "m5.large"],
 *   tls: { certificateArn }, allowFrom: ["0.0.0.0/0"],
 * })
 */
export class AwsCloud implements CloudPlatform<AwsParts> {
  readonly siteName: string;
  readonly memberCapacityRps?: number;
  readonly policy: Partial<BurstPolicy>;

  constructor(private readonly props: AwsCloudProps) {
    this.siteName = props.site ?? "aws";
    this.memberCapacityRps = props.memberCapacityRps;
    const waits = props.keepLoadBalancer || props.balancer instanceof AwsLoadBalancer;
    this.policy = {
      launchEstimateMs: waits ? LAUNCH_ESTIMATE_MS.membersOnly : LAUNCH_ESTIMATE_MS.withBalancer,
    };
  }

  cloudRules(scope: Construct, burst: BurstPlan): readonly Rule[] {
    const { props } = this;
    const settings = this.poolSettings(burst);
    return [
      nameRule("site", this.siteName),
      balancerNameRule("poolName", props.poolName ?? burst.burstName),
      this.onlyPoolRule(scope, burst),
      rule(
        this.region(scope) !== undefined,
        "region",
        props.region === undefined
          ? "is not known: the stack has no AWS provider with a region written in it"
          : `must be an AWS region, got ${JSON.stringify(props.region)}`,
        'Write it as "eu-central-1", here or in the AwsProvider: the hook looks there.',
      ),
      ...settingsRules(settings),
      ...imageRules(props.machine ?? {}),
      aboveZeroRule("memberCapacityRps", props.memberCapacityRps, "Measure what one member carries."),
      rule(
        burst.gate.monitor === undefined || props.probe !== undefined,
        "probe",
        "is not given, so the gate's `monitor` has nothing to ask",
        "Give the `probe`, or leave the gate's monitor out: the target group's health checks are believed.",
      ),
      rule(
        props.maxMembers === undefined || props.maxMembers >= burst.maxMembers,
        "maxMembers",
        `must be at least the policy's \`maxCloudMembers\` (${burst.maxMembers}), got ${props.maxMembers}`,
        "Leave it out, or raise it.",
      ),
    ];
  }

  buildCloud(scope: Construct, burst: BurstPlan): BuiltCloud<AwsParts> {
    const { props } = this;
    const region = this.region(scope);
    const poolName = props.poolName ?? burst.burstName;
    const replica = new EbsImageReplica(scope, "replica", {
      image: burst.image,
      region,
      site: props.writer,
      retain: props.retainSnapshot,
      transferTimeoutMs: props.transferTimeoutMs,
      bandwidth: props.bandwidth,
      when: burst.whileImage,
    });
    const image = new AwsImage(scope, "image", {
      ...props.machine,
      snapshot: replica,
      imageName: burst.burstName,
      tags: props.tags,
      provider: props.provider,
    });
    const settings = this.poolSettings(burst);
    const pool = new AwsCloudPool(scope, "pool", {
      ...settings,
      poolName,
      image,
      members: burst.members,
      maxMembers: settings.membersAre === "floor" ? (settings.maxMembers ?? burst.maxMembers) : undefined,
      port: burst.home.port,
      hosts: hasSharedListener(props) ? [burst.recordName] : undefined,
      when: burst.whileBurst,
    });
    const gate = new AwsGate(scope, "gate", {
      ...burst.gate,
      monitor: props.probe === undefined ? undefined : (burst.gate.monitor ?? burst.monitor),
      endpoint: props.probe,
      target: pool,
      region,
      recordTtlSeconds: burst.recordTtlSeconds,
    });
    return {
      parts: { replica, image, pool, gate },
      manifest: {
        kind: "aws",
        region: region!,
        autoScalingGroup: poolName,
        targetGroup: poolName,
        loadBalancer: pool.loadBalancerName,
      },
      poolName,
      addresses: {
        replica: addressOf(replica.resource),
        pool: addressOf(pool.group),
        gate: addressOf(gate.resource),
      },
      also: comingAndGoing(image, pool),
      balancer: pool.balancer,
    };
  }

  /** What is not said is as at home. */
  private poolSettings({ home, monitor }: BurstPlan): AwsPoolSettings {
    const { props } = this;
    const { settings } = home;
    const balancer = props.balancer ?? (settings.mode === "tcp" ? "network" : undefined);
    return {
      ...props,
      balancer,
      monitor: props.monitor ?? monitor,
      affinity: props.affinity ?? (isNetwork(balancer) ? undefined : settings.affinity),
      drainTimeoutMs: props.drainTimeoutMs ?? shorter(settings.drainTimeoutMs),
      launchTimeoutMs: props.launchTimeoutMs,
    };
  }

  private region(scope: Construct): string | undefined {
    const region = this.props.region ?? regionOf(scope, this.props.provider);
    return isRegion(region) ? region : undefined;
  }

  /** The pool would say so too, but only after the rest was found right. */
  private onlyPoolRule(scope: Construct, burst: BurstPlan): Rule {
    const name = this.props.poolName ?? burst.burstName;
    const other = TerraformStack.of(scope)
      .node.findAll()
      .find((each) => each instanceof AwsCloudPool && each.poolName === name);
    return rule(
      other === undefined,
      "poolName",
      `must be unique in its stack, got "${name}", which ${other?.node.path} has`,
      "Give one of the two another `poolName`.",
    );
  }
}

/** Home may give members longer than AWS waits. */
function shorter(drainTimeoutMs: number | undefined): number | undefined {
  return drainTimeoutMs === undefined ? undefined : Math.min(drainTimeoutMs, 3_600_000);
}

/** What else a burst's plans touch: whatever is there only while it is out. */
function comingAndGoing(image: AwsImage, pool: AwsCloudPool): Record<string, BurstPart> {
  const conditional = [
    [image.resource, "replica"],
    [pool.launchTemplate, "pool"],
    [pool.loadBalancer, "pool"],
    [pool.listener, "pool"],
    [pool.listenerRule, "pool"],
  ] as const;
  return Object.fromEntries(
    conditional.flatMap(([resource, link]) =>
      resource?.count === undefined ? [] : [[addressOf(resource), link]],
    ),
  );
}
