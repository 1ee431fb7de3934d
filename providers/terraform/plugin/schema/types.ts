import type { Attributes, Collection, Kind, Leaf, Mode, Nested } from "./attribute";
import type { Unknown } from "./unknown";

/**
 * The moments at which the same attributes look different:
 *
 * | view | when | unknown leaves |
 * |---|---|---|
 * | `config` | what is written, at apply | none |
 * | `planConfig` | what is written, at validate and plan | anywhere |
 * | `plan` | what will be, at plan | anywhere |
 * | `planned` | what was planned, at apply | only what the provider computes |
 * | `state` | what is | none |
 */
export type View = "config" | "planConfig" | "plan" | "planned" | "state";

interface OfKind<K extends Kind> {
  readonly kind: K;
}

interface OfMode<M extends Mode> {
  readonly mode: M;
}

type Open<V extends View> = V extends "planConfig" | "plan" ? Unknown : never;

/** The value of a kind of attribute, when it is given. The first line ends the recursion for schemas that are not known. */
export type Value<K extends Kind, V extends View> = Kind extends K
  ? unknown
  : K extends Leaf<infer T>
    ? T
    : K extends Collection<infer N, infer A>
      ? N extends "map"
        ? Record<string, Value<A["kind"], V> | Open<V>>
        : (Value<A["kind"], V> | Open<V>)[]
      : K extends Nested<infer N, infer S>
        ? N extends "single"
          ? ObjectOf<S, V>
          : N extends "map"
            ? Record<string, ObjectOf<S, V> | Open<V>>
            : (ObjectOf<S, V> | Open<V>)[]
        : never;

type ConfigValue<K extends Kind, M extends Mode, V extends View> = M extends "computed" | "computedOrNull"
  ? null
  : M extends "required" | "requiredWriteOnly"
    ? Value<K, V> | Open<V>
    : Value<K, V> | Open<V> | null;

type StoredValue<K extends Kind, M extends Mode, V extends View> = M extends "writeOnly" | "requiredWriteOnly"
  ? null
  : M extends "required" | "default"
    ? Value<K, V> | Open<V>
    : M extends "optional"
      ? Value<K, V> | Open<V> | null
      : ComputedValue<K, M, V>;

type ComputedValue<K extends Kind, M extends Mode, V extends View> =
  | (V extends "planned" ? Value<K, "plan"> | Unknown : Value<K, V> | Open<V>)
  | (M extends "computedOrNull" | "optionalComputedOrNull" ? null : never);

/** The value of one attribute. */
export type AttributeValue<A, V extends View> = A extends OfKind<infer K> & OfMode<infer M>
  ? V extends "config" | "planConfig"
    ? ConfigValue<K, M, V>
    : StoredValue<K, M, V>
  : never;

/** An object of all attributes of a schema. */
export type ObjectOf<S extends Attributes, V extends View> = {
  -readonly [N in keyof S]: AttributeValue<S[N], V>;
};

/** What the configuration says, wholly known: at apply, in data sources. Null is "not given". */
export type Config<S extends Attributes> = ObjectOf<S, "config">;

/** What the configuration says at validate and plan time, when parts may not be known yet. */
export type PlanConfig<S extends Attributes> = ObjectOf<S, "planConfig">;

/** What will be, at plan time: defaults filled in, computed values {@link Unknown} unless they are kept. */
export type Plan<S extends Attributes> = ObjectOf<S, "plan">;

/** What was planned, at apply time: only computed values may still be {@link Unknown}. */
export type Planned<S extends Attributes> = ObjectOf<S, "planned">;

/** What is: no unknowns. Write-only attributes are always null. */
export type State<S extends Attributes> = ObjectOf<S, "state">;

type RequiredNames<S extends Attributes> = {
  [N in keyof S]: S[N] extends OfMode<infer M>
    ? M extends "required" | "requiredWriteOnly"
      ? N
      : never
    : never;
}[keyof S];

type ComputedNames<S extends Attributes> = {
  [N in keyof S]: S[N] extends OfMode<infer M>
    ? M extends "computed" | "computedOrNull"
      ? N
      : never
    : never;
}[keyof S];

type InputValue<A> =
  A extends OfKind<infer K>
    ? Kind extends K
      ? unknown
      : K extends Nested<infer N, infer S>
        ? N extends "single"
          ? ConfigInput<S>
          : N extends "map"
            ? Record<string, ConfigInput<S>>
            : ConfigInput<S>[]
        : Value<K, "config">
    : never;

/** A configuration as a person writes it: only the required attributes must be there. */
export type ConfigInput<S extends Attributes> = { [N in RequiredNames<S>]: InputValue<S[N]> } & {
  [N in Exclude<keyof S, RequiredNames<S> | ComputedNames<S>>]?: InputValue<S[N]> | null;
};

type Below<A> =
  A extends OfKind<infer K>
    ? Kind extends K
      ? readonly (string | number)[]
      : K extends Nested<infer N, infer S>
        ? N extends "single"
          ? StepsOf<S>
          : N extends "list"
            ? readonly [number] | readonly [number, ...StepsOf<S>]
            : N extends "map"
              ? readonly [string] | readonly [string, ...StepsOf<S>]
              : never
        : K extends Collection<infer N, infer _E>
          ? N extends "list"
            ? readonly [number]
            : N extends "map"
              ? readonly [string]
              : never
          : never
    : never;

type StepsOf<S extends Attributes> = {
  [N in keyof S & string]: readonly [N] | readonly [N, ...Below<S[N]>];
}[keyof S & string];

/** A checked path to an attribute: `"members"`, `["monitor", "path"]`, `["answers", 0, "weight"]`. */
export type AttributePath<S extends Attributes> = (keyof S & string) | StepsOf<S>;
