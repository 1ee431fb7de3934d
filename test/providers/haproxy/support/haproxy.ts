import { rmSync } from "node:fs";
import type { BalancerMember, BalancerPool, BalancerPoolView } from "../../../../lib/site/ports";
import { HaproxyBalancer, type HaproxyOptions } from "../../../../providers/haproxy";
import { describeWith } from "../../../support/daemons";
import { PROBE_KEY, freePort, temporaryFolder } from "../../local/support/balancer";

/** Tests that run a real HAProxy. */
export function describeWithHaproxy(title: string, body: () => void): void {
  describeWith(["haproxy"], title, body);
}

/** A HAProxy of its own for one test file, ended with it. */
export interface TestHaproxy {
  readonly balancer: HaproxyBalancer;
  readonly stateDir: string;
  pool(
    name: string,
    members: readonly BalancerMember[],
    extra?: Partial<BalancerPool>,
  ): Promise<BalancerPool>;
  put(pool: BalancerPool): Promise<void>;
  view(name: string): Promise<BalancerPoolView>;
  /** Looks until it is so, for 5 s at most. */
  until(
    name: string,
    what: (view: BalancerPoolView) => boolean,
    withinMs?: number,
  ): Promise<BalancerPoolView>;
  end(): Promise<void>;
}

export async function examplePool(
  name: string,
  members: readonly BalancerMember[],
  extra: Partial<BalancerPool> = {},
): Promise<BalancerPool> {
  return {
    name,
    listen: { address: "127.0.0.1", port: await freePort(), mode: "http" },
    monitor: {
      type: "http",
      path: "/",
      expectStatus: 200,
      intervalMs: 100,
      timeoutMs: 1_000,
      rise: 1,
      fall: 2,
    },
    affinity: "none",
    maxConnections: 0,
    sessionIdleMs: 30_000,
    members,
    quiesce: { share: 0, forMs: 0, idleCloseMs: 0 },
    probeKey: PROBE_KEY,
    ...extra,
  };
}

export async function startHaproxy(options: Partial<HaproxyOptions> = {}): Promise<TestHaproxy> {
  const stateDir = options.stateDir ?? temporaryFolder();
  const balancer = new HaproxyBalancer({ stateDir, ...options });
  await balancer.start();
  const view = async (name: string) => {
    const seen = await balancer.view(name);
    if (seen === undefined) throw new Error(`no pool ${name}`);
    return seen;
  };
  const until = async (name: string, what: (view: BalancerPoolView) => boolean, withinMs = 5_000) => {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const seen = await view(name);
      if (what(seen)) return seen;
      if (Date.now() > deadline) throw new Error(`it never came so; last seen: ${JSON.stringify(seen)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return {
    balancer,
    stateDir,
    view,
    until,
    put: (pool) => balancer.put(pool),
    async pool(name, members, extra = {}) {
      const pool = await examplePool(name, members, extra);
      await balancer.put(pool);
      await until(name, (seen) => seen.members.every(({ up }) => up));
      return pool;
    },
    async end() {
      await balancer.stop();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
