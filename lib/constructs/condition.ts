import { Fn, TerraformStack, Token, conditional, ref } from "cdktf";
import type { TerraformResource } from "cdktf";

/**
 * A Terraform expression that is true or false, as a stack writes it (`${var.shop.burst}`), or a token.
 */
export type Condition = string;

/** The condition as an operand of a larger expression. */
export function operand(condition: Condition): unknown {
  const plain = /^\$\{(.*)\}$/s.exec(condition)?.[1];
  // A token has no braces to take off, and CDKTF knows how to nest it.
  return plain !== undefined && !Token.isUnresolved(condition) ? ref(plain) : condition;
}

/** The `count` of a resource that is there only under a condition. */
export function countOf(condition: Condition | undefined): number | undefined {
  return condition === undefined ? undefined : Token.asNumber(conditional(operand(condition), 1, 0));
}

/**
 * A string attribute of a resource that may be there or not; null while it is not. With `one()`, and not with an index, so that what
 * refers to it still stands in the plan that takes the resource away: that reference is what orders the way home.
 */
export function attributeOf(resource: TerraformResource, attribute: string): string {
  if (resource.count === undefined) return resource.getStringAttribute(attribute);
  const all = `${addressOf(resource)}[*].${attribute}`;
  return Token.asString(Fn.one(ref(all, TerraformStack.of(resource))));
}

/** The address of a resource in plans, without index. */
export function addressOf(resource: TerraformResource): string {
  return `${resource.terraformResourceType}.${resource.friendlyUniqueId}`;
}
