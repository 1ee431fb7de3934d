import { refuse, rule, textRule } from "../../../lib/constructs/validate";

const ARN =
  /^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer\/(app|net)\/([A-Za-z0-9-]{1,32})\/[0-9a-z]+$/;

export interface AwsLoadBalancerAttributes {
  /** `shop-123.eu-central-1.elb.amazonaws.com` */
  readonly dnsName: string;
  /** The zone of that name, which is AWS's: `Z215JYRZR1TBD5`. */
  readonly zoneId: string;
  /** The security group that it has: members let nobody else in. */
  readonly securityGroupId: string;
  /**
   * A listener that others use as well: requests for the burst's host name are forwarded by a rule on it. Only of an application load
   * balancer.
   * @default - a listener of the burst's own is made, at its port
   */
  readonly listenerArn?: string;
}

/**
 * A load balancer that is there already, and that nobody waits for when a burst begins. A value, not a resource.
 *
 * @example
 * const shared = AwsLoadBalancer.fromArn("arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/edge/50dc6c495c0c9188", {
 *   dnsName: "edge-1.eu-central-1.elb.amazonaws.com",
 *   zoneId: "Z215JYRZR1TBD5",
 *   securityGroupId: "sg-0123456789abcdef0",
 * });
 */
export class AwsLoadBalancer {
  readonly name: string;
  readonly kind: "application" | "network";
  readonly dnsName: string;
  readonly zoneId: string;
  readonly securityGroupId: string;
  readonly listenerArn?: string;

  /**
   * @param arn must be known when the program runs: the hook looks the balancer up by the name in it
   * @throws SpillwayError, SpillwayErrors on a bad ARN or attribute. The attributes may be tokens.
   */
  static fromArn(arn: string, attributes: AwsLoadBalancerAttributes): AwsLoadBalancer {
    return new AwsLoadBalancer(arn, attributes);
  }

  private constructor(
    readonly arn: string,
    attributes: AwsLoadBalancerAttributes,
  ) {
    const [, kind, name = ""] = ARN.exec(arn) ?? [];
    refuse("AwsLoadBalancer", [
      rule(
        kind !== undefined,
        "arn",
        `must be the ARN of an application or network load balancer, got ${JSON.stringify(arn)}`,
        "Write it out, as arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID.",
      ),
      textRule("dnsName", attributes.dnsName, "Give the name that AWS gave it."),
      textRule("zoneId", attributes.zoneId, "Give its canonical hosted zone's id."),
      textRule("securityGroupId", attributes.securityGroupId, "Give the security group that it has."),
      rule(
        kind !== "net" || attributes.listenerArn === undefined,
        "listenerArn",
        "is given for a network load balancer, whose listeners forward to one target group only",
        "Leave it out: a listener is made at the pool's port.",
      ),
    ]);
    this.name = name;
    this.kind = kind === "net" ? "network" : "application";
    this.dnsName = attributes.dnsName;
    this.zoneId = attributes.zoneId;
    this.securityGroupId = attributes.securityGroupId;
    this.listenerArn = attributes.listenerArn;
  }
}
