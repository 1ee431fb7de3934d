import type { Decision, Observation, PolicyState } from "../policy";
import type { BackOff } from "./back-off";
import type { ProviderProgress } from "./events";
import type { BurstPolicy } from "./manifest";
import { nextInWords } from "./next";
import type { PrePositionStatus } from "./pre-positioner";
import type { HookStatus } from "./status";

/** What the loop holds at the end of a turn. */
export interface LoopView {
  readonly burst: string;
  readonly mode: "apply" | "propose";
  readonly now: number;
  readonly policy: BurstPolicy;
  readonly state: PolicyState;
  readonly backOff: BackOff;
  readonly decision: Decision | undefined;
  readonly lastChange: HookStatus["lastChange"];
  readonly observation: Observation | undefined;
  /** The attempt that is going on. */
  readonly work:
    { readonly startedAt: number; readonly step: string; readonly progress?: ProviderProgress } | undefined;
  readonly prePosition?: PrePositionStatus;
}

/** The loop as `spillway status` shows it. */
export function statusOf(view: LoopView): HookStatus {
  const { backOff, decision, lastChange, now, observation, policy, state, work } = view;
  const { lastProblem, nextTryAt } = backOff;
  return {
    version: 1,
    burst: view.burst,
    mode: view.mode,
    pid: process.pid,
    updatedAt: now,
    phase: state.phase,
    phaseSince: state.since,
    ...(decision === undefined ? {} : { decision }),
    ...(lastChange === undefined ? {} : { lastChange }),
    next: nextInWords({ state, policy, backOff, now, ...(work === undefined ? {} : { step: work.step }) }),
    ...(observation === undefined ? {} : { observation }),
    ...(work === undefined
      ? {}
      : {
          running: {
            since: work.startedAt,
            step: work.step,
            ...(work.progress === undefined ? {} : { progress: work.progress }),
          },
        }),
    failures: backOff.failures,
    ...(lastProblem === undefined ? {} : { lastProblem, nextTryAt }),
    ...(view.prePosition === undefined ? {} : { prePosition: view.prePosition }),
  };
}
