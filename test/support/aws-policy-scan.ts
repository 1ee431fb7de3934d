/**
 * A policy scan of what a stack declares, or of a plan's `planned_values`. No scanner of others (Checkov, Trivy, tfsec, KICS, Conftest)
 * is to be had from npm or Debian, so the published rules of high severity for what our constructs make are written down here, each
 * under its id in Checkov and in AWS's Foundational Security Best Practices.
 */
export interface ScannedResource {
  readonly type: string;
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface Finding {
  readonly id: string;
  readonly resource: string;
}

interface PolicyRule {
  readonly id: string;
  readonly type: string;
  readonly holds: (values: Values) => boolean;
}

type Values = Readonly<Record<string, unknown>>;

/** Blocks are lists in plans, and objects in what CDKTF writes. */
function block(value: unknown): Values {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "object" && first !== null ? (first as Values) : {};
}

const ANYWHERE = ["0.0.0.0/0", "::/0"];
const open = (values: Values) =>
  ANYWHERE.includes(String(values["cidr_ipv4"])) || ANYWHERE.includes(String(values["cidr_ipv6"]));
const covers = (values: Values, port: number) =>
  values["ip_protocol"] === "-1" ||
  (Number(values["from_port"]) <= port && port <= Number(values["to_port"]));
const encrypted = (values: Values) =>
  String(block(block(values["block_device_mappings"])["ebs"])["encrypted"]) === "true";

const RULES: readonly PolicyRule[] = [
  {
    id: "CKV_AWS_79 / EC2.170 / AutoScaling.3: IMDSv2 is required",
    type: "aws_launch_template",
    holds: (values) => block(values["metadata_options"])["http_tokens"] === "required",
  },
  {
    id: "CKV_AWS_341 / AutoScaling.4: metadata is at most one hop away",
    type: "aws_launch_template",
    holds: (values) => block(values["metadata_options"])["http_put_response_hop_limit"] === 1,
  },
  { id: "CKV_AWS_8 / EC2.7: disks are encrypted", type: "aws_launch_template", holds: encrypted },
  {
    id: "CKV_AWS_88 / EC2.25: members have no public address",
    type: "aws_launch_template",
    holds: (values) => String(block(values["network_interfaces"])["associate_public_ip_address"]) !== "true",
  },
  {
    id: "CKV_AWS_46: no secret in user data",
    type: "aws_launch_template",
    holds: (values) =>
      !/AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY/.test(
        Buffer.from(String(values["user_data"] ?? ""), "base64").toString("latin1"),
      ),
  },
  {
    id: "CKV_AWS_131 / ELB.4: invalid headers are dropped",
    type: "aws_lb",
    holds: (values) =>
      values["load_balancer_type"] === "network" || values["drop_invalid_header_fields"] === true,
  },
  {
    id: "CKV_AWS_328 / ELB.12: requests are desynchronised by nobody",
    type: "aws_lb",
    holds: (values) =>
      values["load_balancer_type"] === "network" ||
      ["defensive", "strictest"].includes(String(values["desync_mitigation_mode"])),
  },
  {
    id: "CKV_AWS_2 / ELB.1: users come over TLS",
    type: "aws_lb_listener",
    holds: (values) => ["HTTPS", "TLS"].includes(String(values["protocol"])),
  },
  {
    id: "CKV_AWS_103 / ELB.17: TLS 1.2 at least",
    type: "aws_lb_listener",
    holds: (values) =>
      !["HTTPS", "TLS"].includes(String(values["protocol"])) ||
      /TLS-?1-2|TLS13-1-[23]/.test(String(values["ssl_policy"])),
  },
  ...[22, 3389].map((port) => ({
    id: `CKV_AWS_${port === 22 ? 24 : 25} / EC2.${port === 22 ? 13 : 14}: port ${port} is open to nobody`,
    type: "aws_vpc_security_group_ingress_rule",
    holds: (values: Values) => !(open(values) && covers(values, port)),
  })),
  {
    id: "CKV_AWS_260 / EC2.18: only the port that is served is open to all",
    type: "aws_vpc_security_group_ingress_rule",
    holds: (values) =>
      !open(values) || (values["ip_protocol"] === "tcp" && values["from_port"] === values["to_port"]),
  },
  {
    id: "CKV_AWS_382: nothing may connect to everywhere at every port",
    type: "aws_vpc_security_group_egress_rule",
    holds: (values) => !(open(values) && values["ip_protocol"] === "-1"),
  },
  {
    id: "CKV_AWS_23: groups say what they are for",
    type: "aws_security_group",
    holds: (values) => String(values["description"] ?? "") !== "" && values["ingress"] === undefined,
  },
  {
    id: "CKV_AWS_60: only EC2 takes the members' role",
    type: "aws_iam_role",
    holds: (values) => {
      const policy = String(values["assume_role_policy"]);
      return policy.includes("ec2.amazonaws.com") && !/"AWS"\s*:\s*"\*"/.test(policy);
    },
  },
  {
    id: "CKV_AWS_274 / IAM.1: no administrator",
    type: "aws_iam_role_policy_attachment",
    holds: (values) => !/AdministratorAccess$/.test(String(values["policy_arn"])),
  },
  {
    id: "CKV_AWS_315 / AutoScaling.9: groups are launched from a template",
    type: "aws_autoscaling_group",
    holds: (values) => values["launch_configuration"] == null,
  },
  {
    id: "CKV_AWS_153 / AutoScaling.1: members are judged by the balancer",
    type: "aws_autoscaling_group",
    holds: (values) => values["health_check_type"] === "ELB",
  },
  {
    id: "AutoScaling.2: members are in several zones",
    type: "aws_autoscaling_group",
    holds: (values) => ((values["vpc_zone_identifier"] as unknown[] | undefined) ?? []).length >= 2,
  },
  {
    id: "AutoScaling.6: of several instance types, so that one that is short stops nothing",
    type: "aws_autoscaling_group",
    holds: (values) => values["mixed_instances_policy"] !== undefined,
  },
  {
    id: "CKV_AWS_261: targets are judged by their health",
    type: "aws_lb_target_group",
    holds: (values) => block(values["health_check"])["enabled"] === true,
  },
];

/** How many resources a rule was asked of, so that a scan of nothing is not taken for a good one. */
export function scan(resources: readonly ScannedResource[]): { findings: Finding[]; asked: number } {
  const asked = resources.flatMap((resource) =>
    RULES.filter(({ type }) => type === resource.type).map((policy) => ({ resource, policy })),
  );
  return {
    asked: asked.length,
    findings: asked
      .filter(({ resource, policy }) => !policy.holds(resource.values))
      .map(({ resource, policy }) => ({ id: policy.id, resource: `${resource.type}.${resource.name}` })),
  };
}

/** Of `cdk.tf.json`. */
export function declared(
  resource: Readonly<Record<string, Readonly<Record<string, Values>>>>,
): ScannedResource[] {
  return Object.entries(resource).flatMap(([type, all]) =>
    Object.entries(all).map(([name, values]) => ({ type, name, values })),
  );
}
