import {
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
  type AutoScalingGroup,
} from "@aws-sdk/client-auto-scaling";
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  type LoadBalancer,
  type TargetGroup,
  type TargetHealthDescription,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { QueryError } from "../../../lib/observers";
import type { ObserverClients } from "./clients";
import { ask } from "./clients";
import { isAbsent } from "./errors";
import { launchProblem } from "./health";

/** Who asks what, where. */
export interface Asking {
  readonly clients: ObserverClients;
  readonly place: string;
  readonly signal: AbortSignal;
}

/** By ARN, or by name. Undefined: there is none. @throws QueryError, AbortedError */
export async function findTargetGroup(
  { clients, place, signal }: Asking,
  by: { readonly arn: string } | { readonly name: string },
): Promise<TargetGroup | undefined> {
  const command = new DescribeTargetGroupsCommand(
    "arn" in by ? { TargetGroupArns: [by.arn] } : { Names: [by.name] },
  );
  const { TargetGroups } = await ask(
    { place, action: "elasticloadbalancing:DescribeTargetGroups", signal },
    (options) => clients.balancing.send(command, options),
    (error) => (isAbsent(error) ? { TargetGroups: [], $metadata: {} } : undefined),
  );
  return TargetGroups?.[0];
}

/** Target groups behind a balancer. @throws QueryError, AbortedError */
export async function groupsBehind(
  { clients, place, signal }: Asking,
  arn: string,
): Promise<readonly string[]> {
  const { TargetGroups = [] } = await ask(
    { place, action: "elasticloadbalancing:DescribeTargetGroups", signal },
    (options) => clients.balancing.send(new DescribeTargetGroupsCommand({ LoadBalancerArn: arn }), options),
    (error) => (isAbsent(error) ? { TargetGroups: [], $metadata: {} } : undefined),
  );
  return TargetGroups.map(({ TargetGroupArn = "" }) => TargetGroupArn);
}

/** A balancer, by ARN or by name. Undefined: there is none. @throws QueryError, AbortedError */
export async function findLoadBalancer(
  { clients, place, signal }: Asking,
  by: { readonly arn: string } | { readonly name: string },
): Promise<LoadBalancer | undefined> {
  const command = new DescribeLoadBalancersCommand(
    "arn" in by ? { LoadBalancerArns: [by.arn] } : { Names: [by.name] },
  );
  const { LoadBalancers } = await ask(
    { place, action: "elasticloadbalancing:DescribeLoadBalancers", signal },
    (options) => clients.balancing.send(command, options),
    (error) => (isAbsent(error) ? { LoadBalancers: [], $metadata: {} } : undefined),
  );
  return LoadBalancers?.[0];
}

/** Undefined: there is no such target group. @throws QueryError, AbortedError */
export async function targetHealth(
  { clients, place, signal }: Asking,
  arn: string,
): Promise<readonly TargetHealthDescription[] | undefined> {
  const answer = await ask<{ TargetHealthDescriptions?: TargetHealthDescription[] } | "absent">(
    { place, action: "elasticloadbalancing:DescribeTargetHealth", signal },
    (options) => clients.balancing.send(new DescribeTargetHealthCommand({ TargetGroupArn: arn }), options),
    (error) => (isAbsent(error) ? "absent" : undefined),
  );
  return answer === "absent" ? undefined : (answer.TargetHealthDescriptions ?? []);
}

/** Undefined: there is no such group. @throws QueryError, AbortedError */
export async function scalingGroup(
  { clients, place, signal }: Asking,
  name: string,
): Promise<AutoScalingGroup | undefined> {
  const command = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] });
  const { AutoScalingGroups } = await ask(
    { place, action: "autoscaling:DescribeAutoScalingGroups", signal },
    (options) => clients.scaling.send(command, options),
  );
  return AutoScalingGroups?.find(({ AutoScalingGroupName }) => AutoScalingGroupName === name);
}

/** Why instances do not come, as far as it can be told: whoever may not ask for it goes without. @throws AbortedError */
export async function whyNotLaunched(
  { clients, place, signal }: Asking,
  { AutoScalingGroupName, DesiredCapacity = 0, Instances = [] }: AutoScalingGroup,
): Promise<string | undefined> {
  const inService = Instances.filter(({ LifecycleState }) => LifecycleState === "InService").length;
  if (inService >= DesiredCapacity) return undefined;
  const command = new DescribeScalingActivitiesCommand({ AutoScalingGroupName, MaxRecords: 10 });
  try {
    const { Activities = [] } = await ask(
      { place, action: "autoscaling:DescribeScalingActivities", signal },
      (options) => clients.scaling.send(command, options),
    );
    return launchProblem(Activities);
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return undefined;
  }
}
