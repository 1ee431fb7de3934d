import { formatDuration } from "../duration";
import type { BurstPolicy } from "../hook/manifest";
import { whileCloudSilent } from "./cloud-health";
import { hold, UTILISATION_CAP, verdict, type DecisionFigures, type Verdict } from "./decision";
import { forecast, type Sample } from "./forecast";
import { leadTime } from "./lead-time";
import { burstWeights, cloudMembersFor } from "./members";
import { capacityOf, type Observation } from "./observation";
import { forget, staleAfterMs, type PolicyState } from "./state";
import { membersText, whileBurst } from "./while-burst";
import { count, judged } from "./words";

/** A gate wants several good answers in a row. */
const ADMISSION_MS = 3_000;
/** Trends are judged over twice the lead time, but at least over so many observations and at most over so long. */
const FEWEST_SAMPLES = 30;
const LONGEST_WINDOW_MS = 5 * 60_000;

/**
 * One decision: from what is remembered, what was just seen, and the policy. No I/O, no clock.
 *
 * Out fast, back slowly: `confirmations` observations above `burstAbove` go out (also in mid-drain), growing is immediate; coming home
 * wants demand below `homeBelow` for `homeAfterMs` and `minimumStayMs` in the burst, as shrinking wants `homeAfterMs`. What cannot be
 * seen is neither launched nor taken down; a cloud that is down, or silent for long, gets no users until it is back.
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
  const known = afterGap ? { ...forget(state), cloudSilentSince: undefined } : state;
  const fresh: PolicyState = { ...known, lastAt: observation.at };

  const { onPrem, cloud } = observation;
  if (!onPrem.reachable) {
    return hold(
      { ...forget(fresh), cloudSilentSince: undefined },
      `site ${onPrem.site} cannot be asked (${onPrem.problem ?? "no answer"}), so demand is unknown: everything stays as it is`,
    );
  }
  // In quiet, the cloud has no users and need not be seen.
  if (state.phase !== "quiet" && !cloud.reachable) return whileCloudSilent(fresh, observation);
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
    seen: { ...state, samples, cloudSilentSince: undefined },
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
  if (above === 0) return hold(counted, judged(figures, "is not above", policy.burstAbove), figures);
  const text = judged(figures, ">", policy.burstAbove);
  if (above < policy.confirmations) {
    const seen = `${above} of ${count(policy.confirmations, "observation")}`;
    return hold(counted, `${text} for ${seen}`, figures);
  }
  if (!observation.cloud.reachable) {
    const problem = observation.cloud.problem ?? "no answer";
    return hold(counted, `${text}, but the cloud cannot be asked (${problem})`, figures);
  }
  const homing = state.phase === "homing";
  // What is still there on the way home serves again at once.
  const members = homing
    ? Math.max(figures.membersNeeded, state.desired.cloudMembers)
    : figures.membersNeeded;
  const desired = {
    burst: true,
    cloudMembers: members,
    weights: burstWeights(members, observation) ?? state.desired.weights,
  };
  const cancelled = homing ? "; the way home is cancelled" : "";
  const reason = `${text} for ${count(above, "observation")}: ${membersText(members, policy)}${cancelled}`;
  const next: PolicyState = {
    ...forget(state),
    phase: "bursting",
    since: observation.at,
    stayFrom: observation.at,
    desired,
    coming: undefined,
    shrink: undefined,
  };
  return verdict("burst", next, reason, figures);
}
