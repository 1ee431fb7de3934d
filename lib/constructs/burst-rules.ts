import { Token } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import type { BurstPlan, CloudParts, RecordPlatform } from "./burst-platform";
import { isCloudPlatform, isRecordPlatform } from "./burst-platform";
import { cloudPoolProps } from "./burst-at-site";
import type { BurstCloud, BurstProps } from "./burst-props";
import { gateRules } from "./gate";
import type { RecordTuning } from "./global-record";
import { oneKindRule, recordRules } from "./global-record";
import type { ImageReplica } from "./image-replica";
import type { IPool } from "./pool";
import { poolRules } from "./pool";
import { prePositioningRules } from "./pre-positioning";
import { aboveZeroRule, rule, textRule } from "./validate";
import type { Rule } from "./validate";

/**
 * Everything that is wrong with a burst's props.
 * @internal
 */
export function burstRules(
  scope: Construct,
  props: BurstProps<CloudParts, IConstruct>,
  plan: BurstPlan,
  parametersFile: string,
): readonly Rule[] {
  const { onPrem, cloud, record } = props;
  const home = onPrem.pool;
  const siteName = isCloudPlatform(cloud) ? cloud.siteName : cloud.site.name;
  const port = cloud.port ?? home.port;
  return [
    rule(
      home.site.name !== siteName,
      "cloud.site",
      `must be another site than home, got "${siteName}" for both`,
      "A burst goes from one site to another. To grow at home, raise the pool's `members`.",
    ),
    rule(
      Token.isUnresolved(home.port) || port === home.port,
      "cloud.port",
      `must be the port of the pool at home (${home.port}), got ${port}`,
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
    ...(isCloudPlatform(cloud)
      ? within("cloud", cloud.cloudRules(scope, plan))
      : atSitePoolRules(props, cloud, plan.burstName)),
    ...within("gate", gateRules(props.gate ?? {}, Number.MAX_SAFE_INTEGER, undefined)),
    ...within("record", isRecordPlatform(record) ? record.recordRules(home) : recordRules(record)),
    ...(isCloudPlatform(cloud)
      ? platformRules(record, props.preposition)
      : atSiteRules(home, cloud, record, props)),
  ];
}

function atSitePoolRules(
  props: BurstProps<CloudParts, IConstruct>,
  cloud: BurstCloud,
  burstName: string,
): readonly Rule[] {
  const pool = cloudPoolProps(props, cloud, burstName);
  // The record's name has rules of its own.
  const hosts = cloud.hosts ?? props.onPrem.pool.settings.hosts;
  // Stands in for the burst's own replica, of which the rules need only the site.
  const replica = { site: cloud.site } as ImageReplica;
  return within("cloud", poolRules({ ...pool, hosts, replica, members: 1 }, pool.poolName ?? burstName));
}

function atSiteRules(
  home: IPool,
  cloud: BurstCloud,
  record: RecordTuning | RecordPlatform,
  props: BurstProps<CloudParts, IConstruct>,
): readonly Rule[] {
  return [
    rule(
      !isRecordPlatform(record),
      "record",
      "is a platform's, but the cloud is a site with an agent",
      "Give the record's `name` and `nameServer`, or a platform's `cloud`.",
    ),
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

function platformRules(
  record: RecordTuning | RecordPlatform,
  preposition: BurstProps["preposition"],
): readonly Rule[] {
  return [
    rule(
      isRecordPlatform(record),
      "record",
      "is a site's name server's, but the cloud is a platform's",
      "Give the platform's record, such as `new Route53Record({ ... })` for AWS: it knows the balancer's address.",
    ),
    rule(
      typeof preposition !== "object",
      "preposition",
      "is a schedule, which the hook keeps with agents only",
      "Give `true` to have the image there always, or leave it out.",
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
