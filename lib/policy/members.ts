import type { BurstPolicy } from "../hook/manifest";
import { capacityOf, type Observation } from "./observation";
import { split } from "./weights";

/**
 * Cloud members that `needRps` asks for, when every member is to be loaded to `targetUtilisation` and the on-premises ones that are up
 * take their part. Within `minCloudMembers` and `maxCloudMembers`, at least 1.
 */
export function cloudMembersFor(needRps: number, observation: Observation, policy: BurstPolicy): number {
  const capacityWanted = needRps / policy.targetUtilisation;
  const missing = Math.max(0, capacityWanted - capacityOf(observation.onPrem));
  // A sum that only just rounds up by floating point must not cost a member.
  const needed = Math.ceil(missing / observation.cloud.memberCapacityRps - 1e-9);
  return Math.max(1, policy.minCloudMembers, Math.min(policy.maxCloudMembers, needed));
}

/**
 * Share of users by site during a burst: as the capacity that is up on premises, and `cloudMembersUp` in the cloud. Undefined when
 * nothing is up anywhere.
 */
export function burstWeights(
  cloudMembersUp: number,
  observation: Observation,
): Readonly<Record<string, number>> | undefined {
  const { onPrem, cloud } = observation;
  const weights = split({
    [onPrem.site]: capacityOf(onPrem),
    [cloud.site]: cloudMembersUp * cloud.memberCapacityRps,
  });
  return Object.keys(weights).length === 0 ? undefined : weights;
}

/** The largest change of any site's share between two sets of weights, in points of 100. */
export function weightDistance(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): number {
  const sites = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Math.max(0, ...[...sites].map((site) => Math.abs((a[site] ?? 0) - (b[site] ?? 0))));
}
