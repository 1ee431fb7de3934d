import { Fn, TerraformStack, Token, ref } from "cdktf";
import type { TerraformOutput, TerraformVariable } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import { throwProblems } from "../errors";
import type { BurstManifest, BurstObservers, BurstPolicy } from "../hook/manifest";
import { policyProblems } from "../policy";
import { endpointsOf, writeManifest } from "./burst-manifest";
import { declareParameters } from "./burst-parameters";
import { withDefaults } from "./burst-policy";
import { CloudPool } from "./cloud-pool";
import type { Condition } from "./condition";
import { addressOf } from "./condition";
import { Gate, gateRules } from "./gate";
import type { GateTuning } from "./gate";
import { GlobalRecord, oneKindRule, recordRules } from "./global-record";
import type { RecordTuning } from "./global-record";
import type { HealthMonitor } from "./health-monitor";
import type { Image } from "./image";
import { ImageReplica } from "./image-replica";
import type { TransferBandwidth } from "./image-replica";
import type { IPool, PoolProps } from "./pool";
import { poolRules } from "./pool";
import { prePositioningRules, prePositionOf } from "./pre-positioning";
import type { PrePositioning } from "./pre-positioning";
import type { Site } from "./site";
import { variableOf } from "./variable-name";
import { aboveZeroRule, nameRule, reportsOf, rule, textRule } from "./validate";
import type { Rule } from "./validate";

/** Home. */
export interface BurstOnPrem {
  /** The pool that overflows. */
  readonly pool: IPool;
  /** Requests per second that one of its members carries at a good latency. Measure it. */
  readonly memberCapacityRps: number;
}

/** Where the overflow goes. What is not said of its pool is as at home. */
export interface BurstCloud extends Partial<Omit<PoolProps, "replica" | "members" | "imageDigest">> {
  readonly site: Site;
  /**
   * Requests per second that one member carries there.
   * @default - as many as at home
   */
  readonly memberCapacityRps?: number;
  /**
   * Milliseconds that the image's transfer may take.
   * @default - 24 hours
   */
  readonly transferTimeoutMs?: number;
  /**
   * What the image's transfer may take of the link during a burst, and when.
   * @default - no limit but the one that `spillway image cap` sets for the machine
   */
  readonly bandwidth?: TransferBandwidth;
}

export interface BurstProps {
  /** What cloud members are launched from. */
  readonly image: Image;
  readonly onPrem: BurstOnPrem;
  readonly cloud: BurstCloud;
  /** The name that users ask for; the burst shares its answers out. */
  readonly record: RecordTuning;
  /**
   * How health is judged in the cloud, by local balancer and gate.
   * @default - as at home
   */
  readonly monitor?: HealthMonitor;
  /**
   * How carefully the gate opens and closes.
   * @default - as `GateTuning` says
   */
  readonly gate?: GateTuning;
  /**
   * Have the image at the cloud site before a burst. `true`: it is there always, and moves when the stack is applied. With a schedule
   * instead, the hook keeps it nearly current there in the background, so that a burst sends only the last delta.
   * @default false, the image moves when the burst begins
   * @example
   * preposition: { everyMs: 6 * 3_600_000, windows: ["22:00-06:00"], cap: "20Mbit" }
   */
  readonly preposition?: boolean | PrePositioning;
  /**
   * Who tells the hook of the sides besides their agents: PromQL by figure, and HAProxys that Spillway does not manage.
   * @default - the agents alone are asked
   * @example
   * observers: {
   *   prometheus: { endpoint: "http://127.0.0.1:9090" },
   *   onPrem: { demandRps: 'sum(rate(haproxy_frontend_http_requests_total{proxy="shop"}[30s]))' },
   * }
   */
  readonly observers?: BurstObservers;
  /**
   * When to go out and when to come home.
   * @default - as `BurstPolicy` says, with 1 to 10 cloud members
   */
  readonly policy?: Partial<BurstPolicy>;
  /**
   * The burst's name, which its variable, its output and its parameters file bear.
   * @default - the construct's id
   */
  readonly burstName?: string;
  /**
   * The variable file that holds the parameters, relative to the directory that the program is run in.
   * @default - desired/NAME.tfvars.json
   */
  readonly parametersFile?: string;
}

/** A declared burst. */
export interface IBurst extends IConstruct {
  readonly burstName: string;
}

/**
 * An application's overflow into a cloud and its way home, as one chain: replica, pool, gate, record. A single variable says whether
 * it is out; applying the stack performs it, in order, and applying it again with the variable flipped back undoes it in reverse.
 *
 * The ids of its children (`parameters`, `decision`, `replica`, `pool`, `gate`, `record`) are a contract: renaming one would replace
 * what runs.
 *
 * @example
 * new Burst(stack, "shop", {
 *   image,
 *   onPrem: { pool: home, memberCapacityRps: 40 },
 *   cloud: { site: cloud },
 *   record: { name: "shop.example.com", nameServer: onprem, ttlSeconds: 10 },
 * });
 */
export class Burst extends Construct implements IBurst {
  readonly burstName: string;
  readonly variable: TerraformVariable;
  readonly decision: TerraformOutput;
  readonly replica: ImageReplica;
  readonly pool: CloudPool;
  readonly gate: Gate;
  readonly record: GlobalRecord;

  /** @throws SpillwayError, SpillwayErrors with all that is wrong in the props */
  constructor(scope: Construct, id: string, props: BurstProps) {
    super(scope, id);
    const policy = withDefaults(props.policy);
    this.burstName = props.burstName ?? id;
    const parametersFile = props.parametersFile ?? `desired/${this.burstName}.tfvars.json`;
    throwProblems([
      ...reportsOf(this.node.path, [
        ...this.nameRules(),
        ...burstRules(props, this.burstName, parametersFile),
      ]),
      ...policyProblems(policy, this.node.path),
    ]);

    const variable = variableOf(this.burstName);
    const home = props.onPrem.pool;
    const away = props.cloud.site;
    const whileBurst = `\${var.${variable}.burst}`;

    const declared = declareParameters(this, {
      variable,
      parametersFile,
      onPremSite: home.site.name,
      cloudSite: away.name,
      cloudMembers: policy.minCloudMembers,
    });
    this.variable = declared.variable;
    this.decision = declared.decision;

    this.replica = new ImageReplica(this, "replica", {
      image: props.image,
      site: away,
      transferTimeoutMs: props.cloud.transferTimeoutMs,
      bandwidth: props.cloud.bandwidth,
      when: props.preposition === true ? undefined : whileBurst,
    });
    this.pool = new CloudPool(this, "pool", {
      ...cloudPoolProps(props, this.burstName),
      replica: this.replica,
      imageDigest: Fn.coalesce([ref(`var.${variable}.image_digest`), this.replica.imageDigest]),
      members: Token.asNumber(ref(`var.${variable}.cloud_members`)),
      when: whileBurst,
    });
    this.gate = new Gate(this, "gate", {
      ...props.gate,
      pool: this.pool,
      recordTtlSeconds: props.record.ttlSeconds,
    });
    this.record = new GlobalRecord(this, "record", {
      ...props.record,
      answers: [
        { pool: home, weight: weightOf(variable, home.site), when: hasShare(variable, home.site) },
        {
          gate: this.gate,
          weight: weightOf(variable, away),
          when: `\${var.${variable}.burst && contains(keys(var.${variable}.weights), "${away.name}")}`,
        },
      ],
    });
    writeManifest(this, this.manifest(props, variable, parametersFile, policy));
  }

  private nameRules(): readonly Rule[] {
    const others = TerraformStack.of(this)
      .node.findAll()
      .filter((other) => other instanceof Burst && other !== this && other.burstName === this.burstName);
    return [
      nameRule("burstName", this.burstName),
      rule(
        others.length === 0,
        "burstName",
        `must be unique in its stack, got "${this.burstName}", which ${others[0]?.node.path} has`,
        "Give one of the two another `burstName`.",
      ),
    ];
  }

  private manifest(
    props: BurstProps,
    variable: string,
    parametersFile: string,
    policy: BurstPolicy,
  ): BurstManifest {
    const { onPrem, cloud, record } = props;
    return {
      version: 1,
      name: this.burstName,
      variable,
      parametersFile,
      onPrem: {
        site: onPrem.pool.site.name,
        pool: onPrem.pool.poolName,
        memberCapacityRps: onPrem.memberCapacityRps,
        members: onPrem.pool.members,
      },
      cloud: {
        site: cloud.site.name,
        pool: this.pool.poolName,
        memberCapacityRps: cloud.memberCapacityRps ?? onPrem.memberCapacityRps,
        members: policy.minCloudMembers,
      },
      sites: endpointsOf([onPrem.pool.site, cloud.site, record.nameServer]),
      record: {
        name: record.name,
        ttlSeconds: record.ttlSeconds ?? 30,
        nameServerSite: record.nameServer.name,
      },
      addresses: {
        replica: addressOf(this.replica.resource),
        pool: addressOf(this.pool.resource),
        gate: addressOf(this.gate.resource),
        record: addressOf(this.record.resource),
      },
      policy,
      ...(props.observers === undefined ? {} : { observers: props.observers }),
      ...(typeof props.preposition === "object"
        ? { prePosition: prePositionOf(props.image, props.preposition) }
        : {}),
    };
  }
}

/** A site that has no share of users is not among the answers. */
function hasShare(variable: string, site: Site): Condition {
  return `\${contains(keys(var.${variable}.weights), "${site.name}")}`;
}

function weightOf(variable: string, site: Site): number {
  return Token.asNumber(ref(`lookup(var.${variable}.weights, "${site.name}", 0)`));
}

/** As requests carry it. */
function hostOf(recordName: string): string {
  return Token.isUnresolved(recordName) ? recordName : recordName.toLowerCase().replace(/\.$/, "");
}

/** The cloud pool is like the one at home, as far as the props say nothing else. */
function cloudPoolProps(props: BurstProps, burstName: string): Omit<PoolProps, "replica" | "members"> {
  const { site: _site, memberCapacityRps: _rps, ...cloud } = props.cloud;
  const { transferTimeoutMs: _timeout, bandwidth: _bandwidth, ...given } = cloud;
  const { settings, port } = props.onPrem.pool;
  const mode = given.mode ?? settings.mode;
  return {
    ...settings,
    ...given,
    hosts: given.hosts ?? settings.hosts ?? (mode === "tcp" ? undefined : [hostOf(props.record.name)]),
    port: given.port ?? port,
    poolName: given.poolName ?? burstName,
    monitor: given.monitor ?? props.monitor ?? settings.monitor,
  };
}

function burstRules(props: BurstProps, burstName: string, parametersFile: string): readonly Rule[] {
  const { onPrem, cloud, record } = props;
  const home = onPrem.pool;
  const pool = cloudPoolProps(props, burstName);
  // The record's name has rules of its own.
  const hosts = cloud.hosts ?? home.settings.hosts;
  // Stands in for the burst's own replica, of which the rules need only the site.
  const replica = { site: cloud.site } as ImageReplica;
  return [
    rule(
      home.site.name !== cloud.site.name,
      "cloud.site",
      `must be another site than home, got "${cloud.site.name}" for both`,
      "A burst goes from one site to another. To grow at home, raise the pool's `members`.",
    ),
    rule(
      Token.isUnresolved(home.port) || pool.port === home.port,
      "cloud.port",
      `must be the port of the pool at home (${home.port}), got ${pool.port}`,
      "Answers carry no port, so users reach every site at the same one. Leave it out.",
    ),
    rule(
      !Token.isUnresolved(home.members),
      "onPrem.pool",
      "has a number of members that is not known before apply",
      "Give `members` as a plain number: the hook computes with it.",
    ),
    rule(
      home.condition === undefined,
      "onPrem.pool",
      "is there only under a condition",
      "Home must always be there: leave its `when` out.",
    ),
    aboveZeroRule("onPrem.memberCapacityRps", onPrem.memberCapacityRps, "Measure what one member carries."),
    aboveZeroRule("cloud.memberCapacityRps", cloud.memberCapacityRps, "Measure what one member carries."),
    textRule("parametersFile", parametersFile, "Leave it out for desired/NAME.tfvars.json."),
    ...within("cloud", poolRules({ ...pool, hosts, replica, members: 1 }, pool.poolName ?? burstName)),
    ...within("gate", gateRules(props.gate ?? {}, Number.MAX_SAFE_INTEGER, undefined)),
    ...within("record", recordRules(record)),
    oneKindRule([home.site, cloud.site]),
    ...(typeof props.preposition === "object" ? prePositioningRules(props.image, props.preposition) : []),
    rule(
      home.site.address !== cloud.site.address || home.site.name === cloud.site.name,
      "cloud.site",
      `must have an address of its own, got ${cloud.site.address} for both`,
      "Give the address that users of the cloud connect to.",
    ),
  ];
}

/** The same rules, told of a prop that is nested in this one. */
function within(prop: string, rules: readonly Rule[]): readonly Rule[] {
  return rules.map(
    (each) =>
      each && {
        ...each,
        problem: each.problem.replace(/^`/, `\`${prop}.`),
        attribute: [prop, ...(each.attribute ?? [])],
      },
  );
}
