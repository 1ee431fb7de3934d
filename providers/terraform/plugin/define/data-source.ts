import type { Attributes, Config, State } from "../schema";
import type { ClientContext, HandlerContext } from "./context";
import type { ValidateRequest } from "./resource";

export interface DataSourceHandlers<Client, S extends Attributes> {
  readonly schema: S;
  /** What it is, in Markdown. */
  readonly description: string;
  readonly deprecated?: string;
  /** Checks beyond those of single attributes. Called without a client; values may be `UNKNOWN`. */
  validate?(request: ValidateRequest<S>, ctx: HandlerContext): void | Promise<void>;
  /** Reads it, at plan time if the configuration is known by then, else at apply. */
  read(request: { readonly config: Config<S> }, ctx: ClientContext<Client>): State<S> | Promise<State<S>>;
}

/** A data source of any schema, as a provider takes it. */
export interface AnyDataSource<Client> {
  readonly kind: "data-source";
  /** Only for the type system: a provider's client must be what the data source takes. */
  readonly takes?: (client: Client) => void;
}

/** A data source. Made by {@link defineDataSource}. */
export interface DataSource<Client, S extends Attributes = Attributes>
  extends DataSourceHandlers<Client, S>, AnyDataSource<Client> {}

/** Defines a data source: `defineDataSource<Client>()({ … })`. */
export function defineDataSource<Client>() {
  return <const S extends Attributes>(handlers: DataSourceHandlers<Client, S>): DataSource<Client, S> => ({
    ...handlers,
    kind: "data-source",
  });
}
