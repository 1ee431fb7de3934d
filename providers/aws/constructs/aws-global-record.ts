import type { Route53HealthCheck } from "@cdktf/provider-aws/lib/route53-health-check";
import { Route53Record } from "@cdktf/provider-aws/lib/route53-record";
import { Token } from "cdktf";
import type { TerraformProvider, TerraformResource } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import type { Condition } from "../../../lib/constructs/condition";
import { ttlRule } from "../../../lib/constructs/gate";
import { addressKind, isHostName } from "../../../lib/constructs/site";
import { nameRule, refuse, rule, wholeRule } from "../../../lib/constructs/validate";
import type { Rule } from "../../../lib/constructs/validate";
import type { HostedZone } from "./hosted-zone";
import { plainName } from "./hosted-zone";
import { attribute, comesAfter, countOf } from "./reference";
import type { Route53Health } from "./route53-health";
import { healthRules, makeHealthCheck } from "./route53-health";
import type { AwsTags } from "./tags";
import { tagRules } from "./tags";

/** One site among the answers: an address, or a balancer of AWS. */
export interface AwsRecordAnswer {
  /** What weights call it; its set identifier in Route 53. */
  readonly site: string;
  /**
   * Share of users, 0 to 255. A site that is out of service is better left out by `when`: Route 53 answers with weight 0 too when
   * everything else is unhealthy.
   */
  readonly weight: number;
  /**
   * Where users are sent: an IPv4 address, an IPv6 address or a host name.
   * @default - `balancer`
   */
  readonly address?: string;
  /**
   * A load balancer, which is answered for by an alias: with its addresses, while it has healthy targets.
   * @default - `address`
   */
  readonly balancer?: { readonly dnsName: string; readonly zoneId: string };
  /**
   * How Route 53 judges the address. An alias is judged by the balancer's own targets.
   * @default false, always taken for healthy
   */
  readonly healthCheck?: Route53Health | false;
  /**
   * The gate that users must pass: the answer is made after it and withdrawn before it closes.
   * @default - none
   */
  readonly gate?: { readonly resource: TerraformResource };
  /**
   * The answer is there only while this is true; otherwise it is removed, not given weight 0.
   * @default - always
   */
  readonly when?: Condition;
}

export interface AwsRecordTuning {
  /** The zone that the name is in. */
  readonly zone: HostedZone;
  /** The name that users ask for, such as `shop.example.com`. A change replaces the records. */
  readonly name: string;
  /**
   * Seconds for which an answer may be kept. An alias has AWS's own 60.
   * @default 60
   */
  readonly ttlSeconds?: number;
  /** Tags of the health checks. @default - `Name` */
  readonly tags?: AwsTags;
  /** @default - the stack's AWS provider */
  readonly provider?: TerraformProvider;
}

export interface AwsGlobalRecordProps extends AwsRecordTuning {
  /** At least one, all of one record type. */
  readonly answers: readonly AwsRecordAnswer[];
}

/** The name that users ask for, in Route 53. */
export interface IAwsGlobalRecord extends IConstruct {
  readonly recordName: string;
}

/**
 * Answers a name with the addresses of sites, by weight: one weighted record of Route 53 for each site.
 *
 * @example
 * new AwsGlobalRecord(stack, "record", {
 *   zone, name: "shop.example.com",
 *   answers: [
 *     { site: "onprem", address: "192.0.2.10", weight: 60, healthCheck: { port: 443 } },
 *     { site: "aws", balancer: pool.balancer, gate, weight: 40 },
 *   ],
 * });
 */
export class AwsGlobalRecord extends Construct implements IAwsGlobalRecord {
  readonly recordName: string;
  /** By site. */
  readonly records: Readonly<Record<string, Route53Record>>;
  /** By site, of those that have one. */
  readonly healthChecks: Readonly<Record<string, Route53HealthCheck>>;
  private readonly zoneId: string;

  /** @throws SpillwayError, SpillwayErrors with all that is wrong in the props */
  constructor(scope: Construct, id: string, props: AwsGlobalRecordProps) {
    super(scope, id);
    refuse(this.node.path, [...tuningRules(props), ...answerRules(props), this.onlyOneRule(props)]);
    this.recordName = plainName(props.name);
    this.zoneId = props.zone.zoneId;
    const type = recordType(props.answers)!;
    const made = props.answers.map((answer) => ({ answer, ...this.makeAnswer(props, answer, type) }));
    this.records = Object.fromEntries(made.map(({ answer, record }) => [answer.site, record]));
    this.healthChecks = Object.fromEntries(
      made.flatMap(({ answer, healthCheck }) => (healthCheck ? [[answer.site, healthCheck]] : [])),
    );
  }

  private makeAnswer(props: AwsGlobalRecordProps, answer: AwsRecordAnswer, type: string) {
    const { site, address = "", balancer } = answer;
    const scope = new Construct(this, site);
    const { provider, tags } = props;
    const title = `${this.recordName} at ${site}`;
    const healthCheck = answer.healthCheck
      ? makeHealthCheck(scope, answer.healthCheck, { address, name: props.name, title, tags, provider })
      : undefined;
    const record = new Route53Record(scope, "Resource", {
      zoneId: props.zone.zoneId,
      name: this.recordName,
      type,
      setIdentifier: site,
      weightedRoutingPolicy: { weight: answer.weight },
      ...(balancer
        ? { alias: { name: balancer.dnsName, zoneId: balancer.zoneId, evaluateTargetHealth: true } }
        : { ttl: props.ttlSeconds ?? 60, records: [address] }),
      healthCheckId: healthCheck && attribute(healthCheck, "id"),
      count: countOf(answer.when),
      provider,
    });
    comesAfter(record, answer.gate ? [answer.gate.resource] : []);
    return { record, healthCheck };
  }

  /** Two of the same name, in whichever stacks of the program, would undo each other. */
  private onlyOneRule({ name, zone }: AwsRecordTuning): Rule {
    const other = this.node.root.node
      .findAll()
      .find(
        (each) =>
          each instanceof AwsGlobalRecord &&
          each !== this &&
          each.zoneId === zone.zoneId &&
          each.recordName === plainName(name),
      );
    return rule(
      other === undefined,
      "name",
      `must be declared once, got "${name}" in ${zone.zoneName}, which ${other?.node.path} declares too`,
      "Give each record a name of its own, or one record all the answers.",
    );
  }
}

/** @internal */
export function tuningRules({ zone, name, ttlSeconds, tags }: AwsRecordTuning): readonly Rule[] {
  const known = !Token.isUnresolved(name);
  return [
    rule(
      known && isHostName(name),
      "name",
      `must be a plain full domain name, got ${JSON.stringify(name)}`,
      "Write it as shop.example.com.",
    ),
    rule(
      !known || !isHostName(name) || zone.holds(name),
      "name",
      `must be in the zone ${zone.zoneName}, got "${name}"`,
      `Write it as SOMETHING.${zone.zoneName}, or give another zone.`,
    ),
    ttlRule("ttlSeconds", ttlSeconds),
    ...tagRules(tags),
  ];
}

/** The one type that all the answers can be given as; a balancer's alias has the type of its addresses. */
function recordType(answers: readonly AwsRecordAnswer[]): "A" | "AAAA" | "CNAME" | undefined {
  const types = new Set(answers.map(kindOf));
  return types.size === 1 ? [...types][0] : undefined;
}

function kindOf({ address, balancer }: AwsRecordAnswer): "A" | "AAAA" | "CNAME" | undefined {
  if (balancer) return "A";
  return address !== undefined && !Token.isUnresolved(address) ? addressKind(address) : undefined;
}

function answerRules({ answers, name, zone }: AwsGlobalRecordProps): readonly Rule[] {
  const sites = answers.map(({ site }) => site);
  const twice = sites.filter((site, i) => sites.indexOf(site) < i);
  return [
    rule(answers.length > 0, "answers", "is empty", "Give at least one site."),
    ...answers.flatMap((answer, i) => answerRulesOf(answer, `answers.${i}`)),
    ...twice.map((site) =>
      rule(
        false,
        "answers",
        `has site "${site}" more than once`,
        "Give each site one answer, with all of its weight.",
      ),
    ),
    oneTypeRule("answers", answers),
    rule(
      !answers.some((answer) => kindOf(answer) === "CNAME") || plainName(name) !== zone.zoneName,
      "answers",
      `has a host name, but "${name}" is the zone itself, which cannot be a CNAME`,
      "Give addresses, or a name within the zone.",
    ),
  ];
}

/** @internal */
export function oneTypeRule(attributeName: string, answers: readonly AwsRecordAnswer[]): Rule {
  const known = answers.filter((answer) => kindOf(answer) !== undefined);
  const told = known.map((answer) =>
    answer.balancer
      ? `A (an alias of the balancer at ${answer.site})`
      : `${kindOf(answer)} (${answer.address} at ${answer.site})`,
  );
  return rule(
    new Set(known.map(kindOf)).size <= 1,
    attributeName,
    `must be of one record type, got ${told.join(" beside ")}`,
    "Route 53 shares users out within one type only: give the other sites IPv4 addresses, which stand beside a balancer's alias.",
  );
}

/** @internal */
export function answerRulesOf(answer: AwsRecordAnswer, at: string): readonly Rule[] {
  const { address, balancer, healthCheck } = answer;
  return [
    nameRule(`${at}.site`, answer.site),
    wholeRule(`${at}.weight`, answer.weight, 0, "Give the site's share of users.", 255),
    rule(
      (address === undefined) !== (balancer === undefined),
      at,
      address === undefined
        ? "names neither an address nor a balancer"
        : "names both an address and a balancer",
      "Give one of the two.",
    ),
    rule(
      address === undefined || (!Token.isUnresolved(address) && addressKind(address) !== undefined),
      `${at}.address`,
      `must be a plain IP address or host name, got ${JSON.stringify(address)}`,
      "It decides the record's type, so it must be known when the program runs.",
    ),
    rule(
      !healthCheck || balancer === undefined,
      `${at}.healthCheck`,
      "is given for a balancer, which Route 53 judges by its targets",
      "Leave it out.",
    ),
    ...(healthCheck && address !== undefined ? healthRules(`${at}.healthCheck`, healthCheck, address) : []),
  ];
}
