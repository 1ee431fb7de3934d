import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import { Token } from "cdktf";
import type { Construct } from "constructs";
import type { AwsCloudPoolProps, AwsEgress } from "./aws-cloud-pool-props";
import { AwsLoadBalancer } from "./load-balancer";
import { attribute } from "./reference";

const HTTPS_ANYWHERE: AwsEgress = { to: "0.0.0.0/0", port: 443 };

export interface PoolSecurity {
  /** Undefined with a balancer that has its own. */
  readonly balancerGroup?: SecurityGroup;
  readonly balancerGroupId: string;
  readonly memberGroup: SecurityGroup;
  readonly rules: readonly (VpcSecurityGroupIngressRule | VpcSecurityGroupEgressRule)[];
}

/** Two groups, closed but for the path of a request: users to balancer, balancer to members. */
export function makeSecurity(
  scope: Construct,
  poolName: string,
  props: AwsCloudPoolProps,
  tags: Readonly<Record<string, string>>,
): PoolSecurity {
  const { vpc, provider, port } = props;
  const group = (id: string, purpose: string, suffix: string) =>
    new SecurityGroup(scope, id, {
      namePrefix: `${poolName}-${suffix}-`,
      description: `${purpose} of ${poolName}`,
      vpcId: vpc.vpcId,
      tags: { ...tags, Name: `${poolName}-${suffix}` },
      lifecycle: { createBeforeDestroy: true },
      provider,
    });
  const memberGroup = group("members-security", "Members", "members");
  const members = attribute(memberGroup, "id");
  const own =
    props.balancer instanceof AwsLoadBalancer ? undefined : group("balancer-security", "Balancer", "lb");
  const balancer =
    props.balancer instanceof AwsLoadBalancer ? props.balancer.securityGroupId : attribute(own!, "id");
  const memberPort = props.memberPort ?? port;
  const tcp = (at: number, purpose: string) => ({
    ipProtocol: "tcp",
    fromPort: at,
    toPort: at,
    // Consoles show a rule's name; its description is not kept by every API where it refers to a group.
    tags: { ...tags, Name: purpose },
    provider,
  });
  const to = props.allowTo ?? (props.ssm ? [HTTPS_ANYWHERE] : []);
  return {
    balancerGroup: own,
    balancerGroupId: balancer,
    memberGroup,
    rules: [
      ...(own ? props.allowFrom : []).map(
        (from, i) =>
          new VpcSecurityGroupIngressRule(scope, `users-${slug(from, i)}`, {
            securityGroupId: balancer,
            ...peer(from),
            ...tcp(port, `${poolName}: users`),
          }),
      ),
      new VpcSecurityGroupEgressRule(scope, "balancer-to-members", {
        securityGroupId: balancer,
        referencedSecurityGroupId: members,
        ...tcp(memberPort, `${poolName}: balancer to members`),
      }),
      new VpcSecurityGroupIngressRule(scope, "members-from-balancer", {
        securityGroupId: members,
        referencedSecurityGroupId: balancer,
        ...tcp(memberPort, `${poolName}: only the balancer`),
      }),
      ...to.map(
        (egress, i) =>
          new VpcSecurityGroupEgressRule(scope, `members-to-${slug(egress.to, i)}-${egress.port}`, {
            securityGroupId: members,
            ...peer(egress.to),
            ...tcp(egress.port, `${poolName}: members`),
          }),
      ),
    ],
  };
}

function peer(network: string) {
  if (/^pl-/.test(network)) return { prefixListId: network };
  return network.includes(":") && !Token.isUnresolved(network)
    ? { cidrIpv6: network }
    : { cidrIpv4: network };
}

/** A rule keeps its address when another is added before it. */
function slug(network: string, index: number): string {
  return Token.isUnresolved(network) ? String(index) : network.replace(/[^0-9a-zA-Z]+/g, "-");
}
