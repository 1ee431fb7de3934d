import type { Desired, Phase, PolicyState } from "./state";

/** The figures a decision was made on. JSON. */
export interface DecisionFigures {
  readonly demandRps: number;
  readonly forecastRps: number;
  readonly leadTimeMs: number;
  readonly onPremCapacityRps: number;
  /** The larger of demand and forecast over the on-premises capacity; at most {@link UTILISATION_CAP}. */
  readonly utilisation: number;
  /** Cloud members that the forecast asks for. */
  readonly membersNeeded: number;
}

export interface Decision {
  /**
   * `hold`: as it is. `burst`: go out (while homing: the drain is cancelled). `adjust`: other members or weights within the burst.
   * `home`: come home.
   */
  readonly action: "hold" | "burst" | "adjust" | "home";
  /** One sentence with the figures. */
  readonly reason: string;
  /** The phase after it. */
  readonly phase: Phase;
  /** What the stack should be from now on. */
  readonly desired: Desired;
  /** Undefined when demand could not be judged. */
  readonly figures?: DecisionFigures;
}

/** A decision, and what to remember of it. */
export interface Verdict {
  readonly state: PolicyState;
  readonly decision: Decision;
}

/** Demand with no member up would be an infinite utilisation, which JSON does not have. */
export const UTILISATION_CAP = 99;

/** Nothing changes. */
export function hold(state: PolicyState, reason: string, figures?: DecisionFigures): Verdict {
  return verdict("hold", state, reason, figures);
}

export function verdict(
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
