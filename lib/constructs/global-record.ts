import { TerraformLocal, Token, ref } from "cdktf";
import type { IResolvable } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import { GlobalRecord as RecordBinding } from "./bindings/global-record";
import type { GlobalRecordAnswers } from "./bindings/global-record";
import type { Condition } from "./condition";
import { hclDuration } from "./durations";
import type { IGate } from "./gate";
import { ttlRule } from "./gate";
import type { IPool } from "./pool";
import { addressKind, isHostName } from "./site";
import type { Site } from "./site";
import { SpillwayProvider } from "./spillway-provider";
import { durationRule, refuse, rule, textRule, wholeRule } from "./validate";
import type { Rule } from "./validate";

/** One site among the answers. Give its gate, or else its pool, or else the site itself. */
export interface RecordAnswerProps {
  /** Share of users, 1 to 100. A site that is out of service is left out: several global balancers still answer with weight 0. */
  readonly weight: number;
  /**
   * The gate that users must pass: this answer is given only once it is open, and withdrawn before it closes.
   * @default - the site is in service whenever the answer is there
   */
  readonly gate?: IGate;
  /**
   * The pool behind the answer, so that users who keep a connection to it are moved as the weights change.
   * @default - the gate's pool
   */
  readonly pool?: IPool;
  /**
   * Where users are sent.
   * @default - the pool's site
   */
  readonly site?: Site;
  /**
   * The answer is there only while this is true.
   * @default - while its gate or pool is
   */
  readonly when?: Condition;
}

/** Raising a share in steps, to see whether the site bears it. */
export interface RampProps {
  /** Percent of the way, rising: `[10, 50, 100]`. */
  readonly stepsPercent: readonly number[];
  /** Milliseconds on each step. */
  readonly intervalMs: number;
  /**
   * Failed answers per second at the raised site above which the ramp is taken back.
   * @default 0
   */
  readonly abortAboveFailed?: number;
}

export interface RecordTuning {
  /** The name that users ask for, such as `shop.example.com`. A change replaces the record. */
  readonly name: string;
  /** The site whose name server answers for it. A change replaces the record. */
  readonly nameServer: Site;
  /**
   * Seconds for which an answer may be kept.
   * @default 30
   */
  readonly ttlSeconds?: number;
  /**
   * Raise a share step by step.
   * @default - at once
   */
  readonly ramp?: RampProps;
  /**
   * Who the name server is told owns the record. Another owner's record is never taken over.
   * @default - the construct's path
   */
  readonly owner?: string;
}

export interface GlobalRecordProps extends RecordTuning {
  /** At least one; the weights of those that are there add up to 100. */
  readonly answers: readonly RecordAnswerProps[];
}

/** The name that users ask for. */
export interface IGlobalRecord extends IConstruct {
  readonly recordName: string;
}

/**
 * Answers a name with the addresses of sites, by weight.
 *
 * @example
 * new GlobalRecord(stack, "record", {
 *   name: "shop.example.com",
 *   nameServer: onprem,
 *   answers: [{ pool: home, weight: 60 }, { gate, weight: 40 }],
 * });
 */
export class GlobalRecord extends Construct implements IGlobalRecord {
  /** The generated class, for what this one does not offer. */
  readonly resource: RecordBinding;
  readonly recordName: string;

  /** @throws SpillwayError, SpillwayErrors on bad props */
  constructor(scope: Construct, id: string, props: GlobalRecordProps) {
    super(scope, id);
    refuse(this.node.path, [...recordRules(props), ...answerRules(props.answers), this.onlyOneRule(props)]);
    const provider = SpillwayProvider.of(this);
    provider.use(props.nameServer);
    const answers = props.answers.map(settle);
    for (const { site } of answers) if (site) provider.use(site);
    this.recordName = props.name;
    this.resource = new RecordBinding(this, "Resource", {
      name: props.name,
      nameServer: props.nameServer.name,
      owner: props.owner ?? this.node.path,
      ttl: props.ttlSeconds,
      answers: renderAnswers(this, answers),
      ramp: props.ramp && {
        steps: [...props.ramp.stepsPercent],
        interval: hclDuration(props.ramp.intervalMs),
        abortAboveFailed: props.ramp.abortAboveFailed,
      },
    });
  }

  /** Two of the same name, in whichever stacks of the program, would undo each other. */
  private onlyOneRule({ name, nameServer }: RecordTuning): Rule {
    const plain = (text: string) => text.toLowerCase().replace(/\.$/, "");
    const other = this.node.root.node.findAll().find(
      (each) =>
        each instanceof GlobalRecord &&
        each !== this &&
        // One that was refused has no resource.
        each.resource?.nameServerInput === nameServer.name &&
        plain(each.recordName) === plain(name),
    );
    return rule(
      other === undefined || Token.isUnresolved(name),
      "name",
      `must be declared once, got "${name}" at "${nameServer.name}", which ${other?.node.path} declares too`,
      "Give each record a name of its own, or one record all the answers.",
    );
  }
}

interface Answer {
  readonly weight: number;
  readonly site?: Site;
  readonly pool?: IPool;
  readonly gate?: IGate;
  readonly when?: Condition;
}

/** Fills in what an answer says by its gate or its pool. */
function settle(props: RecordAnswerProps): Answer {
  const pool = props.pool ?? props.gate?.pool;
  return {
    weight: props.weight,
    gate: props.gate,
    pool,
    site: props.site ?? pool?.site,
    when: props.when ?? props.gate?.condition ?? pool?.condition,
  };
}

/**
 * Answers under a condition go through a local value, in which each stands by itself: it can then hold any expression, and a reader
 * of the synthesised stack sees what is answered when.
 */
function renderAnswers(scope: Construct, answers: readonly Answer[]): GlobalRecordAnswers[] | IResolvable {
  const rendered = answers.map(({ site, weight, pool, gate }) => ({
    site: site?.name ?? "",
    address: site?.address ?? "",
    weight,
    pool: pool?.poolId,
    gate: gate?.gateId,
  }));
  if (answers.every(({ when }) => when === undefined)) return rendered;
  const all = new TerraformLocal(
    scope,
    "answers",
    answers.map(({ when }, i) => ({ answer: rendered[i], when: when ?? true })),
  );
  return ref(`[for each in local.${all.friendlyUniqueId} : each.answer if each.when]`);
}

/** @internal */
export function recordRules(props: RecordTuning): readonly Rule[] {
  const { ramp } = props;
  const steps = ramp?.stepsPercent ?? [];
  return [
    textRule("name", props.name, "Give the name that users ask for."),
    rule(
      props.name.trim() === "" || Token.isUnresolved(props.name) || isHostName(props.name),
      "name",
      `must be a full domain name, got ${JSON.stringify(props.name)}`,
      "Write it as shop.example.com.",
    ),
    ttlRule("ttlSeconds", props.ttlSeconds),
    rule(
      !ramp || (steps.length > 0 && steps.every((step, i) => step > (steps[i - 1] ?? 0) && step <= 100)),
      "ramp.stepsPercent",
      `must rise, from above 0 to at most 100, got [${steps.join(", ")}]`,
      "Write it as [10, 50, 100].",
    ),
    durationRule("ramp.intervalMs", ramp?.intervalMs),
    rule(
      !((ramp?.abortAboveFailed ?? 0) < 0),
      "ramp.abortAboveFailed",
      `must be at least 0, got ${ramp?.abortAboveFailed}`,
      "0 takes the ramp back at the first failed answer.",
    ),
  ];
}

function answerRules(props: readonly RecordAnswerProps[]): readonly Rule[] {
  const answers = props.map(settle);
  const sites = answers.flatMap(({ site }) => (site ? [site] : []));
  const twice = sites.filter((site, i) => sites.findIndex(({ name }) => name === site.name) < i);
  const shared = sites.filter((site, i) =>
    sites.slice(0, i).some(({ name, address }) => address === site.address && name !== site.name),
  );
  const sum = answers.reduce((total, { weight }) => total + weight, 0);
  const summable = answers.every(({ weight, when }) => when === undefined && !Token.isUnresolved(weight));
  return [
    rule(answers.length > 0, "answers", "is empty", "Give at least one site."),
    ...answers.map(({ site }, i) =>
      rule(site !== undefined, `answers.${i}`, "names no site", "Give its `gate`, its `pool` or its `site`."),
    ),
    ...props.map(({ gate, pool, site }, i) =>
      rule(
        (!gate || !pool || gate.pool === pool) && (!pool || !site || pool.site.name === site.name),
        `answers.${i}`,
        "names a gate, a pool and a site that do not belong together",
        "Give only the gate, or only the pool.",
      ),
    ),
    ...answers.map(({ weight }, i) =>
      wholeRule(
        `answers.${i}.weight`,
        weight,
        1,
        "To take a site out of service, leave its answer out.",
        100,
      ),
    ),
    ...twice.map(({ name }) =>
      rule(
        false,
        "answers",
        `has site "${name}" more than once`,
        "Give each site one answer, with all of its weight.",
      ),
    ),
    ...shared.map(({ name, address }) =>
      rule(
        false,
        "answers",
        `has ${address} for another site than "${name}" too`,
        "Give each site an address of its own.",
      ),
    ),
    rule(
      !summable || answers.length === 0 || sum === 100,
      "answers",
      `must have weights that add up to 100, got ${sum}`,
      "Share out all 100 among the sites in service.",
    ),
    oneKindRule(sites),
  ];
}

/** @internal */
export function oneKindRule(sites: readonly Site[]): Rule {
  const kinds = sites.map((site) => `${addressKind(site.address)} (${site.address} at ${site.name})`);
  return rule(
    new Set(sites.map((site) => addressKind(site.address))).size <= 1,
    "answers",
    `must be of one record type, got ${kinds.join(" beside ")}`,
    "Give all the sites IPv4 addresses, or all IPv6 addresses, or all host names.",
  );
}
