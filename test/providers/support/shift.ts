import { Agent } from "node:http";
import type { QuiesceSpec } from "../../../lib/site/api";
import type { BalancerMember, BalancerPool } from "../../../lib/site/ports";
import { reselection } from "../../../lib/steps/direct/reselection";
import { startApp, type App } from "../local/support/app";
import { memberOf } from "../local/support/balancer";
import { ask, cookieOf, rawClient } from "../local/support/client";

/** What the suite needs of a balancer under test. */
export interface ShiftBalancer {
  pool(
    name: string,
    members: readonly BalancerMember[],
    extra?: Partial<BalancerPool>,
  ): Promise<BalancerPool>;
  put(pool: BalancerPool): Promise<void>;
  end(): Promise<void>;
}

type Site = "onprem" | "cloud";
type Weights = Readonly<Record<Site, number>>;

const CLIENTS = 200;
const TTL_MS = 500;
const PAUSE_MS = 400;
/** TTL, pace, and the next request of the last one who is asked. */
const SETTLED_MS = TTL_MS + 2_000 + 2 * PAUSE_MS;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const once = (share: number, afterMs = 0): QuiesceSpec => ({
  share,
  forMs: 60_000,
  idleCloseMs: 30_000,
  afterMs,
  once: true,
});

/** A client that keeps its connection, keeps to the TTL, and asks for the name anew whenever it connects. */
class Client {
  at: Site = "onprem";
  readonly failures: string[] = [];
  closes = 0;
  private cookie: string | undefined;
  private known: { readonly site: Site; readonly until: number } | undefined;
  private agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private stopped = false;

  constructor(
    private readonly lookUp: () => Site,
    private readonly ports: Readonly<Record<Site, number>>,
    private readonly keepsCookies: boolean,
  ) {}

  async run(): Promise<void> {
    let connected = false;
    await pause(Math.random() * PAUSE_MS);
    while (!this.stopped) {
      if (!connected) this.at = this.resolve();
      try {
        const headers = this.cookie === undefined ? {} : { cookie: this.cookie };
        const answer = await ask(this.ports[this.at], "/id", { agent: this.agent, headers });
        if (answer.status !== 200) this.failures.push(`${answer.status}`);
        if (this.keepsCookies) this.cookie = cookieOf(answer) ?? this.cookie;
        connected = answer.headers.connection !== "close";
        if (!connected) this.closes += 1;
      } catch (error) {
        this.failures.push(String(error));
        connected = false;
      }
      await pause(PAUSE_MS * (0.75 + Math.random() / 2));
    }
    this.agent.destroy();
  }

  stop(): void {
    this.stopped = true;
  }

  private resolve(): Site {
    if (this.known === undefined || Date.now() >= this.known.until) {
      this.known = { site: this.lookUp(), until: Date.now() + TTL_MS };
    }
    return this.known.site;
  }
}

/** What holds of every balancer that moves users who keep connections. */
export function describeShift(
  title: string,
  start: () => Promise<ShiftBalancer>,
  describeIt: (title: string, body: () => void) => void = describe,
): void {
  describeIt(title, () => {
    let balancer: ShiftBalancer;
    let app: App;

    beforeAll(async () => {
      [balancer, app] = [await start(), await startApp("one")];
    });
    afterAll(async () => {
      await balancer?.end();
      await app?.close();
    });

    test("users who keep connections follow the weights; nobody is asked twice, and no request fails", async () => {
      const pools = {
        onprem: await balancer.pool("onprem", [memberOf(app)], { affinity: "cookie" }),
        cloud: await balancer.pool("cloud", [memberOf(app)], { affinity: "cookie" }),
      };
      let weights: Weights = { onprem: 100, cloud: 0 };
      const ports = { onprem: pools.onprem.listen.port, cloud: pools.cloud.listen.port };
      const lookUp = () => (Math.random() * 100 < weights.onprem ? "onprem" : "cloud");
      const clients = Array.from({ length: CLIENTS }, (_, at) => new Client(lookUp, ports, at % 2 === 0));
      const running = Promise.all(clients.map((client) => client.run()));
      const inCloud = () => clients.filter(({ at }) => at === "cloud").length / CLIENTS;
      await pause(2 * PAUSE_MS);
      try {
        for (const wanted of [
          { onprem: 50, cloud: 50 },
          { onprem: 80, cloud: 20 },
        ]) {
          const present = { onprem: 1 - inCloud(), cloud: inCloud() };
          for (const client of clients) client.closes = 0;
          weights = wanted;
          const shares = reselection(present, wanted);
          for (const site of ["onprem", "cloud"] as const) {
            await balancer.put({ ...pools[site], quiesce: once(shares[site] ?? 0, TTL_MS) });
          }
          await pause(SETTLED_MS);
          const noise = 3 * Math.sqrt((0.01 * wanted.cloud * (1 - 0.01 * wanted.cloud)) / CLIENTS);
          expect(Math.abs(inCloud() - 0.01 * wanted.cloud)).toBeLessThan(0.05 + noise);
          expect(Math.max(...clients.map(({ closes }) => closes))).toBe(1);
        }
      } finally {
        for (const client of clients) client.stop();
        await running;
      }
      expect(clients.flatMap(({ failures }) => failures)).toEqual([]);
    }, 30_000);

    test("nobody is asked before the time; then each is, also when the same is told again, and nobody who came later", async () => {
      const pool = await balancer.pool("later", [memberOf(app)], { affinity: "cookie" });
      const connect = () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        const visit = async () =>
          (await ask(pool.listen.port, "/id", { agent })).headers.connection === "close";
        return { agent, visit };
      };
      const early = Array.from({ length: 10 }, connect);
      for (const { visit } of early) expect(await visit()).toBe(false);
      await pause(20);
      await balancer.put({ ...pool, quiesce: once(1, 600) });
      await pause(450);
      const late = Array.from({ length: 10 }, connect);
      for (const { visit } of [...early, ...late]) expect(await visit()).toBe(false);
      await pause(200);
      // An agent tells a pool anew whenever something else of it changes, with what is left of the order.
      await balancer.put({ ...pool, sessionIdleMs: 30_000, quiesce: { ...once(1, 0), forMs: 59_950 } });
      await pause(2_000);
      await balancer.put({ ...pool, quiesce: { ...once(1, 0), forMs: 57_950 } });
      const asked = await Promise.all(early.map(({ visit }) => visit()));
      expect(asked).toEqual(Array(10).fill(true));
      const again = await Promise.all([...early, ...late].map(({ visit }) => visit()));
      expect(again.some(Boolean)).toBe(false);
      [...early, ...late].forEach(({ agent }) => agent.destroy());
    }, 15_000);

    test("a tunnel opens and stays, even on a connection that is to leave", async () => {
      const pool = await balancer.pool("tunnel", [memberOf(app)]);
      const client = await rawClient(pool.listen.port);
      client.send("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.expect(/"one"/);
      await pause(20);
      await balancer.put({ ...pool, quiesce: { share: 1, forMs: 0, idleCloseMs: 60_000 } });
      client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      await client.expect(/ 101 [^]*one:/);
      client.send("hello");
      await client.expect(/HELLO/);
      client.socket.destroy();
    });
  });
}
