import type { DesiredParameters } from "../desired/parameters";
import type { Desired } from "./state";

/** The part of the parameters that the policy decides. */
export function desiredOf(parameters: DesiredParameters): Desired {
  return {
    burst: parameters.burst,
    cloudMembers: parameters.cloud_members,
    weights: parameters.weights,
  };
}

/** The parameters that say `desired`; what the policy does not decide stays as it was in `present`. */
export function parametersFor(
  desired: Desired,
  reason: string,
  present: Pick<DesiredParameters, "image_digest">,
): DesiredParameters {
  return {
    burst: desired.burst,
    cloud_members: desired.cloudMembers,
    weights: desired.weights,
    image_digest: present.image_digest,
    reason,
  };
}

/** Do the two ask for the same of the stack? Their reasons may differ. */
export function sameDesired(a: Desired, b: Desired): boolean {
  const sites = new Set([...Object.keys(a.weights), ...Object.keys(b.weights)]);
  return (
    a.burst === b.burst &&
    a.cloudMembers === b.cloudMembers &&
    [...sites].every((site) => a.weights[site] === b.weights[site])
  );
}
