import type { AnyAttribute, Attributes } from "../schema";
import { entriesOf } from "./raw";

/** A type as Terraform writes it in JSON: `"string"`, `["list","number"]`, `["object",{…}]`. */
export type WireType = string | readonly [string, WireType | { readonly [name: string]: WireType }];

/** The type of an attribute that has no attributes of its own, or of a function's parameter. */
export function wireTypeOf(attribute: AnyAttribute): WireType {
  const { kind } = attribute;
  if (kind.shape === "leaf") {
    return kind.form === "string" || kind.form === "bool" || kind.form === "dynamic" ? kind.form : "number";
  }
  if (kind.shape === "collection") return [kind.nesting, wireTypeOf(kind.element)];
  const object = objectType(kind.attributes);
  return kind.nesting === "single" ? object : [kind.nesting, object];
}

function objectType(attributes: Attributes): WireType {
  return [
    "object",
    Object.fromEntries(entriesOf(attributes).map(([name, attribute]) => [name, wireTypeOf(attribute)])),
  ];
}
