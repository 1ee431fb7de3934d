import { formatDuration } from "../duration";
import { count, percent, type PolicyState } from "../policy";
import { hasGivenUp, type BackOff } from "./back-off";
import type { BurstPolicy } from "./manifest";

/** What may happen next, in one sentence for a person. */
export function nextInWords(about: {
  readonly state: PolicyState;
  readonly policy: BurstPolicy;
  readonly backOff: BackOff;
  /** The step of the apply that is going on. */
  readonly step?: string;
  readonly now: number;
}): string {
  const { state, policy, backOff, now } = about;
  if (about.step !== undefined) {
    return state.desired.burst
      ? `going out: ${about.step} is under way`
      : `coming home: ${about.step} is under way`;
  }
  if (backOff.failures > 0) {
    const when = formatDuration(Math.max(0, backOff.nextTryAt - now));
    const how = hasGivenUp(backOff.failures)
      ? `failed ${count(backOff.failures, "time")} in a row, tried only now and then: `
      : "";
    return `${how}tries again in ${when}`;
  }
  switch (state.phase) {
    case "quiet":
      return `bursts above ${percent(policy.burstAbove, 1)} for ${count(policy.confirmations, "observation")} (${state.above} so far)`;
    case "bursting":
      return "waits for the burst to be in force";
    case "homing":
      return "waits for the way home to be in force";
    case "burst": {
      const low = `below ${percent(policy.homeBelow, 1)}`;
      if (state.belowSince === undefined)
        return `comes home ${low} for ${formatDuration(policy.homeAfterMs)}`;
      const at = Math.max(
        state.belowSince + policy.homeAfterMs,
        (state.stayFrom ?? state.since) + policy.minimumStayMs,
      );
      return `comes home in ${formatDuration(Math.max(0, at - now))} if demand stays ${low}`;
    }
  }
}
