import { request } from "./ask";
import { elements, parseXml, textAt, type XmlElement } from "./xml";

/** Everything that an account holds, of the kinds that a burst makes: one line each, without what differs from one making to the next. */
export type Inventory = readonly string[];

/** Lists what AWS at `endpoint` holds. Instances that are terminated and groups that are being deleted count too, until they are gone. */
export async function inventory(endpoint: string): Promise<Inventory> {
  const lines = await Promise.all([
    ...QUERIES.map((query) => ask(endpoint, query)),
    zones(endpoint),
    checks(endpoint),
  ]);
  return lines.flat().sort();
}

interface Query {
  readonly service: string;
  readonly version: string;
  readonly action: string;
  /** The element that holds the list; its children are the things. */
  readonly list: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly line: (thing: XmlElement) => string | undefined;
}

const EC2 = { service: "ec2", version: "2016-11-15" };
const ELB = { service: "elasticloadbalancing", version: "2015-12-01" };
const IAM = { service: "iam", version: "2010-05-08" };

const QUERIES: readonly Query[] = [
  {
    ...EC2,
    action: "DescribeInstances",
    list: "instancesSet",
    line: (one) => {
      const state = textAt(one, "instanceState", "name");
      return state === "terminated"
        ? undefined
        : `instance ${state} of ${tagOf(one, "aws:autoscaling:groupName")}`;
    },
  },
  {
    ...EC2,
    action: "DescribeVolumes",
    list: "volumeSet",
    line: (one) => `volume ${textAt(one, "size")} GiB`,
  },
  {
    ...EC2,
    action: "DescribeSnapshots",
    list: "snapshotSet",
    parameters: { "Owner.1": "self" },
    line: (one) =>
      `snapshot ${textAt(one, "status")} ${textAt(one, "volumeSize")} GiB ${textAt(one, "description")}`,
  },
  {
    ...EC2,
    action: "DescribeImages",
    list: "imagesSet",
    parameters: { "Owner.1": "self" },
    line: (one) => `image ${textAt(one, "name")}`,
  },
  {
    ...EC2,
    action: "DescribeLaunchTemplates",
    list: "launchTemplates",
    line: (one) => `launch template ${textAt(one, "launchTemplateName")}`,
  },
  {
    ...EC2,
    action: "DescribeSecurityGroups",
    list: "securityGroupInfo",
    line: (one) => `security group ${textAt(one, "groupName")}`,
  },
  {
    ...EC2,
    action: "DescribeSecurityGroupRules",
    list: "securityGroupRuleSet",
    line: (one) =>
      `security group rule ${textAt(one, "isEgress") === "true" ? "out" : "in"} ${textAt(one, "ipProtocol")} ${textAt(one, "fromPort")}-${textAt(one, "toPort")} ${textAt(one, "description")}`,
  },
  {
    ...{ service: "autoscaling", version: "2011-01-01" },
    action: "DescribeAutoScalingGroups",
    list: "AutoScalingGroups",
    line: (one) => `group ${textAt(one, "AutoScalingGroupName")} of ${textAt(one, "DesiredCapacity")}`,
  },
  {
    ...ELB,
    action: "DescribeLoadBalancers",
    list: "LoadBalancers",
    line: (one) => `load balancer ${textAt(one, "LoadBalancerName")}`,
  },
  {
    ...ELB,
    action: "DescribeTargetGroups",
    list: "TargetGroups",
    line: (one) => `target group ${textAt(one, "TargetGroupName")}`,
  },
  { ...IAM, action: "ListRoles", list: "Roles", line: (one) => `role ${textAt(one, "RoleName")}` },
  {
    ...IAM,
    action: "ListInstanceProfiles",
    list: "InstanceProfiles",
    line: (one) => `instance profile ${textAt(one, "InstanceProfileName")}`,
  },
  {
    ...IAM,
    action: "ListPolicies",
    list: "Policies",
    parameters: { Scope: "Local" },
    line: (one) => `policy ${textAt(one, "PolicyName")}`,
  },
];

/** What is on the later pages of a list too: each service has its own word for it. */
const NEXT: readonly (readonly [answered: string, asked: string])[] = [
  ["nextToken", "NextToken"],
  ["NextToken", "NextToken"],
  ["NextMarker", "Marker"],
  ["Marker", "Marker"],
];

async function ask(endpoint: string, query: Query): Promise<string[]> {
  const lines: string[] = [];
  let more: Readonly<Record<string, string>> = {};
  for (;;) {
    const form = { Action: query.action, Version: query.version, ...query.parameters, ...more };
    const answer = parseXml(await request(endpoint, query.service, form));
    for (const list of elements(answer, query.list))
      for (const thing of list.children) {
        const line = query.line(thing);
        if (line !== undefined) lines.push(line.trim());
      }
    if (query.action === "DescribeLoadBalancers") lines.push(...(await listeners(endpoint, answer)));
    const next = NEXT.flatMap(([answered, asked]) =>
      elements(answer, answered).map(({ text }) => [asked, text] as const),
    ).find(([, text]) => text !== "");
    if (!next) return lines;
    more = Object.fromEntries([next]);
  }
}

async function listeners(endpoint: string, balancers: XmlElement): Promise<string[]> {
  const lines: string[] = [];
  for (const { text: arn } of elements(balancers, "LoadBalancerArn")) {
    const form = { Action: "DescribeListeners", Version: ELB.version, LoadBalancerArn: arn };
    const answer = parseXml(await request(endpoint, ELB.service, form));
    lines.push(...elements(answer, "Port").map(({ text }) => `listener at ${text}`));
  }
  return lines;
}

async function zones(endpoint: string): Promise<string[]> {
  const lines: string[] = [];
  const list = parseXml(
    await request(endpoint, "route53", undefined, "/2013-04-01/hostedzone?maxitems=1000"),
  );
  for (const zone of elements(list, "HostedZone")) {
    const id = textAt(zone, "Id").replace("/hostedzone/", "");
    lines.push(`zone ${textAt(zone, "Name")}`);
    let from = "";
    for (;;) {
      const answer = parseXml(
        await request(
          endpoint,
          "route53",
          undefined,
          `/2013-04-01/hostedzone/${id}/rrset?maxitems=300${from}`,
        ),
      );
      for (const set of elements(answer, "ResourceRecordSet"))
        lines.push(
          `record ${textAt(set, "Name")} ${textAt(set, "Type")} ${textAt(set, "SetIdentifier")} ${textAt(set, "Weight")}`.trim(),
        );
      if (textAt(answer, "IsTruncated") !== "true") break;
      const [name, type, identifier] = ["NextRecordName", "NextRecordType", "NextRecordIdentifier"].map(
        (next) => encodeURIComponent(textAt(answer, next)),
      );
      from = `&name=${name}&type=${type}${identifier ? `&identifier=${identifier}` : ""}`;
    }
  }
  return lines;
}

async function checks(endpoint: string): Promise<string[]> {
  const answer = parseXml(
    await request(endpoint, "route53", undefined, "/2013-04-01/healthcheck?maxitems=1000"),
  );
  return elements(answer, "HealthCheck").map(
    (check) =>
      `health check ${textAt(check, "HealthCheckConfig", "Type")} ${textAt(check, "HealthCheckConfig", "FullyQualifiedDomainName") || textAt(check, "HealthCheckConfig", "IPAddress")}`,
  );
}

function tagOf(thing: XmlElement, key: string): string {
  const tag = elements(thing, "tagSet")
    .flatMap(({ children }) => children)
    .find((item) => textAt(item, "key") === key);
  return tag ? textAt(tag, "value") : "no group";
}
