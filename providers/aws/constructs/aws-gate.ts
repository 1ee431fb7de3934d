import type { TerraformResource } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import { Gate as GateBinding } from "../../../lib/constructs/bindings/gate";
import type { Condition } from "../../../lib/constructs/condition";
import { hclDuration } from "../../../lib/constructs/durations";
import type { GateTuning } from "../../../lib/constructs/gate";
import { gateRules } from "../../../lib/constructs/gate";
import { SpillwayProvider } from "../../../lib/constructs/spillway-provider";
import { refuse, rule, textRule } from "../../../lib/constructs/validate";
import { attribute, comesAfter, countOf } from "./reference";
import { isRegion } from "./region";

/** What a gate watches: a pool of ours, or whatever a target group of yours has behind it. */
export interface AwsGateTarget {
  readonly targetGroupArn: string;
  /**
   * Through which users come: its connections and requests hold the gate.
   * @default - the balancer that the target group is attached to
   */
  readonly loadBalancerArn?: string;
  /**
   * Its desired capacity is how many members are waited for.
   * @default - `minMembers`, or 1
   */
  readonly autoScalingGroupName?: string;
  /** What must be there before the gate is made. @default - nothing */
  readonly links?: readonly TerraformResource[];
  readonly condition?: Condition;
}

export interface AwsGateProps extends GateTuning {
  /** What stands behind the gate: an `AwsCloudPool`, or ARNs. */
  readonly target: AwsGateTarget;
  /**
   * `eu-central-1`
   * @default - the region in `targetGroupArn`
   */
  readonly region?: string;
  /**
   * Where `monitor` asks, from the machine that runs Terraform: `host:port`, or a URL without a path.
   * @default - nowhere: the target group's own health checks are believed
   */
  readonly endpoint?: string;
  /**
   * Seconds for which stale answers of the record may live after its change. An alias record's are AWS's own: 60.
   * @default 60
   */
  readonly recordTtlSeconds?: number;
  /**
   * The gate is there only while this is true.
   * @default - while its target is
   */
  readonly when?: Condition;
}

/** What users must pass to reach a pool in AWS. */
export interface IAwsGate extends IConstruct {
  readonly resource: TerraformResource;
  readonly condition?: Condition;
}

/**
 * Opens (is created) when enough targets are healthy, closes (is destroyed) when the load balancer has no users left. It stands by
 * itself too: a target group that somebody else made can be guarded by it.
 *
 * @example
 * new AwsGate(stack, "gate", { target: pool, region: "eu-central-1" });
 */
export class AwsGate extends Construct implements IAwsGate {
  /** The generated class, for what this one does not offer. */
  readonly resource: GateBinding;
  readonly gateId: string;
  readonly condition?: Condition;

  /** @throws SpillwayError, SpillwayErrors on bad props */
  constructor(scope: Construct, id: string, props: AwsGateProps) {
    super(scope, id);
    const { target, openTimeoutMs, closeTimeoutMs } = props;
    refuse(this.node.path, [
      ...gateRules(props, Number.MAX_SAFE_INTEGER, props.recordTtlSeconds),
      textRule("target.targetGroupArn", target.targetGroupArn, "Give the target group's ARN."),
      rule(
        props.region === undefined || isRegion(props.region),
        "region",
        `must be an AWS region, got ${JSON.stringify(props.region)}`,
        "Write it as eu-central-1.",
      ),
      rule(
        props.monitor === undefined || props.endpoint !== undefined,
        "monitor",
        "is given, but no `endpoint` that it could ask",
        "Give the `endpoint` too, or leave both out: the target group's health checks are believed.",
      ),
    ]);
    SpillwayProvider.of(this);
    this.condition = props.when ?? target.condition;
    this.resource = new GateBinding(this, "Resource", {
      aws: {
        region: props.region,
        targetGroupArn: target.targetGroupArn,
        loadBalancerArn: target.loadBalancerArn,
        autoScalingGroup: target.autoScalingGroupName,
        endpoint: props.endpoint,
      },
      monitor: props.monitor?.render(),
      successes: props.successes,
      minMembers: props.minMembers,
      openWhen: props.openWhen && { ...props.openWhen },
      users: props.users && { ...props.users },
      quietPeriod: hclDuration(props.quietPeriodMs),
      recordTtl: props.recordTtlSeconds ?? 60,
      onDeadline: props.onDeadline,
      timeouts:
        openTimeoutMs === undefined && closeTimeoutMs === undefined
          ? undefined
          : { create: hclDuration(openTimeoutMs), delete: hclDuration(closeTimeoutMs) },
      count: countOf(this.condition),
    });
    comesAfter(this.resource, target.links ?? []);
    this.gateId = attribute(this.resource, "id");
  }
}
