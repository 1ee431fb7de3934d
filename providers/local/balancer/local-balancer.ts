import type { Balancer, BalancerPool, BalancerPoolView } from "../../../lib/site/ports";
import { HelperProcess, type HelperHealth } from "../helper-process";
import { RETIRE_GRACE_MS } from "./front";

export interface LocalBalancerOptions {
  /** Private folder for its control socket, state and log. One balancer per folder. */
  readonly stateDir: string;
}

/**
 * The embedded balancer of a site: a detached process that carries on when this one is killed. When the balancer itself was
 * killed, the next call starts another, which takes up its pools from its state file.
 */
export class LocalBalancer implements Balancer {
  private readonly process: HelperProcess;

  constructor(options: LocalBalancerOptions) {
    this.process = new HelperProcess({
      kind: "balancer",
      stateDir: options.stateDir,
      entry: "providers/local/balancer/main",
      args: [],
    });
  }

  /** {@link Balancer.start} */
  start(): Promise<void> {
    return this.process.start();
  }

  /** {@link Balancer.put} */
  async put(pool: BalancerPool): Promise<void> {
    await this.process.ask("PUT", ["pools", pool.name], pool);
  }

  /** {@link Balancer.view} */
  view(pool: string): Promise<BalancerPoolView | undefined> {
    return this.process.ask<BalancerPoolView>("GET", ["pools", pool]);
  }

  /** {@link Balancer.remove} */
  async remove(pool: string): Promise<void> {
    await this.process.ask("DELETE", ["pools", pool], undefined, RETIRE_GRACE_MS + 10_000);
  }

  /** The process behind it: its id, CPU time and memory. */
  async health(): Promise<HelperHealth> {
    return (await this.process.ask<HelperHealth>("GET", ["health"])) as HelperHealth;
  }

  /** {@link Balancer.stop} */
  stop(): Promise<void> {
    return this.process.stop();
  }
}
