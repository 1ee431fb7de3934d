import type { AttributePath, Attributes, Config, Plan, PlanConfig, Planned, State } from "../schema";
import type { Decimal } from "../values/decimal";
import type { HandlerContext, ResourceContext } from "./context";

type Awaitable<T> = T | Promise<T>;

export interface PlanRequest<S extends Attributes> {
  /** Null when the resource is to be created (also for the second half of a replacement). */
  readonly prior: State<S> | null;
  readonly config: PlanConfig<S>;
  /**
   * What will be. Change it in place: set computed values that can be told now, or `UNKNOWN`. A value that the configuration
   * gives may only become the prior value.
   */
  readonly plan: Plan<S>;
  /** The attributes marked `forceNew()` that change. */
  readonly replaces: boolean;
  /** Makes this change a replacement. Has no effect on a create. */
  requireReplace(path: AttributePath<S>): void;
  /** Adds an error and goes on, so that all of them are known at once. */
  error(path: AttributePath<S> | undefined, summary: string, detail?: string): void;
}

export interface ValidateRequest<S extends Attributes> {
  readonly config: PlanConfig<S>;
  /** Adds an error and goes on, so that all of them are known at once. */
  error(path: AttributePath<S> | undefined, summary: string, detail?: string): void;
}

export interface MoveRequest {
  /** `terraform_data`. */
  readonly sourceType: string;
  /** `registry.terraform.io/hashicorp/null`. */
  readonly sourceProvider: string;
  readonly sourceVersion: number;
  /** The other resource's state. */
  readonly state: RawState;
}

/** Stored JSON without loss: a number that a double does not hold as written is a bigint (whole) or a {@link Decimal}. */
export type RawJson =
  null | boolean | number | bigint | Decimal | string | RawJson[] | { [name: string]: RawJson };
/** A stored state, by attribute. */
export type RawState = { [name: string]: RawJson };

/**
 * The handlers of a resource. Throw a `Diagnostic` (or a `SpillwayError`) for an error; anything else thrown is reported by its
 * message.
 */
export interface ResourceHandlers<Client, S extends Attributes> {
  /** Every attribute by name. Put `timeouts` in with {@link timeouts}. */
  readonly schema: S;
  /** What it is, in Markdown. The first line of its documentation. */
  readonly description: string;
  /** Raise it when the stored state changes its shape. @default 0 */
  readonly version?: number;
  readonly deprecated?: string;

  /** Checks beyond those of single attributes. Called without a client; values may be `UNKNOWN`. */
  validate?(request: ValidateRequest<S>, ctx: HandlerContext): Awaitable<void>;
  /**
   * The last word on a plan. The client is there; it may be one that was configured with unknown values. Called on create,
   * on update and when nothing seems to change.
   */
  modifyPlan?(request: PlanRequest<S>, ctx: ResourceContext<Client>): Awaitable<void>;
  /** Called when a destroy is planned: warn, or throw to refuse it. */
  planDestroy?(request: { readonly prior: State<S> }, ctx: ResourceContext<Client>): Awaitable<void>;

  /**
   * Makes it. Must be idempotent. Whatever it throws leaves no state, but for `PartialApply`, which saves a tainted one.
   * @returns the whole state; what was known in the plan must come back as planned
   */
  create(
    request: { readonly planned: Planned<S>; readonly config: Config<S> },
    ctx: ResourceContext<Client>,
  ): Awaitable<State<S>>;
  /** Looks at it. Null: it is gone, and will be planned anew. After an import, `state` is what `importState` returned. */
  read(request: { readonly state: State<S> }, ctx: ResourceContext<Client>): Awaitable<State<S> | null>;
  /**
   * Changes it in place. Left out: then every attribute that the configuration can give must be `forceNew()`. Whatever it
   * throws keeps the prior state, but for `PartialApply`.
   */
  update?(
    request: { readonly prior: State<S>; readonly planned: Planned<S>; readonly config: Config<S> },
    ctx: ResourceContext<Client>,
  ): Awaitable<State<S>>;
  /** Removes it. Must be idempotent. Whatever it throws keeps the prior state. */
  delete(request: { readonly state: State<S> }, ctx: ResourceContext<Client>): Awaitable<void>;

  /** `terraform import ADDRESS ID`. Null: there is no such thing. */
  importState?(request: { readonly id: string }, ctx: ResourceContext<Client>): Awaitable<State<S> | null>;
  /** By stored version: makes a state of the present version out of a stored one. */
  readonly upgrade?: Readonly<Record<number, (state: RawState) => Awaitable<State<S>>>>;
  /** `moved {}` from another type. Undefined: this type cannot be moved here. */
  moveState?(request: MoveRequest, ctx: HandlerContext): Awaitable<State<S> | undefined>;
}

/** A resource of any schema, as a provider takes it. */
export interface AnyResource<Client> {
  readonly kind: "resource";
  /** Only for the type system: a provider's client must be what the resource takes. */
  readonly takes?: (client: Client) => void;
}

/** A resource. Made by {@link defineResource}. */
export interface Resource<Client, S extends Attributes = Attributes>
  extends ResourceHandlers<Client, S>, AnyResource<Client> {}

/**
 * Defines a resource. The client's type is given, the schema's is inferred: hence the two calls.
 *
 * @example
 * const server = defineResource<Client>()({ schema: { … }, description: "…", create: async ({ planned }, ctx) => … });
 */
export function defineResource<Client>() {
  return <const S extends Attributes>(handlers: ResourceHandlers<Client, S>): Resource<Client, S> => ({
    ...handlers,
    kind: "resource",
  });
}
