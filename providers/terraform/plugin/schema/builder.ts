import type { Decimal } from "../values/decimal";
import {
  Attribute,
  type AnyAttribute,
  type Attributes,
  type Collection,
  type Leaf,
  type LeafForm,
  type Nested,
} from "./attribute";

function leaf<T>(form: LeafForm): Attribute<Leaf<T>, "required"> {
  return new Attribute<Leaf<T>, "required">({ shape: "leaf", form }, "required");
}

function collection<N extends "list" | "set" | "map", E extends AnyAttribute>(nesting: N, element: E) {
  return new Attribute<Collection<N, E>, "required">({ shape: "collection", nesting, element }, "required");
}

function nested<N extends "single" | "list" | "set" | "map", S extends Attributes>(
  nesting: N,
  attributes: S,
) {
  return new Attribute<Nested<N, S>, "required">({ shape: "nested", nesting, attributes }, "required");
}

/** Any JSON value: what a dynamic attribute holds. Numbers beyond a double arrive as their nearest one. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/**
 * The schema builder. Every attribute starts as required; `.optional()`, `.computed()`, `.default(…)` change that.
 *
 * @example
 * const server = {
 *   id: a.string().computed().keepPrior().describe("Made up by the server."),
 *   size: a.integer().default(1).check((n) => (n < 1 ? "must be at least 1" : undefined)).describe("Units."),
 *   listen: a.nested({ port: a.integer().describe("TCP port.") }).describe("Where it listens."),
 * };
 */
export const a = {
  /** Text. */
  string: () => leaf<string>("string"),
  /**
   * A JavaScript number. A value that has more digits than a double holds is handed to the handler as the nearest double, and
   * goes back to Terraform as it came unless the handler changes it.
   */
  number: () => leaf<number>("number"),
  /** A JavaScript number that must be whole and at most 2^53 either way. */
  integer: () => leaf<number>("integer"),
  /** A whole number of any size. */
  bigint: () => leaf<bigint>("bigint"),
  /** A number of any size and precision, kept as its decimal digits. */
  decimal: () => leaf<Decimal>("decimal"),
  bool: () => leaf<boolean>("bool"),
  /** Whatever the configuration gives. Prefer a type: bindings cannot say much about it. */
  dynamic: () => leaf<Json>("dynamic"),
  /** A list of plain values: `a.list(a.string())`. Null elements are refused. */
  list: <E extends AnyAttribute>(element: E) => collection("list", element),
  /** A set of plain values, as an array in Terraform's order. */
  set: <E extends AnyAttribute>(element: E) => collection("set", element),
  /** A map of plain values. */
  map: <E extends AnyAttribute>(element: E) => collection("map", element),
  /** An object: `listen = { address = …, port = … }`. */
  nested: <S extends Attributes>(attributes: S) => nested("single", attributes),
  /** A list of objects. */
  nestedList: <S extends Attributes>(attributes: S) => nested("list", attributes),
  /** A set of objects, as an array in Terraform's order. */
  nestedSet: <S extends Attributes>(attributes: S) => nested("set", attributes),
  /** A map of objects. */
  nestedMap: <S extends Attributes>(attributes: S) => nested("map", attributes),
} as const;
