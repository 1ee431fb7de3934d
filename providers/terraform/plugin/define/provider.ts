import type { Attributes, PlanConfig } from "../schema";
import { checkProvider } from "./check";
import type { HandlerContext } from "./context";
import type { AnyDataSource, DataSource } from "./data-source";
import type { AnyFunction, ProviderFunction } from "./function";
import type { AnyResource, Resource, ValidateRequest } from "./resource";

export interface ProviderDefinition<Client, S extends Attributes> {
  /** The prefix of its types: `spillway` has `spillway_pool`. */
  readonly name: string;
  /** `1.2.3`. */
  readonly version: string;
  /** What it is, in Markdown. */
  readonly description: string;
  /** The attributes of the `provider` block. */
  readonly config: S;
  /** Checks beyond those of single attributes. Values may be `UNKNOWN`. */
  validate?(request: ValidateRequest<S>, ctx: HandlerContext): void | Promise<void>;
  /**
   * Makes the client that the handlers get. Called once per Terraform command, and again for each command in a kept process:
   * put nothing in globals. At plan time values may be `UNKNOWN`.
   */
  configure(config: PlanConfig<S>, ctx: HandlerContext): Client | Promise<Client>;
  /** By type, prefix included. */
  readonly resources: Readonly<Record<string, AnyResource<Client>>>;
  readonly dataSources?: Readonly<Record<string, AnyDataSource<Client>>>;
  /** By name, without prefix. */
  readonly functions?: Readonly<Record<string, AnyFunction>>;
}

/** A provider, ready to be served. Made by {@link defineProvider}. */
export interface Provider {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly config: Attributes;
  readonly validate?: (request: ValidateRequest<Attributes>, ctx: HandlerContext) => void | Promise<void>;
  readonly configure: (config: PlanConfig<Attributes>, ctx: HandlerContext) => unknown;
  readonly resources: Readonly<Record<string, Resource<unknown>>>;
  readonly dataSources: Readonly<Record<string, DataSource<unknown>>>;
  readonly functions: Readonly<Record<string, ProviderFunction>>;
}

/**
 * Defines a provider.
 * @throws Error that lists every mistake in its schemas: a missing description, a default that does not fit, a resource that can
 * be changed but has no `update`, and so on
 */
export function defineProvider<Client, const S extends Attributes>(
  definition: ProviderDefinition<Client, S>,
): Provider {
  // The schema of each part is known to its own handlers only; from here on the runtime converts values by the schema it finds.
  const provider = {
    ...definition,
    dataSources: definition.dataSources ?? {},
    functions: definition.functions ?? {},
  } as unknown as Provider;
  const mistakes = checkProvider(provider);
  if (mistakes.length > 0) throw new Error(`provider ${definition.name}:\n- ${mistakes.join("\n- ")}`);
  return provider;
}
