import { Agent } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import type { BalancerMember } from "../../../lib/site/ports";
import { startApp, type App } from "../local/support/app";
import { startAppProcess } from "../local/support/app-process";
import { memberOf } from "../local/support/balancer";
import { ask, rawClient } from "../local/support/client";
import { describeWithHaproxy, startHaproxy, type TestHaproxy } from "./support/haproxy";

let site: TestHaproxy;
let apps: App[];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Users who ask without pause, half of them over kept connections, until stopped. */
function users(port: number, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  const failures: string[] = [];
  const served: Record<string, number> = {};
  let stopped = false;
  const running = Promise.all(
    Array.from({ length: count }, async (_, index) => {
      while (!stopped) {
        await ask(port, "/id?ms=5", { agent: index % 2 === 0 ? agent : false }).then(
          (answer) => {
            if (answer.status !== 200) return void failures.push(`status ${answer.status}`);
            served[answer.body] = (served[answer.body] ?? 0) + 1;
          },
          (error: Error) => failures.push(error.message),
        );
      }
    }),
  );
  return {
    served,
    stop: async () => {
      stopped = true;
      await running;
      agent.destroy();
      return { failures, answered: Object.values(served).reduce((all, each) => all + each, 0) };
    },
  };
}

describeWithHaproxy("a HAProxy under load", () => {
  beforeEach(async () => {
    apps = await Promise.all(["one", "two", "three"].map((id) => startApp(id)));
  });
  afterEach(async () => {
    await site?.end();
    await Promise.all(apps.map((app) => app.close()));
  });

  test("members come and go, pools come and go, users are nudged: nobody fails", async () => {
    site = await startHaproxy();
    const [one, two, three] = apps.map((app) => memberOf(app));
    const pool = await site.pool("shop", [one, two], { affinity: "cookie" });
    const load = users(pool.listen.port, 16);
    const look = async (what: readonly BalancerMember[]) => {
      await site.put({ ...pool, members: what });
      await site.until("shop", ({ members }) => what.every(({ id }) => members.find((m) => m.id === id)?.up));
    };
    for (let round = 0; round < 5; round += 1) {
      await look([one, two, three]);
      await look([one, { ...two, draining: true }, three]);
      await site.until("shop", ({ members }) => members[1].inFlight === 0);
      await look([one, three]);
      await site.put({
        ...pool,
        members: [one, three],
        quiesce: { share: 0.5, forMs: 1_000, idleCloseMs: 500 },
      });
      const other = await site.pool(`other-${round}`, [two]);
      await pause(200);
      await site.balancer.remove(other.name);
      await look([one, two]);
    }
    const { failures, answered } = await load.stop();
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(1_000);
    expect((await site.view("shop")).traffic.failedTotal).toBe(0);
    await site.until("shop", ({ members }) => members.length === 2, 15_000);
  }, 90_000);

  test("members that are killed and started again under load fail nobody who may be asked twice", async () => {
    site = await startHaproxy();
    const pool = await site.pool(
      "shop",
      apps.slice(0, 1).map((app) => memberOf(app)),
    );
    const load = users(pool.listen.port, 8);
    for (let round = 0; round < 4; round += 1) {
      const dying = await startAppProcess("dying", 5);
      await site.put({ ...pool, members: [memberOf(apps[0]), memberOf(dying)] });
      await site.until("shop", ({ traffic }) => traffic.membersUp === 2);
      await pause(200);
      await dying.kill();
      await site.until("shop", ({ traffic }) => traffic.membersUp === 1);
    }
    expect((await load.stop()).failures).toEqual([]);
  }, 60_000);

  test("rates and latencies fall back to nothing", async () => {
    site = await startHaproxy();
    const pool = await site.pool("shop", [memberOf(apps[0])]);
    await Promise.all(Array.from({ length: 20 }, () => ask(pool.listen.port, "/id?ms=20")));
    expect((await site.view("shop")).traffic.requestsPerSecond).toBeGreaterThan(5);
    await site.until(
      "shop",
      ({ traffic }) => traffic.requestsPerSecond === 0 && traffic.latencyMs.p50 === 0,
      6_000,
    );
  });

  test("a member that comes up late takes its share slowly, when that is asked for", async () => {
    site = await startHaproxy({ settings: { slowStartMs: 4_000 } });
    const pool = await site.pool("shop", [memberOf(apps[0], { weight: 50 })]);
    await pause(4_500);
    await site.put({ ...pool, members: apps.slice(0, 2).map((app) => memberOf(app, { weight: 50 })) });
    await site.until("shop", ({ traffic }) => traffic.membersUp === 2);
    const first = await Promise.all(Array.from({ length: 60 }, () => ask(pool.listen.port, "/id?ms=300")));
    const share = (answers: typeof first) =>
      answers.filter((answer) => answer.json().id === "two").length / answers.length;
    expect(share(first)).toBeLessThan(0.35);
    await pause(4_500);
    const later = await Promise.all(Array.from({ length: 60 }, () => ask(pool.listen.port, "/id?ms=300")));
    expect(share(later)).toBeGreaterThan(0.4);
  }, 30_000);

  test("a member's agent may drain it and bring it back", async () => {
    let says = "up 100%";
    const agent = createServer((socket) => {
      // HAProxy resets the connection once it has read the line.
      socket.on("error", () => undefined);
      socket.end(`${says}\n`);
    });
    await new Promise<void>((resolve) => agent.listen(0, "127.0.0.1", resolve));
    const { port } = agent.address() as AddressInfo;
    site = await startHaproxy({ settings: { agentCheck: { port, intervalMs: 200 } } });
    const pool = await site.pool("shop", [memberOf(apps[0])]);
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
    says = "maint";
    await site.until("shop", ({ members }) => !members[0].up);
    says = "ready up 100%";
    await site.until("shop", ({ members }) => members[0].up);
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
    await new Promise<void>((resolve) => agent.close(() => resolve()));
  });

  test("a look at a thousand open connections is quick enough for a look each half second", async () => {
    site = await startHaproxy();
    const pool = await site.pool("shop", [memberOf(apps[0])], { affinity: "cookie" });
    const clients = await Promise.all(Array.from({ length: 1_000 }, () => rawClient(pool.listen.port)));
    for (const client of clients) client.send("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
    await Promise.all(clients.map((client) => client.expect(/"one"/)));
    const started = performance.now();
    const { traffic } = await site.view("shop");
    expect(performance.now() - started).toBeLessThan(500);
    expect(traffic).toMatchObject({ openConnections: 1_000, sessions: 1_000 });
    for (const client of clients) client.socket.destroy();
    await site.until("shop", (view) => view.traffic.sessions === 0);
  }, 60_000);
});
