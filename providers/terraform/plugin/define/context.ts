import type { Path } from "../diagnostic";
import type { Json } from "../schema";

/** Notes the provider keeps beside a resource's state. Terraform stores them and shows them to nobody. Never put a secret in. */
export interface PrivateState {
  get(key: string): Json | undefined;
  /** Undefined removes the note. */
  set(key: string, value: Json | undefined): void;
}

export interface WarningOptions {
  readonly detail?: string;
  readonly path?: Path;
}

/** What every handler gets besides its request. */
export interface HandlerContext {
  /**
   * Aborted when Terraform is told to stop (Ctrl-C), when the operation's timeout is over, and when the plugin is shut down.
   * End soon then, and return or throw what is true: Terraform waits. `signal.reason` says why.
   */
  readonly signal: AbortSignal;
  /** Shown to the user when the operation ends. Ties it to an attribute if there is a path. */
  warn(summary: string, options?: WarningOptions): void;
  /** Goes to Terraform's log (`TF_LOG_PROVIDER=info`), never to the user. */
  log(
    level: "trace" | "debug" | "info" | "warn" | "error",
    message: string,
    fields?: Readonly<Record<string, Json>>,
  ): void;
}

/** What the handlers of a resource get. */
export interface ResourceContext<Client> extends HandlerContext {
  /** What the provider's `configure` returned. */
  readonly client: Client;
  readonly privateState: PrivateState;
  /** How long this operation may take, when the resource has `timeouts`. Its end aborts `signal`. */
  readonly timeoutMs: number | undefined;
}

/** What the handlers of a data source get. */
export interface ClientContext<Client> extends HandlerContext {
  /** What the provider's `configure` returned. */
  readonly client: Client;
}
