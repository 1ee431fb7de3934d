import { SpillwayError } from "../../../lib/errors";

/** A target group by its ARN. */
export interface TargetGroupName {
  readonly arn: string;
  readonly region: string;
  readonly name: string;
  /** What CloudWatch calls it: `targetgroup/shop/73e2d6bc24d8a067`. */
  readonly dimension: string;
}

/** A load balancer by its ARN. */
export interface LoadBalancerName {
  readonly arn: string;
  readonly region: string;
  readonly name: string;
  readonly kind: LoadBalancerKind;
  /** What CloudWatch calls it: `app/shop/50dc6c495c0c9188`. */
  readonly dimension: string;
}

/** `app`: an Application Load Balancer (HTTP). `net`: a Network Load Balancer (TCP, UDP, TLS). */
export type LoadBalancerKind = "app" | "net";

const TARGET_GROUP =
  /^arn:[a-z0-9-]+:elasticloadbalancing:([a-z0-9-]+):\d*:(targetgroup\/([A-Za-z0-9-]+)\/[A-Za-z0-9]+)$/;
const LOAD_BALANCER =
  /^arn:[a-z0-9-]+:elasticloadbalancing:([a-z0-9-]+):\d*:loadbalancer\/((app|net)\/([A-Za-z0-9-]+)\/[A-Za-z0-9]+)$/;

/**
 * A balancer by its ARN, and of the kind that it says itself. Undefined if it is of a kind whose users nobody counts. Pure.
 * @param type what DescribeLoadBalancers calls it; the ARN decides when that is not known
 */
export function countedBalancer(arn: string, type: string | undefined): LoadBalancerName | undefined {
  const parsed = tryParseLoadBalancerArn(arn);
  if (!parsed || type === "gateway") return undefined;
  return type === undefined ? parsed : { ...parsed, kind: type === "network" ? "net" : "app" };
}

/** Undefined if it is none. Pure. */
export function tryParseTargetGroupArn(arn: string): TargetGroupName | undefined {
  const [, region, dimension, name] = TARGET_GROUP.exec(arn) ?? [];
  if (region === undefined || dimension === undefined || name === undefined) return undefined;
  return { arn, region, name, dimension };
}

/** Undefined if it is none, or of a kind whose users nobody counts (gateway, classic). Pure. */
export function tryParseLoadBalancerArn(arn: string): LoadBalancerName | undefined {
  const [, region, dimension, kind, name] = LOAD_BALANCER.exec(arn) ?? [];
  if (region === undefined || dimension === undefined || name === undefined) return undefined;
  return { arn, region, name, dimension, kind: kind === "net" ? "net" : "app" };
}

/** @throws SpillwayError if it is none */
export function parseTargetGroupArn(arn: string): TargetGroupName {
  const parsed = tryParseTargetGroupArn(arn);
  if (parsed) return parsed;
  throw new SpillwayError({
    place: `target group "${arn}"`,
    problem: `"${arn}" is not a target group's ARN`,
    mend: "Refer to the `arn` of an aws_lb_target_group.",
    attribute: ["aws", "target_group_arn"],
  });
}

/** @throws SpillwayError if it is none */
export function parseLoadBalancerArn(arn: string): LoadBalancerName {
  const parsed = tryParseLoadBalancerArn(arn);
  if (parsed) return parsed;
  throw new SpillwayError({
    place: `load balancer "${arn}"`,
    problem: `"${arn}" is not the ARN of an Application or Network Load Balancer`,
    mend: "Refer to the `arn` of an aws_lb of type application or network.",
    attribute: ["aws", "load_balancer_arn"],
  });
}
