import type { TerraformResource } from "cdktf";
import { addressOf } from "../../../lib/constructs/condition";

export { addressOf, countOf } from "../../../lib/constructs/condition";

/**
 * An attribute of a resource of the same stack, as Terraform's text; null while a conditional one is not there. Text and not a token:
 * CDKTF takes a stack trace for each token, which is most of what a synth costs.
 */
export function attribute(resource: TerraformResource, name: string): string {
  const address = addressOf(resource);
  return resource.count === undefined ? `\${${address}.${name}}` : `\${one(${address}[*].${name})}`;
}

/** The resource is made after the others, and goes before them. As text, likewise. */
export function comesAfter(resource: TerraformResource, others: readonly TerraformResource[]): void {
  if (others.length > 0) resource.addOverride("depends_on", others.map(addressOf));
}
