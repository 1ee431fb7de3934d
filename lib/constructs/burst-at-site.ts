import { Fn, Token, ref } from "cdktf";
import type { Construct, IConstruct } from "constructs";
import type { AgentParts, BurstPlan, CloudParts } from "./burst-platform";
import type { BurstCloud, BurstProps } from "./burst-props";
import { CloudPool } from "./cloud-pool";
import { Gate } from "./gate";
import { GlobalRecord } from "./global-record";
import type { RecordTuning } from "./global-record";
import { ImageReplica } from "./image-replica";
import type { PoolProps } from "./pool";

/**
 * The chain of a burst into a site with an agent.
 * @internal
 */
export function buildAtSite(
  scope: Construct,
  plan: BurstPlan,
  variable: string,
  props: BurstProps<CloudParts, IConstruct>,
  cloud: BurstCloud,
  record: RecordTuning,
): AgentParts & { readonly record: GlobalRecord } {
  const { home } = plan;
  const replica = new ImageReplica(scope, "replica", {
    image: plan.image,
    site: cloud.site,
    transferTimeoutMs: cloud.transferTimeoutMs,
    bandwidth: cloud.bandwidth,
    when: plan.whileImage,
  });
  const pool = new CloudPool(scope, "pool", {
    ...cloudPoolProps(props, cloud, plan.burstName),
    replica,
    imageDigest: Fn.coalesce([ref(`var.${variable}.image_digest`), replica.imageDigest]),
    members: plan.members,
    when: plan.whileBurst,
  });
  const gate = new Gate(scope, "gate", {
    ...props.gate,
    pool,
    recordTtlSeconds: record.ttlSeconds,
  });
  const shares = new GlobalRecord(scope, "record", {
    ...record,
    answers: [
      {
        pool: home,
        weight: weightOf(variable, home.site.name),
        // A site that has no share of users is not among the answers.
        when: `\${contains(keys(var.${variable}.weights), "${home.site.name}")}`,
      },
      {
        gate,
        weight: weightOf(variable, cloud.site.name),
        when: cloudHasShare(variable, cloud.site.name),
      },
    ],
  });
  return { replica, pool, gate, record: shares };
}

/**
 * A site's share of users, as an expression.
 * @internal
 */
export function weightOf(variable: string, siteName: string): number {
  return Token.asNumber(ref(`lookup(var.${variable}.weights, "${siteName}", 0)`));
}

/** @internal */
export function cloudHasShare(variable: string, siteName: string): string {
  return `\${var.${variable}.burst && contains(keys(var.${variable}.weights), "${siteName}")}`;
}

/** As requests carry it. */
function hostOf(recordName: string): string {
  return Token.isUnresolved(recordName) ? recordName : recordName.toLowerCase().replace(/\.$/, "");
}

/**
 * The cloud pool is like the one at home, as far as the props say nothing else.
 * @internal
 */
export function cloudPoolProps(
  props: BurstProps<CloudParts, IConstruct>,
  cloud: BurstCloud,
  burstName: string,
): Omit<PoolProps, "replica" | "members"> {
  const { site: _site, memberCapacityRps: _rps, ...pool } = cloud;
  const { transferTimeoutMs: _timeout, bandwidth: _bandwidth, ...given } = pool;
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
