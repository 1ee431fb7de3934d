import { sameParameters, type DesiredParameters } from "../desired";
import type { ProcessHandle } from "../process-identity";
import {
  checkPlan,
  desiredOf,
  otherImageInCloud,
  type Observation,
  type PlanCheck,
  type Refusal,
} from "../policy";
import { changesAnything, summarise, type PlanModel } from "../review";
import type { HookEvent } from "./events";
import type { ParametersFile } from "./flip";
import type { BurstManifest } from "./manifest";
import { planText, type PlanTelling } from "./plan-text";
import type { Terraform } from "./terraform";

/** What one attempt needs. */
export interface AttemptOptions {
  readonly manifest: BurstManifest;
  readonly terraform: Terraform;
  readonly parameters: ParametersFile;
  readonly scratch: string;
  readonly wanted: DesiredParameters;
  /** The latest look at the sites, when the plan has been made. */
  readonly observation: () => Observation | undefined;
  /** What a plan's reader should know besides, one sentence. @default - nothing */
  readonly advice?: () => string | undefined;
  /** How plans are told. @default - without their cost */
  readonly telling?: PlanTelling;
  readonly signal: AbortSignal;
  readonly emit: (event: EventFact) => void;
  /** Called at each step that a restart must know of, before it has an effect. */
  readonly note: (note: AttemptNote) => void;
}

type WithoutTime<E> = E extends unknown ? Omit<E, "at"> : never;
/** An event whose time is still to be put on. */
export type EventFact = WithoutTime<HookEvent>;

export type AttemptNote =
  | { readonly kind: "planned"; readonly summary: string }
  | { readonly kind: "flipped"; readonly parameters: DesiredParameters }
  | { readonly kind: "applying"; readonly terraform: ProcessHandle };

export type AttemptOutcome =
  | { readonly kind: "refused"; readonly refusals: readonly Refusal[] }
  /** Someone else wrote the parameters meanwhile: what was planned is no longer what is wanted. */
  | { readonly kind: "overtaken" }
  | { readonly kind: "applied"; readonly changed: boolean };

/**
 * Brings the stack to `wanted`: plan with the parameters-to-be in a scratch file, check, flip the real file, apply that very plan. A plan
 * that is refused leaves no trace; one that is cut off after the flip is finished by any later `terraform apply`.
 * @throws TerraformError, AbortedError
 */
export async function attempt(options: AttemptOptions): Promise<AttemptOutcome> {
  const { terraform, signal, emit, note, wanted } = options;
  const before = options.parameters.read();
  const candidate = options.parameters.writeCandidate(options.scratch, wanted);
  const refresh = !withdraws(options, before);
  const plan = await terraform.plan(candidate, signal, { refresh });
  try {
    const summary = summarise(plan.model);
    note({ kind: "planned", summary });
    tellPlan(options, plan.model);
    const refusals = await judge(options, plan.model);
    if (refusals.length > 0) return { kind: "refused", refusals };

    if (!sameParameters(before, options.parameters.read())) return { kind: "overtaken" };
    note({ kind: "flipped", parameters: wanted });
    options.parameters.write(wanted);
    emit({ kind: "flipped", parameters: wanted });

    const changed = changesAnything(plan.model);
    if (!changed && plan.model.outputs.length === 0) return { kind: "applied", changed };
    await terraform.apply(plan, signal, {
      onStart: (handle) => {
        note({ kind: "applying", terraform: handle });
        emit({ kind: "applying", pid: handle.pid });
      },
      onEvent: (event) => emit({ kind: "terraform", event }),
    });
    return { kind: "applied", changed };
  } finally {
    plan.dispose();
  }
}

/**
 * Is the cloud to get no more users while the burst stays? Then it is down or silent: a plan that asked it how it is would fail, or
 * would launch its members anew before the record changes.
 */
export function withdraws(
  { manifest, observation, wanted }: Pick<AttemptOptions, "manifest" | "observation" | "wanted">,
  before: DesiredParameters,
): boolean {
  const { site } = manifest.cloud;
  if (!wanted.burst || wanted.weights[site] !== undefined) return false;
  return before.weights[site] !== undefined || observation()?.cloud.reachable === false;
}

/** Tells of a plan, and of what is odd about it. */
export function tellPlan(
  { emit, manifest, advice, telling }: Pick<AttemptOptions, "emit" | "manifest" | "advice" | "telling">,
  model: PlanModel,
): void {
  const besides = advice?.();
  const warning = otherImageInCloud(model, manifest);
  const { markdown, cost, problem } = planText(model, telling ?? {});
  emit({
    kind: "planned",
    summary: summarise(model),
    ...(cost === undefined ? {} : { cost }),
    markdown: `${markdown}${besides === undefined ? "" : `\n\n${besides}.\n`}`,
    ...(warning === undefined ? {} : { warning }),
  });
  for (const message of [warning, problem]) if (message !== undefined) emit({ kind: "problem", message });
}

/** Every reason not to apply the plan. */
export async function judge(options: Omit<AttemptOptions, "note">, model: PlanModel): Promise<Refusal[]> {
  const removes = model.changes.some(({ action }) => action === "delete" || action === "replace");
  const observation = options.observation();
  const check: PlanCheck = {
    plan: model,
    manifest: options.manifest,
    wanted: desiredOf(options.wanted),
    imageDigest: options.wanted.image_digest,
    createBeforeDestroy: removes ? await options.terraform.createBeforeDestroy(options.signal) : new Set(),
    ...(observation === undefined ? {} : { observation }),
  };
  return checkPlan(check);
}
