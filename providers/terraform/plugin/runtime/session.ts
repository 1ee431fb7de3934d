import { Diagnostic } from "../diagnostic";
import type { Provider } from "../define";
import { Operation, type Logger } from "./operation";

/** The client that `configure` made. */
interface Configured {
  readonly client: unknown;
}

/** What the connections to one process share. */
export interface Shared {
  readonly provider: Provider;
  readonly log: Logger;
  /** The last `configure` of any connection: a client that reconnects after a long silence does not configure again. */
  last: Configured | undefined;
}

/**
 * One connection of Terraform. A kept process serves many, with different configurations and at the same time; each has its own
 * client, and an operation keeps the client that it started with.
 */
export class Session {
  private configured: Configured | undefined;
  private readonly running = new Set<Operation>();

  constructor(readonly shared: Shared) {}

  get provider(): Provider {
    return this.shared.provider;
  }

  configure(client: unknown): void {
    this.configured = this.shared.last = { client };
  }

  /** @throws Diagnostic if the provider was never configured */
  client(): unknown {
    const configured = this.configured ?? this.shared.last;
    if (!configured)
      throw new Diagnostic({ summary: `The provider ${this.provider.name} is not configured` });
    return configured.client;
  }

  begin(name: string): Operation {
    const operation = new Operation(name, this.shared.log);
    this.running.add(operation);
    return operation;
  }

  end(operation: Operation): void {
    operation.end();
    this.running.delete(operation);
  }

  /** Stops what runs now. Later operations are not concerned. */
  stop(why: string): void {
    for (const operation of this.running) operation.stop(why);
  }

  get busy(): boolean {
    return this.running.size > 0;
  }
}
