import { createServer, type AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BalancerMember, BalancerPool, BalancerPoolView } from "../../../../lib/site/ports";
import { LocalBalancer } from "../../../../providers/local/balancer";

/** What a probe of each test pool carries. */
export const PROBE_KEY = "key-of-the-test-pools";

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "spillway-test-"));
}

export function memberOf(
  app: { id: string; port: number },
  extra: Partial<BalancerMember> = {},
): BalancerMember {
  return { id: app.id, address: "127.0.0.1", port: app.port, draining: false, ...extra };
}

/** A balancer of its own for one test file, ended with it. */
export interface TestBalancer {
  readonly balancer: LocalBalancer;
  readonly stateDir: string;
  /** A pool on a free port, with quick monitors, of which single fields may be other. */
  pool(
    name: string,
    members: readonly BalancerMember[],
    extra?: Partial<BalancerPool>,
  ): Promise<BalancerPool>;
  put(pool: BalancerPool): Promise<void>;
  view(name: string): Promise<BalancerPoolView>;
  /** Looks until it is so, for 5 s at most. */
  until(name: string, what: (view: BalancerPoolView) => boolean): Promise<BalancerPoolView>;
  end(): Promise<void>;
}

export async function startBalancer(): Promise<TestBalancer> {
  const stateDir = temporaryFolder();
  const balancer = new LocalBalancer({ stateDir });
  await balancer.start();
  const view = async (name: string) => {
    const seen = await balancer.view(name);
    if (seen === undefined) throw new Error(`no pool ${name}`);
    return seen;
  };
  const until = async (name: string, what: (view: BalancerPoolView) => boolean) => {
    const deadline = Date.now() + 5_000;
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
      const pool: BalancerPool = {
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
      await balancer.put(pool);
      await until(name, (view) => view.members.every(({ up }) => up));
      return pool;
    },
    async end() {
      await balancer.stop();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
