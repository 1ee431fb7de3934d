import type { DesiredParameters } from "../desired/parameters";
import type { Decision, Observation, Refusal } from "../policy";
import type { Progress } from "../wait";
import type { TerraformEvent } from "./terraform-events";

/** A line of the provider's progress file. */
export interface ProviderProgress extends Progress {
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Something the hook saw or did, in order, for a terminal, a timeline or a test. `at` is milliseconds since 1970. */
export type HookEvent = { readonly at: number } & (
  | { readonly kind: "waiting"; readonly message: string }
  | { readonly kind: "started"; readonly mode: "apply" | "propose"; readonly parameters: DesiredParameters }
  | { readonly kind: "observed"; readonly observation: Observation }
  /** Every decision, `hold` too. */
  | { readonly kind: "decided"; readonly decision: Decision }
  | { readonly kind: "intended"; readonly parameters: DesiredParameters }
  | {
      readonly kind: "planned";
      readonly summary: string;
      /** What changes of the cost, in a few words; absent when nothing does, or no prices are known. */
      readonly cost?: string;
      readonly markdown: string;
      /** What is allowed, and yet worth a look, one sentence; told as a `problem` too. */
      readonly warning?: string;
    }
  | { readonly kind: "refused"; readonly refusals: readonly Refusal[]; readonly nextTryAt: number }
  | { readonly kind: "flipped"; readonly parameters: DesiredParameters }
  | {
      readonly kind: "proposed";
      readonly branch: string;
      readonly commit: string;
      readonly parameters: DesiredParameters;
    }
  | { readonly kind: "applying"; readonly pid: number }
  | { readonly kind: "terraform"; readonly event: TerraformEvent }
  | { readonly kind: "progress"; readonly progress: ProviderProgress }
  | { readonly kind: "aborting"; readonly why: string }
  | { readonly kind: "aborted" }
  | { readonly kind: "applied"; readonly changed: boolean; readonly durationMs: number }
  | { readonly kind: "verified"; readonly inForce: boolean; readonly detail: string }
  | {
      readonly kind: "failed";
      readonly problem: string;
      /** Failures in a row. */
      readonly failures: number;
      readonly nextTryAt: number;
    }
  /** A transfer in the background begins. */
  | { readonly kind: "pre-positioning"; readonly why: string; readonly capBps?: number }
  | {
      readonly kind: "pre-positioned";
      readonly digest: string;
      readonly sizeBytes: number;
      readonly sentBytes: number;
      readonly durationMs: number;
    }
  /** What has crossed stays; it goes on from there. */
  | { readonly kind: "pre-position-stopped"; readonly why: string }
  /** Whether the seed is worth its keep: said when that changes. */
  | { readonly kind: "seed-advice"; readonly keep: boolean; readonly reason: string }
  /** Something is wrong, and the hook goes on. */
  | { readonly kind: "problem"; readonly message: string }
  | { readonly kind: "stopped" }
);
