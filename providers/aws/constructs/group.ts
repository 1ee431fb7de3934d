import { AutoscalingGroup } from "@cdktf/provider-aws/lib/autoscaling-group";
import type { AutoscalingGroupConfig } from "@cdktf/provider-aws/lib/autoscaling-group";
import type { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template";
import type { Construct } from "constructs";
import type { Condition } from "../../../lib/constructs/condition";
import { hclDuration } from "../../../lib/constructs/durations";
import type { AwsCloudPoolProps } from "./aws-cloud-pool-props";
import { isNetwork } from "./aws-cloud-pool-rules";
import type { PoolBalancer } from "./balancer";
import { attribute, comesAfter, countOf } from "./reference";

/** The members. */
export function makeGroup(
  scope: Construct,
  poolName: string,
  props: AwsCloudPoolProps,
  made: { readonly template: LaunchTemplate; readonly balancer: PoolBalancer; readonly when?: Condition },
  tags: Readonly<Record<string, string>>,
): AutoscalingGroup {
  const { template, balancer } = made;
  const slowStartMs = isNetwork(props.balancer) ? 0 : (props.slowStartMs ?? 30_000);
  const drainTimeoutMs = props.drainTimeoutMs ?? 300_000;
  const group = new AutoscalingGroup(scope, "group", {
    name: poolName,
    vpcZoneIdentifier: [...props.vpc.memberSubnetIds],
    targetGroupArns: [attribute(balancer.targetGroup, "arn")],
    ...sizeOf(props),
    ...launched(props, template),
    healthCheckType: "ELB",
    healthCheckGracePeriod: Math.ceil((props.launchTimeoutMs ?? 180_000) / 1_000),
    defaultInstanceWarmup: Math.ceil(slowStartMs / 1_000),
    waitForCapacityTimeout: hclDuration(props.waitForCapacityTimeoutMs ?? 600_000),
    // A launch that AWS refused is AWS's to try again; it counts only when the time is over.
    ignoreFailedScalingActivities: true,
    warmPool: props.warmPool && {
      minSize: props.warmPool.members,
      poolState: props.warmPool.state ?? "Stopped",
      instanceReusePolicy: { reuseOnScaleIn: false },
    },
    instanceRefresh:
      props.rollOut === false
        ? undefined
        : { strategy: "Rolling", preferences: { minHealthyPercentage: 100, maxHealthyPercentage: 150 } },
    tag: Object.entries(tags).map(([key, value]) => ({ key, value, propagateAtLaunch: true })),
    // Members answer what they have begun before they go.
    timeouts: { delete: hclDuration(drainTimeoutMs + 900_000) },
    count: countOf(made.when),
    provider: props.provider,
  });
  // Without a listener the target group's members are nobody's, and never healthy.
  comesAfter(
    group,
    [balancer.listener, balancer.listenerRule].filter((each) => each !== undefined),
  );
  return group;
}

function sizeOf({
  members,
  membersAre = "desired",
  maxMembers,
}: AwsCloudPoolProps): Pick<
  AutoscalingGroupConfig,
  "minSize" | "maxSize" | "desiredCapacity" | "waitForElbCapacity" | "minElbCapacity" | "lifecycle"
> {
  if (membersAre === "desired") {
    return { minSize: members, maxSize: members, desiredCapacity: members, waitForElbCapacity: members };
  }
  return {
    minSize: members,
    maxSize: maxMembers ?? members,
    minElbCapacity: members,
    // What the scaling policy made of it is not drift.
    lifecycle: { ignoreChanges: ["desired_capacity"] },
  };
}

function launched(
  props: AwsCloudPoolProps,
  template: LaunchTemplate,
): Pick<AutoscalingGroupConfig, "launchTemplate" | "mixedInstancesPolicy" | "capacityRebalance"> {
  // The version's number, not $Latest: a template that changed shows in the plan, and rolls out.
  const version = attribute(template, "latest_version");
  const id = attribute(template, "id");
  // AWS keeps a warm pool only for a group of one type.
  if (props.warmPool) return { launchTemplate: { id, version } };
  const { spot, allocation = "prioritized" } = props;
  return {
    capacityRebalance: spot !== undefined,
    mixedInstancesPolicy: {
      instancesDistribution: {
        onDemandBaseCapacity: 0,
        onDemandPercentageAboveBaseCapacity: 100 - (spot?.sharePercent ?? 0),
        onDemandAllocationStrategy: allocation,
        spotAllocationStrategy: spot?.allocation ?? "capacity-optimized",
      },
      launchTemplate: {
        launchTemplateSpecification: { launchTemplateId: id, version },
        override: props.instanceTypes.map((instanceType) => ({ instanceType })),
      },
    },
  };
}
