import type { AutoscalingGroup } from "@cdktf/provider-aws/lib/autoscaling-group";
import type { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import type { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import type { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template";
import type { Lb } from "@cdktf/provider-aws/lib/lb";
import type { LbListener } from "@cdktf/provider-aws/lib/lb-listener";
import type { LbListenerRule } from "@cdktf/provider-aws/lib/lb-listener-rule";
import type { LbTargetGroup } from "@cdktf/provider-aws/lib/lb-target-group";
import type { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { TerraformStack } from "cdktf";
import type { TerraformResource } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import type { Condition } from "../../../lib/constructs/condition";
import { refuse, rule } from "../../../lib/constructs/validate";
import type { Rule } from "../../../lib/constructs/validate";
import type { AwsCloudPoolProps } from "./aws-cloud-pool-props";
import { poolRules } from "./aws-cloud-pool-rules";
import { makeBalancer } from "./balancer";
import { makeGroup } from "./group";
import { makeIdentity } from "./identity";
import { makeLaunchTemplate } from "./launch";
import { attribute } from "./reference";
import { makeSecurity } from "./security";

/** Members behind a load balancer in AWS. */
export interface IAwsCloudPool extends IConstruct {
  readonly poolName: string;
  /** For a gate. */
  readonly targetGroupArn: string;
  readonly loadBalancerArn: string;
  readonly autoScalingGroupName: string;
  /** For an alias record. */
  readonly balancer: { readonly dnsName: string; readonly zoneId: string };
  /** What must be there before users are let in. */
  readonly links: readonly TerraformResource[];
  /** When it is there; undefined for always. */
  readonly condition?: Condition;
}

/**
 * The pool in AWS: an Auto Scaling group behind a load balancer, closed but for the path of a request. It comes and goes with its
 * image; what costs nothing (security groups, target group, identity) stays.
 *
 * The ids of its children (`members-security`, `balancer-security`, `role`, `profile`, `launch-template`, `target-group`,
 * `load-balancer`, `listener`, `listener-rule`, `group`) are a contract.
 *
 * @example
 * const pool = new AwsCloudPool(stack, "shop", {
 *   image, vpc, members: 3, port: 443,
 *   instanceTypes: ["m6i.large", "m5.large"],
 *   tls: { certificateArn }, allowFrom: ["0.0.0.0/0"],
 * });
 */
export class AwsCloudPool extends Construct implements IAwsCloudPool {
  readonly poolName: string;
  readonly group: AutoscalingGroup;
  readonly launchTemplate: LaunchTemplate;
  readonly targetGroup: LbTargetGroup;
  /** Undefined with a balancer that is there already. */
  readonly loadBalancer?: Lb;
  /** Undefined with a listener that is there already. */
  readonly listener?: LbListener;
  /** Only with a listener that is there already. */
  readonly listenerRule?: LbListenerRule;
  readonly memberSecurityGroup: SecurityGroup;
  /** Undefined with a balancer that is there already. */
  readonly balancerSecurityGroup?: SecurityGroup;
  /** Undefined when members ask nothing of AWS. */
  readonly role?: IamRole;
  readonly instanceProfile?: IamInstanceProfile;
  readonly targetGroupArn: string;
  readonly loadBalancerArn: string;
  readonly loadBalancerName: string;
  readonly autoScalingGroupName: string;
  readonly balancer: { readonly dnsName: string; readonly zoneId: string };
  readonly links: readonly TerraformResource[];
  readonly condition?: Condition;

  /** @throws SpillwayError, SpillwayErrors with all that is wrong in the props */
  constructor(scope: Construct, id: string, props: AwsCloudPoolProps) {
    super(scope, id);
    this.poolName = props.poolName ?? id;
    refuse(this.node.path, [...poolRules(props, this.poolName), this.onlyOneRule()]);
    const name = this.poolName;
    const when = props.when ?? props.image.condition;
    const tags = { Name: name, "spillway:pool": name, ...props.tags };

    const security = makeSecurity(this, name, props, tags);
    const identity = makeIdentity(this, name, props, tags);
    const template = makeLaunchTemplate(
      this,
      name,
      props,
      { security, identity, when: props.image.condition ?? when },
      tags,
    );
    const balancer = makeBalancer(this, name, props, { security, when }, tags);
    const group = makeGroup(this, name, props, { template, balancer, when }, tags);

    this.condition = when;
    this.group = group;
    this.launchTemplate = template;
    this.targetGroup = balancer.targetGroup;
    this.loadBalancer = balancer.loadBalancer;
    this.listener = balancer.listener;
    this.listenerRule = balancer.listenerRule;
    this.memberSecurityGroup = security.memberGroup;
    this.balancerSecurityGroup = security.balancerGroup;
    this.role = identity?.role;
    this.instanceProfile = identity?.profile;
    this.targetGroupArn = attribute(balancer.targetGroup, "arn");
    this.loadBalancerArn = balancer.arn;
    this.loadBalancerName = balancer.name;
    this.autoScalingGroupName = attribute(group, "name");
    this.balancer = { dnsName: balancer.dnsName, zoneId: balancer.zoneId };
    this.links = [group, balancer.listener, balancer.listenerRule].filter((each) => each !== undefined);
  }

  /** Names of groups and balancers are an account's in a region. */
  private onlyOneRule(): Rule {
    const other = TerraformStack.of(this)
      .node.findAll()
      .find((each) => each instanceof AwsCloudPool && each !== this && each.poolName === this.poolName);
    return rule(
      other === undefined,
      "poolName",
      `must be unique in its stack, got "${this.poolName}", which ${other?.node.path} has`,
      "Give one of the two another `poolName`.",
    );
  }
}
