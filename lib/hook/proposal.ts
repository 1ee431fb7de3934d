import type { DesiredParameters } from "../desired";
import { count, type Refusal } from "../policy";
import { judge, tellPlan, withdraws, type AttemptOptions } from "./attempt";
import { planText } from "./plan-text";
import { propose, type Proposal } from "./propose";
import type { Terraform } from "./terraform";
import { weightsInWords } from "./verify";

export interface ProposalRequest extends Omit<AttemptOptions, "note" | "terraform"> {
  /** Undefined: the proposal is not rehearsed by a plan. */
  readonly terraform: Terraform | undefined;
  /** Milliseconds since 1970, for the branch's name. */
  readonly at: number;
}

export type ProposalOutcome =
  | { readonly kind: "refused"; readonly refusals: readonly Refusal[] }
  | ({ readonly kind: "proposed" } & Proposal);

/**
 * Commits what is wanted on a branch of its own, if a plan of it is safe. Changes nothing else.
 * @throws TerraformError, AbortedError, SpillwayError from git
 */
export async function makeProposal(request: ProposalRequest): Promise<ProposalOutcome> {
  const { manifest, parameters, wanted } = request;
  const rehearsed = await rehearse(request);
  if (rehearsed && rehearsed.refusals.length > 0) return { kind: "refused", refusals: rehearsed.refusals };
  const made = await propose({
    file: parameters.path,
    text: parameters.render(wanted),
    burst: manifest.name,
    message: message(manifest.name, wanted, rehearsed?.markdown),
    at: request.at,
    scratch: request.scratch,
  });
  return { kind: "proposed", ...made };
}

async function rehearse(
  request: ProposalRequest,
): Promise<{ readonly refusals: readonly Refusal[]; readonly markdown: string } | undefined> {
  const { terraform } = request;
  if (!terraform) return undefined;
  const candidate = request.parameters.writeCandidate(request.scratch, request.wanted);
  const plan = await terraform.plan(candidate, request.signal, {
    refresh: !withdraws(request, request.parameters.read()),
  });
  try {
    const { markdown } = planText(plan.model, request.telling ?? {});
    tellPlan(request, plan.model);
    return { refusals: await judge({ ...request, terraform }, plan.model), markdown };
  } finally {
    plan.dispose();
  }
}

/** The message of a proposal: what is to change, why, and what Terraform would do. */
function message(burst: string, wanted: DesiredParameters, markdown: string | undefined): string {
  const what = wanted.burst
    ? `${burst}: burst with ${count(wanted.cloud_members, "cloud member")} (${weightsInWords(wanted.weights)})`
    : `${burst}: come home`;
  return [what, "", `${wanted.reason}.`, ...(markdown === undefined ? [] : ["", markdown.trim()]), ""].join(
    "\n",
  );
}
