import type { Sample } from "./forecast";
import type { BurstPolicy } from "../hook/manifest";

/**
 * `quiet`: no cloud. `bursting`: decided, not yet in force. `burst`: in force. `homing`: the way home was decided, and users are
 * being siphoned off.
 */
export type Phase = "quiet" | "bursting" | "burst" | "homing";

/** What the stack should be: what the policy decides about its parameters. */
export interface Desired {
  readonly burst: boolean;
  /** At least 1, also while `burst` is false. */
  readonly cloudMembers: number;
  /** Whole numbers that add up to 100. A site out of service is not listed. */
  readonly weights: Readonly<Record<string, number>>;
}

/** All that the policy remembers. JSON: the journal keeps it across restarts. */
export interface PolicyState {
  readonly version: 1;
  readonly phase: Phase;
  /** When the phase began. */
  readonly since: number;
  /** The minimum stay is counted from here; undefined while quiet. */
  readonly stayFrom?: number;
  readonly desired: Desired;
  /** Recent demand, oldest first. */
  readonly samples: readonly Sample[];
  /** When the last observation that counted was made. */
  readonly lastAt: number;
  /** Observations in a row that ask for the cloud. */
  readonly above: number;
  /** Since when demand has been low enough for home. */
  readonly belowSince?: number;
  /** Since when fewer members would do, and the most that were needed since. */
  readonly fewer?: { readonly since: number; readonly members: number };
  /** Observations in a row in which the weights no longer fit the members that are up. */
  readonly misfits: number;
  /** Cloud members that were asked for and may not be up yet. `since`: when that came into force; undefined while it has not. */
  readonly coming?: { readonly members: number; readonly since?: number };
  /**
   * Weights already say so many cloud members, and the members follow once users have. `since`: when those weights came into force;
   * undefined while they have not.
   */
  readonly shrink?: { readonly members: number; readonly since?: number };
  /** Since when the cloud cannot be asked while on-premises can. */
  readonly cloudSilentSince?: number;
}

/** Where a hook begins that remembers nothing: in the state that the parameters say. */
export function initialState(desired: Desired, now: number): PolicyState {
  return {
    version: 1,
    phase: desired.burst ? "bursting" : "quiet",
    since: now,
    ...(desired.burst ? { stayFrom: now } : {}),
    desired,
    samples: [],
    lastAt: 0,
    above: 0,
    misfits: 0,
  };
}

/** What was decided is in force: its apply has ended well. Idempotent; the same object when there is nothing to note. */
export function settled(state: PolicyState, now: number): PolicyState {
  switch (state.phase) {
    case "quiet":
      return state;
    case "homing":
      return { ...forget(state), phase: "quiet", since: now, stayFrom: undefined };
    case "bursting": {
      const coming = { members: state.desired.cloudMembers, since: now };
      return { ...state, phase: "burst", since: now, stayFrom: now, coming };
    }
    case "burst": {
      const { coming, shrink } = state;
      if ((!coming || coming.since !== undefined) && (!shrink || shrink.since !== undefined)) return state;
      return {
        ...state,
        ...(coming ? { coming: { since: now, ...coming } } : {}),
        ...(shrink ? { shrink: { since: now, ...shrink } } : {}),
      };
    }
  }
}

/** Someone else changed the parameters (an editor, a merged pull request): that is as good as a decision. */
export function adopted(state: PolicyState, desired: Desired, now: number): PolicyState {
  if (desired.burst === state.desired.burst) {
    const grown = desired.cloudMembers - state.desired.cloudMembers;
    return {
      ...state,
      desired,
      misfits: 0,
      fewer: undefined,
      shrink: undefined,
      coming: grown > 0 ? { members: grown } : undefined,
    };
  }
  return {
    ...forget(state),
    coming: undefined,
    shrink: undefined,
    desired,
    since: now,
    phase: desired.burst ? "bursting" : "homing",
    stayFrom: desired.burst ? now : state.stayFrom,
  };
}

/** Drops the evidence that was building up: after a gap, or when demand could not be seen. */
export function forget(state: PolicyState): PolicyState {
  return { ...state, above: 0, misfits: 0, belowSince: undefined, fewer: undefined };
}

/** An observation older than that says nothing about now; after a gap as long, evidence starts anew. */
export function staleAfterMs(policy: BurstPolicy): number {
  return Math.max(10_000, policy.intervalMs * 5);
}
