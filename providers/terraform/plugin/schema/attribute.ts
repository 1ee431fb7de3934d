import type { ConfigInput, Value } from "./types";

/** The type of a single value as the wire names it. */
export type LeafWire = "string" | "number" | "bool" | "dynamic";

/** How a leaf looks in TypeScript. `number`, `bigint` and `decimal` are all a number on the wire. */
export type LeafForm = "string" | "number" | "integer" | "bigint" | "decimal" | "bool" | "dynamic";

/** A single value. */
export interface Leaf<T> {
  readonly shape: "leaf";
  readonly form: LeafForm;
  /** Only for the type system: the TypeScript type of the value. */
  readonly type?: T;
}

/** A list, set or map of values that have no attributes of their own. */
export interface Collection<N extends "list" | "set" | "map", E extends AnyAttribute> {
  readonly shape: "collection";
  readonly nesting: N;
  readonly element: E;
}

/** An object with attributes of its own, or a list, set or map of such. */
export interface Nested<N extends "single" | "list" | "set" | "map", S extends Attributes> {
  readonly shape: "nested";
  readonly nesting: N;
  readonly attributes: S;
}

export type Kind =
  | Leaf<unknown>
  | Collection<"list" | "set" | "map", AnyAttribute>
  | Nested<"single" | "list" | "set" | "map", Attributes>;

/** Who may and must give the value. `…OrNull`: the provider may leave it null. */
export type Mode =
  | "required"
  | "optional"
  | "default"
  | "computed"
  | "computedOrNull"
  | "optionalComputed"
  | "optionalComputedOrNull"
  | "writeOnly"
  | "requiredWriteOnly";

/** An attribute of any type. */
export interface AnyAttribute {
  readonly kind: Kind;
  readonly mode: Mode;
  readonly options: AttributeOptions;
}

/** Is its value handed to the provider, and stored nowhere? */
export function isWriteOnly({ mode }: AnyAttribute): boolean {
  return mode === "writeOnly" || mode === "requiredWriteOnly";
}

/** The attributes of a resource, a data source, a provider or a nested object, by name. */
export interface Attributes {
  readonly [name: string]: AnyAttribute;
}

/**
 * What is wrong with a value, completing "`members` …": `must be at least 1`. The runtime adds the attribute and the value.
 * Undefined when it is fine.
 */
export type CheckResult = string | { readonly problem: string; readonly mend: string } | undefined;

export interface AttributeOptions {
  readonly description: string;
  readonly forceNew: boolean;
  readonly keepPrior: boolean;
  readonly sensitive: boolean;
  readonly deprecated?: string;
  readonly defaultValue?: unknown;
  readonly checks: readonly ((value: unknown) => CheckResult)[];
  /** Set on the attribute that {@link timeouts} makes: default milliseconds by operation. */
  readonly timeouts?: Readonly<Record<string, number>>;
}

const PLAIN: AttributeOptions = {
  description: "",
  forceNew: false,
  keepPrior: false,
  sensitive: false,
  checks: [],
};

type WriteOnlyOf<M extends Mode> = M extends "required" ? "requiredWriteOnly" : "writeOnly";

type NullableOf<M extends Mode> = M extends "computed"
  ? "computedOrNull"
  : M extends "optionalComputed"
    ? "optionalComputedOrNull"
    : M;

/** One attribute of a schema. Immutable: each method returns another one. Made by {@link a}. */
export class Attribute<K extends Kind, M extends Mode> implements AnyAttribute {
  /** @internal */
  constructor(
    readonly kind: K,
    readonly mode: M,
    readonly options: AttributeOptions = PLAIN,
  ) {}

  /** The configuration must give it. This is how every attribute starts. */
  required(): Attribute<K, "required"> {
    return this.as("required");
  }

  /** The configuration may give it; else it is null. */
  optional(): Attribute<K, "optional"> {
    return this.as("optional");
  }

  /** Only the provider gives it. Unknown in a plan that changes something, unless {@link keepPrior}. */
  computed(): Attribute<K, "computed"> {
    return this.as("computed");
  }

  /** The configuration may give it; else the provider does. */
  optionalComputed(): Attribute<K, "optionalComputed"> {
    return this.as("optionalComputed");
  }

  /**
   * The configuration may give it; else it is `value`. For a nested object `{}` is enough when all its attributes have
   * defaults.
   */
  default(value: DefaultOf<K>): Attribute<K, "default"> {
    return new Attribute(this.kind, "default", { ...this.options, defaultValue: value });
  }

  /** A computed attribute that the provider may leave null. */
  nullable(): Attribute<K, NullableOf<M>> {
    const mode =
      this.mode === "computed" || this.mode === "optionalComputed" ? `${this.mode}OrNull` : this.mode;
    return this.as(mode as NullableOf<M>);
  }

  /** A change of it replaces the resource. */
  forceNew(): Attribute<K, M> {
    return this.with({ forceNew: true });
  }

  /** A computed value that an update does not change: it stays known in the plan. */
  keepPrior(): Attribute<K, M> {
    return this.with({ keepPrior: true });
  }

  /** Terraform does not print it. It is in the state, in clear: prefer {@link writeOnly} for a secret. */
  sensitive(): Attribute<K, M> {
    return this.with({ sensitive: true });
  }

  /**
   * Handed to the provider at plan and apply, and saved nowhere. Only in `config`. Needs Terraform 1.11 or OpenTofu 1.11.
   */
  writeOnly(): Attribute<K, WriteOnlyOf<M>> {
    return this.as((this.mode === "required" ? "requiredWriteOnly" : "writeOnly") as WriteOnlyOf<M>);
  }

  /** Adds a check, made as early as the value is known. */
  check(check: (value: Value<K, "config">) => CheckResult): Attribute<K, M> {
    return this.with({ checks: [...this.options.checks, check as (value: unknown) => CheckResult] });
  }

  /** What it is, its unit, and what happens when it changes. Every attribute needs one. */
  describe(description: string): Attribute<K, M> {
    return this.with({ description });
  }

  /** Terraform warns whoever uses it. `message` says what to use instead. */
  deprecated(message: string): Attribute<K, M> {
    return this.with({ deprecated: message });
  }

  /** @internal */
  with(options: Partial<AttributeOptions>): Attribute<K, M> {
    return new Attribute(this.kind, this.mode, { ...this.options, ...options });
  }

  private as<N extends Mode>(mode: N): Attribute<K, N> {
    return new Attribute(this.kind, mode, this.options);
  }
}

/** What `.default()` takes: a value as a configuration would give it. */
export type DefaultOf<K extends Kind> =
  K extends Nested<infer N, infer S>
    ? N extends "single"
      ? ConfigInput<S>
      : N extends "map"
        ? Record<string, ConfigInput<S>>
        : ConfigInput<S>[]
    : Value<K, "config">;
