import { formatDuration } from "../duration";
import type { BurstPolicy } from "../hook/manifest";
import { cloudMembersUp, isWithdrawn, stillComing } from "./cloud-health";
import { hold, verdict, type DecisionFigures, type Verdict } from "./decision";
import { burstWeights, weightDistance } from "./members";
import type { Observation } from "./observation";
import { forget, type Desired, type PolicyState } from "./state";
import { count, judged, weightsText } from "./words";

/** Weights are corrected only when a site's share is wrong by so many points: every correction is an apply. */
const WEIGHT_TOLERANCE = 10;

/** Decides whether to come home, to grow, to shrink, or to correct the weights. */
export function whileBurst(
  state: PolicyState,
  figures: DecisionFigures,
  observation: Observation,
  policy: BurstPolicy,
): Verdict {
  // Demand of which a part is not known is at least what is known: it may grow the burst, and never ends it.
  const isWhole = observation.cloud.usersUnknown === undefined;
  const low = isWhole && figures.onPremCapacityRps > 0 && figures.utilisation < policy.homeBelow;
  const belowSince = low ? (state.belowSince ?? observation.at) : undefined;
  const tracked: PolicyState = {
    ...state,
    above: 0,
    belowSince,
    fewer: trackFewer(state, figures, observation),
    coming: stillComing(state, observation, policy) > 0 ? state.coming : undefined,
    misfits: fits(state, observation, policy) ? 0 : state.misfits + 1,
  };
  const compared = judged(figures, low ? "<" : "is not below", policy.homeBelow);
  const text = isWhole
    ? compared
    : `demand at site ${observation.cloud.site} is not known yet (${observation.cloud.usersUnknown})`;
  if (belowSince === undefined)
    return adjust(tracked, text, figures, observation, policy) ?? hold(tracked, text, figures);

  const lowForMs = observation.at - belowSince;
  const stayedMs = observation.at - (state.stayFrom ?? state.since);
  if (lowForMs >= policy.homeAfterMs && stayedMs >= policy.minimumStayMs) {
    const desired = { ...state.desired, burst: false, weights: { [observation.onPrem.site]: 100 } };
    const next: PolicyState = {
      ...forget(state),
      phase: "homing",
      since: observation.at,
      desired,
      coming: undefined,
      shrink: undefined,
    };
    const reason = `${text} for ${formatDuration(lowForMs)}, ${formatDuration(stayedMs)} in the burst`;
    return verdict("home", next, reason, figures);
  }
  const adjusted = adjust(tracked, text, figures, observation, policy);
  if (adjusted) return adjusted;
  const leftMs = Math.max(policy.homeAfterMs - lowForMs, policy.minimumStayMs - stayedMs);
  return hold(tracked, `${text}: home in ${formatDuration(leftMs)} at the earliest`, figures);
}

/** Remembers for how long fewer members would have done, and how many would have been enough all that time. */
function trackFewer(
  state: PolicyState,
  figures: DecisionFigures,
  observation: Observation,
): PolicyState["fewer"] {
  const needed = figures.membersNeeded;
  if (observation.cloud.usersUnknown !== undefined) return undefined;
  if (state.shrink || needed >= state.desired.cloudMembers) return undefined;
  return {
    since: state.fewer?.since ?? observation.at,
    members: Math.max(state.fewer?.members ?? 0, needed),
  };
}

/** A site must be among the answers exactly when it can serve; else a share may be wrong by the tolerance. */
function fits(state: PolicyState, observation: Observation, policy: BurstPolicy): boolean {
  const fitting = burstWeights(cloudMembersUp(state, observation, policy), observation);
  if (!fitting) return true;
  const present = state.desired.weights;
  const sameSites = Object.keys({ ...fitting, ...present }).every(
    (site) => site in fitting && site in present,
  );
  return sameSites && weightDistance(fitting, present) <= WEIGHT_TOLERANCE;
}

function adjust(
  state: PolicyState,
  text: string,
  figures: DecisionFigures,
  observation: Observation,
  policy: BurstPolicy,
): Verdict | undefined {
  const { desired, fewer, shrink } = state;
  const present = desired.cloudMembers;
  const change = (to: Partial<Desired>, why: string, more: Partial<PolicyState> = {}): Verdict => {
    const next = { ...state, fewer: undefined, misfits: 0, ...more, desired: { ...desired, ...to } };
    return verdict("adjust", next, `${text}: ${why}`, figures);
  };
  const weightsFor = (next: PolicyState, members: number) =>
    burstWeights(cloudMembersUp(next, observation, policy, members), observation) ?? desired.weights;

  if (figures.membersNeeded > (shrink?.members ?? present)) {
    const cloudMembers = Math.max(figures.membersNeeded, present);
    const grown = cloudMembers - present;
    const coming = grown > 0 ? { members: grown + stillComing(state, observation, policy) } : state.coming;
    const next: PolicyState = { ...state, shrink: undefined, coming, desired: { ...desired, cloudMembers } };
    // Members that are new do not bring a cloud back that has failed: those that are up do.
    const weights = isWithdrawn(state, observation) ? desired.weights : weightsFor(next, cloudMembers);
    const why =
      grown > 0
        ? `${membersText(cloudMembers, policy)}, up from ${present}`
        : `all ${count(present, "cloud member")} stay`;
    return change({ cloudMembers, weights }, why, { coming, shrink: undefined });
  }
  if (shrink?.since !== undefined && observation.at - shrink.since >= observation.dnsTailMs) {
    const why = `users have followed the weights: ${count(shrink.members, "cloud member")}, down from ${present}`;
    return change({ cloudMembers: shrink.members }, why, { shrink: undefined, coming: undefined });
  }
  if (fewer && observation.at - fewer.since >= policy.homeAfterMs) {
    return shrinkTo(fewer.members, formatDuration(observation.at - fewer.since));
  }
  if (state.misfits >= policy.confirmations) {
    const { onPrem, cloud } = observation;
    const wanted = shrink?.members ?? present;
    const weights = weightsFor(state, wanted);
    const up =
      `${onPrem.membersUp} of ${count(onPrem.members, "on-premises member")} and ` +
      `${Math.min(cloud.membersUp, wanted)} of ${count(wanted, "cloud member")} up`;
    return change({ weights }, `${up}: weights become ${weightsText(weights)}`, {
      coming: undefined,
      // Users must follow these weights too before members go.
      ...(shrink ? { shrink: { members: shrink.members } } : {}),
    });
  }
  return undefined;

  /** Users leave first, and the members they leave only after the record's TTL. */
  function shrinkTo(members: number, enoughFor: string): Verdict {
    const weights = weightsFor(state, members);
    const why = `${count(members, "cloud member")} ${members === 1 ? "has" : "have"} been enough for ${enoughFor}`;
    if (weightDistance(weights, desired.weights) === 0) {
      return change({ cloudMembers: members }, `${why}, down from ${present}`, { coming: undefined });
    }
    const first = `${why}: weights become ${weightsText(weights)}, then ${count(present - members, "cloud member")} will go`;
    return change({ weights }, first, { shrink: { members } });
  }
}

/** `3 cloud members (the most allowed)` */
export function membersText(members: number, policy: BurstPolicy): string {
  const capped = members === policy.maxCloudMembers ? " (the most allowed)" : "";
  return `${count(members, "cloud member")}${capped}`;
}
