import { refuse, rule, textRule } from "../../../lib/constructs/validate";

export interface AwsVpcAttributes {
  /** `vpc-0123456789abcdef0` */
  readonly vpcId: string;
  /** Where members run: private subnets, one for each zone. */
  readonly memberSubnetIds: readonly string[];
  /**
   * Where the load balancer stands: public subnets in at least two zones, unless it is internal.
   * @default - the members' subnets
   */
  readonly balancerSubnetIds?: readonly string[];
}

/**
 * A network that is there already: a burst should not wait for one, and a cloud that is to reach home has its routes and its VPN
 * beforehand. A value, not a resource.
 *
 * @example
 * const vpc = AwsVpc.fromAttributes({ vpcId: "vpc-1", memberSubnetIds: ["subnet-1", "subnet-2"] });
 */
export class AwsVpc {
  readonly vpcId: string;
  readonly memberSubnetIds: readonly string[];
  readonly balancerSubnetIds: readonly string[];

  /** @throws SpillwayError, SpillwayErrors on a bad attribute. Each may be a token: of a resource, a data source, a remote state. */
  static fromAttributes(attributes: AwsVpcAttributes): AwsVpc {
    return new AwsVpc(attributes);
  }

  private constructor({ vpcId, memberSubnetIds, balancerSubnetIds = memberSubnetIds }: AwsVpcAttributes) {
    refuse("AwsVpc", [
      textRule("vpcId", vpcId, "Give the VPC's id."),
      rule(
        memberSubnetIds.length > 0,
        "memberSubnetIds",
        "is empty",
        "Give a private subnet of each zone that members may run in.",
      ),
      rule(
        balancerSubnetIds.length > 0,
        "balancerSubnetIds",
        "is empty",
        "Give a public subnet of each zone, or leave it out for a balancer inside.",
      ),
    ]);
    this.vpcId = vpcId;
    this.memberSubnetIds = memberSubnetIds;
    this.balancerSubnetIds = balancerSubnetIds;
  }
}
