import { TerraformProvider, TerraformStack, Token } from "cdktf";
import type { IConstruct } from "constructs";

const REGION = /^[a-z]{2}(-[a-z]+)+-\d+$/;

export function isRegion(text: unknown): text is string {
  return typeof text === "string" && !Token.isUnresolved(text) && REGION.test(text);
}

/** The region that the stack's AWS provider is configured with, if it is written there. */
export function regionOf(scope: IConstruct, provider?: TerraformProvider): string | undefined {
  const candidates = provider
    ? [provider]
    : TerraformStack.of(scope).node.children.filter(
        (child): child is TerraformProvider =>
          TerraformProvider.isTerraformProvider(child) &&
          child.terraformResourceType === "aws" &&
          child.alias === undefined,
      );
  const region: unknown = candidates[0] && Reflect.get(candidates[0], "region");
  return isRegion(region) ? region : undefined;
}
