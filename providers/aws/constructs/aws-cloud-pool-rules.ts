import { isIP } from "node:net";
import { Token } from "cdktf";
import { durationRule, portRule, rule, textRule, wholeRule } from "../../../lib/constructs/validate";
import type { Rule } from "../../../lib/constructs/validate";
import type { AwsCloudPoolProps, AwsPoolSettings } from "./aws-cloud-pool-props";
import { AwsLoadBalancer } from "./load-balancer";
import { tagRules } from "./tags";

const INSTANCE_TYPE = /^[a-z][a-z0-9-]*\.(nano|micro|small|medium|large|metal|\d*xlarge|metal-\d+xl)$/;
const CERTIFICATE = /^arn:aws[a-z-]*:(acm|iam):/;
const POLICY = /^arn:aws[a-z-]*:iam::(aws|\d{12}):policy\//;

/** Everything that is wrong with a pool's props. */
export function poolRules(props: AwsCloudPoolProps, poolName: string): readonly Rule[] {
  const { members, maxMembers } = props;
  return [
    balancerNameRule("poolName", poolName),
    wholeRule("members", members, 1, "To have no members, leave the pool out, or use `when`."),
    portRule("port", props.port),
    ...settingsRules(props),
    rule(
      props.membersAre !== "floor" || maxMembers !== undefined,
      "maxMembers",
      "is needed when `membersAre` is floor",
      "Give the most that your scaling policy may have.",
    ),
    rule(
      maxMembers === undefined ||
        Token.isUnresolved(maxMembers) ||
        Token.isUnresolved(members) ||
        maxMembers >= members,
      "maxMembers",
      `must be at least \`members\` (${members}), got ${maxMembers}`,
      "Raise it.",
    ),
    rule(
      hasSharedListener(props) === (props.hosts ?? []).length > 0,
      "hosts",
      hasSharedListener(props)
        ? "is empty, but the listener is shared"
        : "is given, but the listener is the pool's own",
      hasSharedListener(props)
        ? "Give the host names that are forwarded to this pool."
        : "Leave it out: everything that comes to the balancer is forwarded.",
    ),
  ];
}

/** What can be told without image, port and members; a burst has those itself. */
export function settingsRules(settings: AwsPoolSettings): readonly Rule[] {
  const network = isNetwork(settings.balancer);
  const { instanceTypes, slowStartMs } = settings;
  return [
    rule(instanceTypes.length > 0, "instanceTypes", "is empty", "Give at least one, such as m6i.large."),
    ...instanceTypes.map((type) =>
      rule(
        Token.isUnresolved(type) || INSTANCE_TYPE.test(type),
        "instanceTypes",
        `must not hold ${JSON.stringify(type)}`,
        "Give instance types such as m6i.large.",
      ),
    ),
    rule(
      new Set(instanceTypes).size === instanceTypes.length && instanceTypes.length <= 40,
      "instanceTypes",
      `must be at most 40, each once, got ${instanceTypes.join(", ")}`,
      "Leave out what is too much.",
    ),
    ...accessRules(settings),
    ...tlsRules(settings.tls),
    portRule("memberPort", settings.memberPort),
    rule(
      !network || settings.memberProtocol === undefined,
      "memberProtocol",
      "is given at a network load balancer, which forwards connections as they are",
      "Leave it out.",
    ),
    rule(
      !network || settings.affinity !== "cookie",
      "affinity",
      "is cookie at a network load balancer",
      "A cookie needs HTTP. Leave it out.",
    ),
    durationRule("slowStartMs", slowStartMs, 0),
    rule(
      !slowStartMs || (slowStartMs >= 30_000 && slowStartMs <= 900_000),
      "slowStartMs",
      `must be 0 or from 30000 to 900000, got ${slowStartMs}`,
      "AWS knows no others.",
    ),
    rule(
      !network || !slowStartMs,
      "slowStartMs",
      "is given at a network load balancer, which has no slow start",
      "Leave it out.",
    ),
    drainRule(settings.drainTimeoutMs),
    durationRule("launchTimeoutMs", settings.launchTimeoutMs, 1_000),
    durationRule("waitForCapacityTimeoutMs", settings.waitForCapacityTimeoutMs, 1_000),
    wholeRule("maxMembers", settings.maxMembers, 1, "Leave it out."),
    wholeRule("spot.sharePercent", settings.spot?.sharePercent, 1, "Leave `spot` out for none.", 100),
    ...warmPoolRules(settings),
    ...volumeRules(settings),
    rule(
      !settings.deletionProtection || settings.keepLoadBalancer === true,
      "deletionProtection",
      "is on for a balancer that goes after each burst",
      "Leave it out, or set `keepLoadBalancer`.",
    ),
    textRule("accessLogs.bucket", settings.accessLogs?.bucket, "Give the bucket's name."),
    ...tagRules(settings.tags),
  ];
}

/** AWS's limits on names of balancers and target groups, the narrowest of those that bear the pool's. */
export function balancerNameRule(attribute: string, name: string): Rule {
  return rule(
    !Token.isUnresolved(name) &&
      /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/.test(name) &&
      !/^internal-/i.test(name),
    attribute,
    `must be 1 to 32 letters, digits and hyphens, not begin or end with a hyphen nor begin with internal-, got ${JSON.stringify(name)}`,
    "AWS takes no longer names for balancers and target groups. Choose a shorter one.",
  );
}

export function isNetwork(balancer: AwsPoolSettings["balancer"]): boolean {
  return balancer instanceof AwsLoadBalancer ? balancer.kind === "network" : balancer === "network";
}

export function hasSharedListener({ balancer }: Pick<AwsPoolSettings, "balancer">): boolean {
  return balancer instanceof AwsLoadBalancer && balancer.listenerArn !== undefined;
}

function accessRules({
  allowFrom,
  allowTo = [],
  policyArns = [],
  balancer,
  keepLoadBalancer,
}: AwsPoolSettings) {
  return [
    rule(
      allowFrom.length > 0 || balancer instanceof AwsLoadBalancer,
      "allowFrom",
      "is empty",
      'Give the networks that users come from; a public shop says ["0.0.0.0/0"].',
    ),
    rule(
      !(balancer instanceof AwsLoadBalancer) || (allowFrom.length === 0 && keepLoadBalancer === undefined),
      "balancer",
      "is there already, so `allowFrom` and `keepLoadBalancer` are not this pool's to say",
      "Give an empty `allowFrom`; the balancer's own security group says who may connect.",
    ),
    ...allowFrom.map((from) => networkRule("allowFrom", from)),
    ...allowTo.flatMap(({ to, port }, i) => [
      networkRule(`allowTo.${i}.to`, to),
      portRule(`allowTo.${i}.port`, port),
    ]),
    ...policyArns.map((arn) =>
      rule(
        Token.isUnresolved(arn) || POLICY.test(arn),
        "policyArns",
        `must not hold ${JSON.stringify(arn)}`,
        "Give ARNs of policies: arn:aws:iam::ACCOUNT:policy/NAME.",
      ),
    ),
    rule(
      !policyArns.some((arn) => /:policy\/(AdministratorAccess|PowerUserAccess|IAMFullAccess)$/.test(arn)),
      "policyArns",
      "gives members rights over the whole account",
      "Give a policy with what the application needs.",
    ),
  ];
}

function tlsRules(tls: AwsPoolSettings["tls"]): readonly Rule[] {
  if (tls === "none") return [];
  return [
    rule(
      Token.isUnresolved(tls.certificateArn) || CERTIFICATE.test(tls.certificateArn),
      "tls.certificateArn",
      `must be the ARN of a certificate, got ${JSON.stringify(tls.certificateArn)}`,
      'Give one of ACM; "none" is for what is not encrypted by the balancer.',
    ),
    rule(
      tls.policy === undefined ||
        Token.isUnresolved(tls.policy) ||
        /TLS-?1-[23]|TLS13-1-[23]/.test(tls.policy),
      "tls.policy",
      `must allow TLS 1.2 and later only, got ${JSON.stringify(tls.policy)}`,
      "Leave it out for ELBSecurityPolicy-TLS13-1-2-2021-06.",
    ),
  ];
}

function drainRule(ms: number | undefined): Rule {
  return (
    durationRule("drainTimeoutMs", ms, 0) ??
    rule(
      ms === undefined || Token.isUnresolved(ms) || ms <= 3_600_000,
      "drainTimeoutMs",
      `must be at most 3600000, got ${ms}`,
      "AWS waits for an hour at most.",
    )
  );
}

function warmPoolRules({ warmPool, spot, instanceTypes }: AwsPoolSettings): readonly Rule[] {
  return [
    wholeRule("warmPool.members", warmPool?.members, 0, "Leave `warmPool` out for none."),
    rule(
      warmPool === undefined || (spot === undefined && instanceTypes.length === 1),
      "warmPool",
      "is given beside Spot instances or several instance types",
      "AWS keeps warm pools of one on-demand type only: give one, or leave `warmPool` out.",
    ),
  ];
}

function volumeRules({ volume }: AwsPoolSettings): readonly Rule[] {
  return [
    wholeRule("volume.sizeGib", volume?.sizeGib, 1, "Leave it out for the image's.", 16_384),
    wholeRule("volume.iops", volume?.iops, 3_000, "gp3 has 3000 to 16000.", 16_000),
    wholeRule("volume.throughputMibps", volume?.throughputMibps, 125, "gp3 has 125 to 1000 MiB/s.", 1_000),
  ];
}

function networkRule(attribute: string, network: string): Rule {
  return rule(
    Token.isUnresolved(network) || /^pl-[0-9a-z]+$/.test(network) || isCidr(network),
    attribute,
    `must be a CIDR block or a prefix list, got ${JSON.stringify(network)}`,
    "Write it as 203.0.113.0/24, 2001:db8::/32 or pl-0123456789abcdef0.",
  );
}

function isCidr(text: string): boolean {
  const [address = "", bits = "", ...rest] = text.split("/");
  const version = isIP(address);
  return (
    version !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
  );
}
