import { formatDuration } from "../duration";
import type { BurstPolicy } from "../hook/manifest";
import {
  percent,
  rps,
  UTILISATION_CAP,
  weightsText,
  type Decision,
  type DecisionFigures,
  type Verdict,
} from "./decision";
import { forecast, type Sample } from "./forecast";
import { leadTime } from "./lead-time";
import { burstWeights, cloudMembersFor, weightDistance } from "./members";
import { capacityOf, type Observation, type SiteObservation } from "./observation";
import { forget, staleAfterMs, type Desired, type PolicyState } from "./state";

/** A gate wants several good answers in a row. */
const ADMISSION_MS = 3_000;
/** Trends are judged over twice the lead time, but at least over so many observations and at most over so long. */
const FEWEST_SAMPLES = 30;
const LONGEST_WINDOW_MS = 5 * 60_000;
/** Weights are corrected only when a site's share is wrong by so many points: every correction is an apply. */
const WEIGHT_TOLERANCE = 10;

/**
 * One decision: from what is remembered, what was just seen, and the policy. No I/O, no clock.
 *
 * Out fast, back slowly: `confirmations` observations above `burstAbove` go out (also in mid-drain), growing is immediate; coming home
 * wants demand below `homeBelow` for `homeAfterMs` and `minimumStayMs` in the burst, as shrinking wants `homeAfterMs`. What cannot be
 * seen changes nothing.
 */
export function decide(
  state: PolicyState,
  observation: Observation,
  policy: BurstPolicy,
  now: number,
): Verdict {
  const ageMs = now - observation.at;
  if (ageMs > staleAfterMs(policy)) {
    return hold(state, `the observation is ${formatDuration(ageMs)} old and is ignored`);
  }
  if (observation.at <= state.lastAt) return hold(state, "there is no new observation");
  const afterGap = observation.at - state.lastAt > staleAfterMs(policy);
  const fresh: PolicyState = { ...(afterGap ? forget(state) : state), lastAt: observation.at };

  const unseen = unreachable(fresh, observation);
  if (unseen) {
    return hold(
      forget(fresh),
      `site ${unseen.site} cannot be asked (${unseen.problem ?? "no answer"}), so demand is unknown: everything stays as it is`,
    );
  }
  const { seen, figures } = measure(fresh, observation, policy);
  switch (seen.phase) {
    case "quiet":
    case "homing":
      return whileOnPrem(seen, figures, observation, policy);
    case "bursting":
    case "burst":
      return whileBurst(seen, figures, observation, policy);
  }
}

/** In quiet, the cloud has no users and need not be seen. */
function unreachable(state: PolicyState, observation: Observation): SiteObservation | undefined {
  if (!observation.onPrem.reachable) return observation.onPrem;
  return state.phase !== "quiet" && !observation.cloud.reachable ? observation.cloud : undefined;
}

function measure(
  state: PolicyState,
  observation: Observation,
  policy: BurstPolicy,
): { seen: PolicyState; figures: DecisionFigures } {
  const leadTimeMs = leadTime({
    bytesLeft: observation.replicaBytesLeft,
    linkBps: observation.cloud.linkBps,
    launchMs: policy.launchEstimateMs,
    admissionMs: ADMISSION_MS,
    dnsTailMs: observation.dnsTailMs,
  });
  const windowMs = Math.max(FEWEST_SAMPLES * policy.intervalMs, Math.min(2 * leadTimeMs, LONGEST_WINDOW_MS));
  const samples: Sample[] = [
    ...state.samples.filter((sample) => sample.at > observation.at - windowMs && sample.at < observation.at),
    { at: observation.at, rps: observation.demandRps },
  ];
  const expected = forecast(samples, leadTimeMs);
  const needRps = Math.max(expected.levelRps, expected.forecastRps);
  const capacityRps = capacityOf(observation.onPrem);
  const utilisation =
    needRps === 0 ? 0 : Math.min(UTILISATION_CAP, capacityRps > 0 ? needRps / capacityRps : UTILISATION_CAP);
  return {
    seen: { ...state, samples },
    figures: {
      demandRps: expected.levelRps,
      forecastRps: expected.forecastRps,
      leadTimeMs,
      onPremCapacityRps: capacityRps,
      utilisation,
      membersNeeded: cloudMembersFor(needRps, observation, policy),
    },
  };
}

function whileOnPrem(
  state: PolicyState,
  figures: DecisionFigures,
  observation: Observation,
  policy: BurstPolicy,
): Verdict {
  const above = figures.utilisation > policy.burstAbove ? state.above + 1 : 0;
  const counted = { ...state, above };
  const text = sentence(figures);
  if (above === 0) {
    return hold(counted, `${text} is not above ${percent(policy.burstAbove)}`, figures);
  }
  if (above < policy.confirmations) {
    const seen = `${above} of ${policy.confirmations} observations`;
    return hold(counted, `${text} > ${percent(policy.burstAbove)} for ${seen}`, figures);
  }
  if (!observation.cloud.reachable) {
    return hold(
      counted,
      `${text} > ${percent(policy.burstAbove)}, but the cloud cannot be asked (${observation.cloud.problem ?? "no answer"})`,
      figures,
    );
  }
  const desired = burstOf(figures.membersNeeded, observation);
  const cancelled = state.phase === "homing" ? "; the way home is cancelled" : "";
  const reason = `${text} > ${percent(policy.burstAbove)} for ${above} observations: ${membersText(figures, policy)}${cancelled}`;
  const next: PolicyState = {
    ...forget(state),
    phase: "bursting",
    since: observation.at,
    stayFrom: observation.at,
    desired,
  };
  return verdict("burst", next, reason, figures);
}

function whileBurst(
  state: PolicyState,
  figures: DecisionFigures,
  observation: Observation,
  policy: BurstPolicy,
): Verdict {
  const text = sentence(figures);
  const low = figures.onPremCapacityRps > 0 && figures.utilisation < policy.homeBelow;
  const belowSince = low ? (state.belowSince ?? observation.at) : undefined;
  const tracked: PolicyState = {
    ...state,
    above: 0,
    belowSince,
    fewer: trackFewer(state, figures, observation),
    misfits: fits(state, observation) ? 0 : state.misfits + 1,
  };
  if (belowSince !== undefined) {
    const lowForMs = observation.at - belowSince;
    const stayedMs = observation.at - (state.stayFrom ?? state.since);
    const low = `${text} < ${percent(policy.homeBelow)} for ${formatDuration(lowForMs)}`;
    if (lowForMs >= policy.homeAfterMs && stayedMs >= policy.minimumStayMs) {
      const desired = {
        burst: false,
        cloudMembers: state.desired.cloudMembers,
        weights: { [observation.onPrem.site]: 100 },
      };
      const next: PolicyState = { ...forget(state), phase: "homing", since: observation.at, desired };
      return verdict("home", next, `${low}, ${formatDuration(stayedMs)} in the burst`, figures);
    }
  }
  const adjusted = adjust(tracked, figures, observation, policy);
  if (adjusted) return adjusted;
  if (belowSince === undefined) {
    return hold(tracked, `${text} is not below ${percent(policy.homeBelow)}`, figures);
  }
  const homeAt = Math.max(
    belowSince + policy.homeAfterMs,
    (state.stayFrom ?? state.since) + policy.minimumStayMs,
  );
  const waiting = `home in ${formatDuration(homeAt - observation.at)} at the earliest`;
  return hold(tracked, `${text} < ${percent(policy.homeBelow)}: ${waiting}`, figures);
}

/** Remembers for how long fewer members would have done, and how many would have been enough all that time. */
function trackFewer(
  state: PolicyState,
  figures: DecisionFigures,
  observation: Observation,
): PolicyState["fewer"] {
  const needed = figures.membersNeeded;
  if (needed >= state.desired.cloudMembers) return undefined;
  return {
    since: state.fewer?.since ?? observation.at,
    members: Math.max(state.fewer?.members ?? 0, needed),
  };
}

function fits(state: PolicyState, observation: Observation): boolean {
  const fitting = burstWeights(state.desired.cloudMembers, observation);
  return weightDistance(fitting, state.desired.weights) <= WEIGHT_TOLERANCE;
}

function adjust(
  state: PolicyState,
  figures: DecisionFigures,
  observation: Observation,
  policy: BurstPolicy,
): Verdict | undefined {
  const present = state.desired.cloudMembers;
  const change = (members: number, why: string): Verdict =>
    verdict(
      "adjust",
      { ...state, desired: burstOf(members, observation), fewer: undefined, misfits: 0 },
      `${sentence(figures)}: ${why}`,
      figures,
    );
  if (figures.membersNeeded > present) {
    return change(figures.membersNeeded, `${membersText(figures, policy)}, up from ${present}`);
  }
  const { fewer } = state;
  if (fewer && observation.at - fewer.since >= policy.homeAfterMs) {
    const since = formatDuration(observation.at - fewer.since);
    return change(
      fewer.members,
      `${fewer.members} cloud members have been enough for ${since}, down from ${present}`,
    );
  }
  if (state.misfits >= policy.confirmations) {
    const { membersUp, members } = observation.onPrem;
    const weights = weightsText(burstWeights(present, observation));
    return change(present, `${membersUp} of ${members} on-premises members up: weights become ${weights}`);
  }
  return undefined;
}

function burstOf(cloudMembers: number, observation: Observation): Desired {
  return { burst: true, cloudMembers, weights: burstWeights(cloudMembers, observation) };
}

function sentence(figures: DecisionFigures): string {
  const { demandRps, forecastRps, leadTimeMs, onPremCapacityRps, utilisation } = figures;
  return (
    `demand ${rps(demandRps)}, forecast ${rps(forecastRps)} in ${formatDuration(leadTimeMs)}, ` +
    `on-premises capacity ${rps(onPremCapacityRps)}: ${onPremCapacityRps > 0 ? percent(utilisation) : "no member up"}`
  );
}

function membersText(figures: DecisionFigures, policy: BurstPolicy): string {
  const { membersNeeded } = figures;
  const capped = membersNeeded === policy.maxCloudMembers ? " (the most allowed)" : "";
  return `${membersNeeded} cloud member${membersNeeded === 1 ? "" : "s"}${capped}`;
}

function hold(state: PolicyState, reason: string, figures?: DecisionFigures): Verdict {
  return verdict("hold", state, reason, figures);
}

function verdict(
  action: Decision["action"],
  state: PolicyState,
  reason: string,
  figures: DecisionFigures | undefined,
): Verdict {
  return {
    state,
    decision: {
      action,
      reason,
      phase: state.phase,
      desired: state.desired,
      ...(figures === undefined ? {} : { figures }),
    },
  };
}
