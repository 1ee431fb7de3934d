import { TerraformStack, Token, ref } from "cdktf";
import type { TerraformOutput, TerraformVariable } from "cdktf";
import { Construct } from "constructs";
import type { IConstruct } from "constructs";
import { throwProblems } from "../errors";
import type { BurstManifest, BurstPolicy } from "../hook/manifest";
import { policyProblems } from "../policy";
import { buildAtSite, cloudHasShare, weightOf } from "./burst-at-site";
import { endpointsOf, writeManifest } from "./burst-manifest";
import { declareParameters } from "./burst-parameters";
import type { AgentParts, BurstPlan, CloudParts, CloudPlatform, RecordPlatform } from "./burst-platform";
import { isCloudPlatform, isRecordPlatform } from "./burst-platform";
import { withDefaults } from "./burst-policy";
import type { BurstCloud, BurstProps } from "./burst-props";
import { burstRules } from "./burst-rules";
import { addressOf } from "./condition";
import type { GlobalRecord, RecordTuning } from "./global-record";
import { prePositionOf } from "./pre-positioning";
import { variableOf } from "./variable-name";
import { nameRule, reportsOf, rule } from "./validate";
import type { Rule } from "./validate";

/** A declared burst. */
export interface IBurst extends IConstruct {
  readonly burstName: string;
}

/** What depends on where the burst goes. */
type Sides = Pick<BurstManifest, "cloud" | "sites" | "record" | "addresses" | "platform">;

/**
 * An application's overflow into a cloud and its way home, as one chain: replica, pool, gate, record. A single variable says whether
 * it is out; applying the stack performs it, in order, and applying it again with the variable flipped back undoes it in reverse.
 *
 * The ids of its children (`parameters`, `decision`, `replica`, `pool`, `gate`, `record`; on a platform also `image`) are a contract:
 * renaming one would replace what runs.
 *
 * @example
 * new Burst(stack, "shop", {
 *   image,
 *   onPrem: { pool: home, memberCapacityRps: 40 },
 *   cloud: { site: cloud },
 *   record: { name: "shop.example.com", nameServer: onprem, ttlSeconds: 10 },
 * });
 */
export class Burst<Parts extends CloudParts = AgentParts, Answering extends IConstruct = GlobalRecord>
  extends Construct
  implements IBurst
{
  readonly burstName: string;
  readonly variable: TerraformVariable;
  readonly decision: TerraformOutput;
  readonly replica: Parts["replica"];
  readonly pool: Parts["pool"];
  readonly gate: Parts["gate"];
  readonly record: Answering;

  /** @throws SpillwayError, SpillwayErrors with all that is wrong in the props */
  constructor(scope: Construct, id: string, props: BurstProps<Parts, Answering>) {
    super(scope, id);
    const { cloud, record } = props;
    const onPlatform = isCloudPlatform(cloud);
    const policy = withDefaults(onPlatform ? { ...cloud.policy, ...given(props.policy) } : props.policy);
    this.burstName = props.burstName ?? id;
    const parametersFile = props.parametersFile ?? `desired/${this.burstName}.tfvars.json`;
    const variable = variableOf(this.burstName);
    const plan = this.plan(props, variable, policy);
    throwProblems([
      ...reportsOf(this.node.path, [...this.nameRules(), ...burstRules(this, props, plan, parametersFile)]),
      ...policyProblems(policy, this.node.path),
    ]);

    const declared = declareParameters(this, {
      variable,
      parametersFile,
      onPremSite: plan.home.site.name,
      cloudSite: onPlatform ? cloud.siteName : cloud.site.name,
      cloudMembers: policy.minCloudMembers,
      choosesImage: !onPlatform,
    });
    this.variable = declared.variable;
    this.decision = declared.decision;

    // The rules have seen to it that both are a platform's or neither is.
    const built =
      onPlatform && isRecordPlatform(record)
        ? this.buildOnPlatform(props, plan, variable, policy, cloud, record as RecordPlatform<Answering>)
        : this.buildAtSite(props, plan, variable, policy, cloud as BurstCloud, record as RecordTuning);
    this.replica = built.parts.replica;
    this.pool = built.parts.pool;
    this.gate = built.parts.gate;
    this.record = built.record;
    writeManifest(this, this.manifest(props, variable, parametersFile, policy, built.sides));
  }

  private plan(props: BurstProps<Parts, Answering>, variable: string, policy: BurstPolicy): BurstPlan {
    const home = props.onPrem.pool;
    const whileBurst = `\${var.${variable}.burst}`;
    return {
      burstName: this.burstName,
      image: props.image,
      home,
      whileBurst,
      whileImage: props.preposition === true ? undefined : whileBurst,
      members: Token.asNumber(ref(`var.${variable}.cloud_members`)),
      maxMembers: policy.maxCloudMembers,
      monitor: props.monitor ?? home.settings.monitor,
      gate: props.gate ?? {},
      recordName: props.record.name,
      recordTtlSeconds: props.record.ttlSeconds ?? 30,
    };
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

  private buildAtSite(
    props: BurstProps<Parts, Answering>,
    plan: BurstPlan,
    variable: string,
    policy: BurstPolicy,
    cloud: BurstCloud,
    record: RecordTuning,
  ): { parts: Parts; record: Answering; sides: Sides } {
    const made = buildAtSite(this, plan, variable, props, cloud, record);
    return {
      // Without a platform in the props, nothing has been said about the two but their defaults.
      parts: made as CloudParts as Parts,
      record: made.record as IConstruct as Answering,
      sides: {
        cloud: {
          site: cloud.site.name,
          pool: made.pool.poolName,
          memberCapacityRps: cloud.memberCapacityRps ?? props.onPrem.memberCapacityRps,
          members: policy.minCloudMembers,
        },
        sites: endpointsOf([plan.home.site, cloud.site, record.nameServer]),
        record: {
          name: record.name,
          ttlSeconds: plan.recordTtlSeconds,
          nameServerSite: record.nameServer.name,
        },
        addresses: {
          replica: addressOf(made.replica.resource),
          pool: addressOf(made.pool.resource),
          gate: addressOf(made.gate.resource),
          record: addressOf(made.record.resource),
        },
      },
    };
  }

  private buildOnPlatform(
    props: BurstProps<Parts, Answering>,
    plan: BurstPlan,
    variable: string,
    policy: BurstPolicy,
    cloud: CloudPlatform<Parts>,
    record: RecordPlatform<Answering>,
  ): { parts: Parts; record: Answering; sides: Sides } {
    const away = cloud.buildCloud(this, plan);
    const home = plan.home.site;
    const shares = record.buildRecord(this, {
      home: { site: home.name, weight: weightOf(variable, home.name), pool: plan.home },
      cloud: {
        site: cloud.siteName,
        weight: weightOf(variable, cloud.siteName),
        balancer: away.balancer,
        gate: away.parts.gate,
        when: cloudHasShare(variable, cloud.siteName),
      },
    });
    return {
      parts: away.parts,
      record: shares.record,
      sides: {
        cloud: {
          site: cloud.siteName,
          pool: away.poolName,
          memberCapacityRps: cloud.memberCapacityRps ?? props.onPrem.memberCapacityRps,
          members: policy.minCloudMembers,
        },
        sites: endpointsOf([home]),
        record: { name: record.name, ttlSeconds: plan.recordTtlSeconds },
        platform: { ...away.manifest, ...shares.manifest },
        addresses: { ...away.addresses, ...shares.addresses, also: away.also },
      },
    };
  }

  private manifest(
    props: BurstProps<Parts, Answering>,
    variable: string,
    parametersFile: string,
    policy: BurstPolicy,
    { cloud, sites, record, addresses, platform }: Sides,
  ): BurstManifest {
    const { onPrem } = props;
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
      cloud,
      sites,
      record,
      ...(platform === undefined ? {} : { platform }),
      addresses,
      policy,
      ...(props.observers === undefined ? {} : { observers: props.observers }),
      ...(typeof props.preposition === "object"
        ? { prePosition: prePositionOf(props.image, props.preposition) }
        : {}),
    };
  }
}

/** What is given as undefined is not given. */
function given(policy: Partial<BurstPolicy> = {}): Partial<BurstPolicy> {
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
}
