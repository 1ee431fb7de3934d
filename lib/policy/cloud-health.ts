import { formatDuration } from "../duration";
import type { BurstPolicy } from "../hook/manifest";
import { hold, verdict, type Verdict } from "./decision";
import type { Observation } from "./observation";
import { forget, type PolicyState } from "./state";

/** A cloud that cannot be asked for so long gets no more users: a restart of its agent is over by then. */
const CLOUD_SILENCE_MS = 30_000;

/**
 * Of `wanted` cloud members, those that users can be sent to: the ones that are up, and for `launchEstimateMs` those that were only just
 * asked for. Before the burst is in force it is all of them, since the gate lets no user in before.
 */
export function cloudMembersUp(
  state: PolicyState,
  observation: Observation,
  policy: BurstPolicy,
  wanted = state.shrink?.members ?? state.desired.cloudMembers,
): number {
  if (state.phase === "bursting") return wanted;
  const { membersUp } = observation.cloud;
  const coming = isWithdrawn(state, observation) ? 0 : stillComing(state, observation, policy);
  // A pool that only grows has members: if none of them is up, it has failed.
  const grows = coming < state.desired.cloudMembers;
  return Math.min(wanted, membersUp + (membersUp === 0 && grows ? 0 : coming));
}

/** Cloud members that were asked for so short a time ago that they need not be up. */
export function stillComing(state: PolicyState, observation: Observation, policy: BurstPolicy): number {
  const { coming } = state;
  if (!coming || observation.cloud.membersUp >= state.desired.cloudMembers) return 0;
  const inForceMs = coming.since === undefined ? 0 : observation.at - coming.since;
  return inForceMs < policy.launchEstimateMs ? coming.members : 0;
}

/** The burst is on, and the cloud gets no users. */
export function isWithdrawn(state: PolicyState, observation: Observation): boolean {
  return state.desired.burst && state.desired.weights[observation.cloud.site] === undefined;
}

/**
 * The cloud cannot be asked, on-premises can. For a while everything stays as it is; then users are sent to where it is known that they
 * are served. The burst itself stays: what cannot be seen is not taken down.
 */
export function whileCloudSilent(state: PolicyState, observation: Observation): Verdict {
  const { onPrem, cloud } = observation;
  const since = state.cloudSilentSince ?? observation.at;
  const silent: PolicyState = { ...forget(state), cloudSilentSince: since };
  const silentMs = observation.at - since;
  const problem = cloud.problem ?? "no answer";
  const sendsUsers = state.phase === "burst" || observation.recordWeights?.[cloud.site] !== undefined;
  // A platform's API that does not answer is no sign that the platform's balancers do not.
  const mayWithdraw =
    cloud.unseen !== true && state.desired.burst && !isWithdrawn(state, observation) && sendsUsers;
  if (!mayWithdraw || silentMs < CLOUD_SILENCE_MS || onPrem.membersUp === 0) {
    return hold(
      silent,
      `site ${cloud.site} cannot be asked (${problem}), so demand is unknown: everything stays as it is`,
    );
  }
  const desired = { ...state.desired, weights: { [onPrem.site]: 100 } };
  return verdict(
    "adjust",
    { ...silent, desired, shrink: undefined },
    `site ${cloud.site} cannot be asked for ${formatDuration(silentMs)} (${problem}), so whether it serves is not known: ` +
      `all users are sent to ${onPrem.site}, and nothing is taken down`,
    undefined,
  );
}
