import { Agent } from "node:http";
import type { BalancerPool } from "../../../lib/site/ports";
import { startApp, type App } from "../local/support/app";
import { PROBE_KEY, memberOf } from "../local/support/balancer";
import { ask, cookieOf, rawClient } from "../local/support/client";
import { describeWithHaproxy, startHaproxy, type TestHaproxy } from "./support/haproxy";

let site: TestHaproxy;
let one: App;
let two: App;

const keepAlive = () => new Agent({ keepAlive: true, maxSockets: 1 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describeWithHaproxy("the users of a HAProxy", () => {
  beforeAll(async () => {
    site = await startHaproxy({ settings: { keepAliveMs: 1_000 } });
    [one, two] = [await startApp("one"), await startApp("two")];
  });
  afterAll(async () => {
    await site?.end();
    await Promise.all([one?.close(), two?.close()]);
  });

  describe("who counts", () => {
    test("a kept connection that has sent a request is one, and gone when it closes", async () => {
      const { listen } = await site.pool("kept", [memberOf(one)]);
      const agent = keepAlive();
      await ask(listen.port, "/id", { agent });
      await ask(listen.port, "/id", { agent });
      expect((await site.view("kept")).traffic).toMatchObject({
        sessions: 1,
        openConnections: 1,
        quietMs: 0,
        requestsTotal: 2,
      });
      agent.destroy();
      await site.until("kept", ({ traffic }) => traffic.sessions === 0 && traffic.openConnections === 0);
      await pause(60);
      const { quietMs } = (await site.view("kept")).traffic;
      expect(quietMs).toBeGreaterThan(50);
      expect(quietMs).toBeLessThan(5_000);
    });

    test("a connection that never sent a request is none", async () => {
      const { listen } = await site.pool("silent", [memberOf(one)]);
      await site.until("silent", ({ traffic }) => traffic.quietMs >= 1_000);
      const client = await rawClient(listen.port);
      await site.until("silent", ({ traffic }) => traffic.openConnections === 1);
      const { traffic } = await site.view("silent");
      expect(traffic.sessions).toBe(0);
      expect(traffic.quietMs).toBeGreaterThanOrEqual(1_000);
      client.socket.destroy();
    });

    test("a user with a cookie and no connection is one until it was silent for too long", async () => {
      const { listen } = await site.pool("away", [memberOf(one)], { affinity: "cookie", sessionIdleMs: 400 });
      const cookie = cookieOf(await ask(listen.port, "/id"));
      await ask(listen.port, "/id", { headers: { cookie } });
      const seen = await site.until("away", ({ traffic }) => traffic.openConnections === 0);
      expect(seen.traffic.sessions).toBe(1);
      expect(seen.members[0].sessions).toBe(1);
      await site.until("away", ({ traffic, members }) => traffic.sessions === 0 && members[0].sessions === 0);
    });

    test("one user on two connections with one cookie is two connections and no more", async () => {
      const { listen } = await site.pool("twice", [memberOf(one)], { affinity: "cookie" });
      const cookie = cookieOf(await ask(listen.port, "/id"));
      const agents = [keepAlive(), keepAlive()];
      for (const agent of agents) await ask(listen.port, "/id", { agent, headers: { cookie } });
      const { traffic, members } = await site.until("twice", (view) => view.traffic.openConnections === 2);
      expect([traffic.sessions, members[0].sessions]).toEqual([2, 1]);
      agents.forEach((agent) => agent.destroy());
      // Both connections gone: the one user is still remembered by its cookie.
      await site.until("twice", (view) => view.traffic.openConnections === 0 && view.traffic.sessions === 1);
    });

    test("a client that keeps no cookies leaves nothing behind", async () => {
      const { listen } = await site.pool("cookieless", [memberOf(one)], { affinity: "cookie" });
      const agent = keepAlive();
      for (let index = 0; index < 5; index += 1) await ask(listen.port, "/id", { agent });
      expect((await site.view("cookieless")).members[0].sessions).toBe(1);
      agent.destroy();
      await site.until(
        "cookieless",
        ({ traffic, members }) => traffic.sessions === 0 && members[0].sessions === 0,
      );
    });

    test("a probe is nobody: not a user, not a request, not noise", async () => {
      const { listen } = await site.pool("probed", [memberOf(one)], { affinity: "cookie" });
      await site.until("probed", ({ traffic }) => traffic.quietMs >= 1_000);
      const agent = keepAlive();
      for (let index = 0; index < 3; index += 1) {
        const answer = await ask(listen.port, "/id", { agent, headers: { "x-spillway-probe": PROBE_KEY } });
        expect(answer.status).toBe(200);
        expect(cookieOf(answer)).toBeUndefined();
      }
      const { traffic, members } = await site.view("probed");
      expect(traffic).toMatchObject({ sessions: 0, requestsTotal: 0, inFlight: 0, requestsPerSecond: 0 });
      expect(traffic.quietMs).toBeGreaterThanOrEqual(1_000);
      expect(members[0].inFlight).toBe(0);
      agent.destroy();
    });

    test("who only says to be a probe is a user, and no member hears of it", async () => {
      const { listen, ...pool } = await site.pool("liars", [memberOf(one)]);
      one.seen.length = 0;
      for (const lie of ["1", `${PROBE_KEY}x`, ""]) {
        await ask(listen.port, "/id", { headers: { "x-spillway-probe": lie } });
      }
      expect((await site.view("liars")).traffic).toMatchObject({ requestsTotal: 3 });
      expect((await site.view("liars")).traffic.quietMs).toBeLessThan(5_000);
      await ask(listen.port, "/id", { headers: { "x-spillway-probe": PROBE_KEY } });
      await site.put({ ...pool, listen, probeKey: undefined });
      await ask(listen.port, "/id", { headers: { "x-spillway-probe": "undefined" } });
      expect((await site.view("liars")).traffic).toMatchObject({ requestsTotal: 4 });
      expect(one.seen.map(({ headers }) => headers["x-spillway-probe"])).toEqual(Array(5).fill(undefined));
    });

    test("who asks for another host is answered, but keeps no gate open", async () => {
      const hosts = ["shop.example.test", "www.example.test"];
      const pool = await site.pool("named", [memberOf(one)], { affinity: "cookie", hosts });
      const { port } = pool.listen;
      await site.until("named", ({ traffic }) => traffic.quietMs >= 1_000);
      const scanner = keepAlive();
      for (const host of [`127.0.0.1:${port}`, "other.example.test", "shop.example.test.evil.test"]) {
        const answer = await ask(port, "/id", { agent: scanner, headers: { host } });
        expect([answer.status, cookieOf(answer)]).toEqual([200, undefined]);
      }
      const slow = ask(port, "/id?ms=500", { headers: { host: "other.example.test" } });
      await site.until("named", ({ members }) => members[0].inFlight === 1);
      const strangers = (await site.view("named")).traffic;
      expect(strangers).toMatchObject({ sessions: 0, inFlight: 0, requestsTotal: 4 });
      expect(strangers.quietMs).toBeGreaterThanOrEqual(1_000);
      expect((await slow).status).toBe(200);
      const users: Agent[] = [];
      for (const [index, host] of ["shop.example.test", `WWW.example.test.:${port}`].entries()) {
        const agent = keepAlive();
        const answer = await ask(port, "/id", { agent, headers: { host } });
        expect(cookieOf(answer)).toBeDefined();
        expect((await site.view("named")).traffic).toMatchObject({ sessions: index + 1, quietMs: 0 });
        // The same connection asks for something else: the user is still there.
        await ask(port, "/id", { agent, headers: { host: "other.example.test" } });
        expect((await site.view("named")).traffic.sessions).toBe(index + 1);
        users.push(agent);
      }
      for (const agent of [scanner, ...users]) agent.destroy();
      await site.until("named", ({ traffic }) => traffic.sessions === 0 && traffic.inFlight === 0);
      await site.put({ ...pool, hosts: [] });
      await ask(port, "/id", { headers: { host: "other.example.test" } });
      expect((await site.view("named")).traffic.quietMs).toBeLessThan(5_000);
    });

    test("a user in the middle of a long answer is not quiet", async () => {
      const { listen } = await site.pool("long", [memberOf(one)], { affinity: "cookie", sessionIdleMs: 100 });
      const running = ask(listen.port, "/id?ms=500");
      await pause(200);
      expect((await site.view("long")).traffic).toMatchObject({ sessions: 1, inFlight: 1, quietMs: 0 });
      await running;
    });
  });

  describe("rates and latencies", () => {
    test("are counted in HAProxy's own tables", async () => {
      const { listen } = await site.pool("rates", [memberOf(one)]);
      const agent = new Agent({ keepAlive: true, maxSockets: 5 });
      await Promise.all(
        Array.from({ length: 100 }, (_, n) => ask(listen.port, `/id?ms=${n < 90 ? 20 : 120}`, { agent })),
      );
      const { traffic } = await site.view("rates");
      expect(traffic.requestsTotal).toBe(100);
      expect(traffic.requestsPerSecond).toBeGreaterThan(30);
      expect(traffic.latencyMs.p50).toBeGreaterThan(18);
      expect(traffic.latencyMs.p95).toBeGreaterThanOrEqual(traffic.latencyMs.p50);
      agent.destroy();
    });
  });

  describe("quiesce", () => {
    const order = (pool: BalancerPool, share: number, forMs = 0, idleCloseMs = 60_000) =>
      site.put({ ...pool, quiesce: { share, forMs, idleCloseMs } });

    test("a kept-alive client is told to leave with its next answer, and loses nothing", async () => {
      const pool = await site.pool("all", [memberOf(one)]);
      const agent = keepAlive();
      await ask(pool.listen.port, "/id", { agent });
      expect((await ask(pool.listen.port, "/id", { agent })).reused).toBe(true);
      await order(pool, 1);
      const last = await ask(pool.listen.port, "/id", { agent });
      expect([last.reused, last.status, last.headers.connection]).toEqual([true, 200, "close"]);
      await site.until("all", ({ traffic }) => traffic.sessions === 0);
      const next = await ask(pool.listen.port, "/id", { agent });
      expect([next.reused, next.status]).toEqual([false, 200]);
      agent.destroy();
    });

    test("under load, hundreds of answers with Connection: close fail nobody", async () => {
      const pool = await site.pool("load", [memberOf(one), memberOf(two)], { affinity: "cookie" });
      const agent = new Agent({ keepAlive: true, maxSockets: 20 });
      let closes = 0;
      const running = Promise.all(
        Array.from({ length: 20 }, async () => {
          for (const end = Date.now() + 900; Date.now() < end;) {
            const answer = await ask(pool.listen.port, "/id", { agent });
            expect(answer.status).toBe(200);
            if (answer.headers.connection === "close") closes += 1;
          }
        }),
      );
      await pause(300);
      await order(pool, 1);
      await running;
      expect(closes).toBeGreaterThan(20);
      expect((await site.view("load")).traffic.failedTotal).toBe(0);
      agent.destroy();
    });

    test("a user who leaves for good loses the cookie and is no session any more", async () => {
      const pool = await site.pool("cookie", [memberOf(one)], { affinity: "cookie" });
      const cookie = cookieOf(await ask(pool.listen.port, "/id"));
      await ask(pool.listen.port, "/id", { headers: { cookie } });
      expect((await site.view("cookie")).traffic.sessions).toBe(1);
      await order(pool, 1);
      const last = await ask(pool.listen.port, "/id", { headers: { cookie } });
      expect(last.headers["set-cookie"]).toEqual([expect.stringMatching(/^SPILLWAY_cookie=; .*Max-Age=0/)]);
      await site.until(
        "cookie",
        ({ traffic, members }) => traffic.sessions === 0 && members[0].sessions === 0,
      );
      // Who comes all the same is served, and not bound again.
      expect(cookieOf(await ask(pool.listen.port, "/id"))).toBeUndefined();
    });

    test("half of the users leave: the same ones for a cookie, and nobody twice", async () => {
      const pool = await site.pool("half", [memberOf(one)], { affinity: "cookie" });
      const users = await Promise.all(
        Array.from({ length: 60 }, async () => {
          const agent = keepAlive();
          const cookie = cookieOf(await ask(pool.listen.port, "/id"));
          const visit = async () => {
            const answer = await ask(pool.listen.port, "/id", { agent, headers: { cookie } });
            return answer.headers.connection === "close";
          };
          expect(await visit()).toBe(false);
          return { agent, visit };
        }),
      );
      await order(pool, 0.5);
      const first = await Promise.all(users.map(({ visit }) => visit()));
      const left = first.filter(Boolean).length;
      expect(left).toBeGreaterThan(15);
      expect(left).toBeLessThan(45);
      // They came back by their own choice of answer: leave them in peace.
      const second = await Promise.all(users.map(({ visit }) => visit()));
      expect(second.some(Boolean)).toBe(false);
      await order(pool, 0.8);
      const third = await Promise.all(users.map(({ visit }) => visit()));
      expect(third.some((leaves, index) => leaves && first[index])).toBe(false);
      expect(third.filter(Boolean).length).toBeGreaterThan(5);
      users.forEach(({ agent }) => agent.destroy());
    });

    test("idle connections are closed after the keep-alive timeout, busy ones are not", async () => {
      const pool = await site.pool("idle", [memberOf(one)]);
      const idle = await rawClient(pool.listen.port);
      idle.send("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
      await idle.expect(/"one"/);
      const busy = ask(pool.listen.port, "/id?ms=1400", { agent: keepAlive() });
      await site.until("idle", ({ traffic }) => traffic.inFlight === 1);
      const started = Date.now();
      await order(pool, 1, 0, 300);
      await idle.closed;
      // HAProxy cannot close an idle connection on command: the keep-alive timeout is what bounds it.
      expect(Date.now() - started).toBeLessThan(1_400);
      expect((await busy).status).toBe(200);
    });

    test("who has just connected is not taken for idle", async () => {
      const pool = await site.pool("newcomer", [memberOf(one)]);
      await order(pool, 1, 0, 0);
      const client = await rawClient(pool.listen.port);
      await pause(400);
      client.send("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
      await client.expect(/^HTTP\/1\.1 200 [^]*Connection: close/i);
    });

    test("it is over when its time is up, and asking for the same again does not renew it", async () => {
      const pool = await site.pool("timed", [memberOf(one)]);
      const agent = keepAlive();
      await ask(pool.listen.port, "/id", { agent });
      await order(pool, 1, 300);
      expect((await ask(pool.listen.port, "/id", { agent })).headers.connection).toBe("close");
      await pause(350);
      await order(pool, 1, 300);
      expect((await ask(pool.listen.port, "/id", { agent })).headers.connection).not.toBe("close");
      agent.destroy();
    });

    test("taken back, everybody may stay", async () => {
      const pool = await site.pool("back", [memberOf(one)], { affinity: "cookie" });
      await order(pool, 1);
      await order(pool, 0);
      const agent = keepAlive();
      await ask(pool.listen.port, "/id", { agent });
      const answer = await ask(pool.listen.port, "/id", { agent });
      expect([answer.reused, answer.headers.connection]).toEqual([true, undefined]);
      agent.destroy();
    });

    test("probes are not sent away", async () => {
      const pool = await site.pool("probe", [memberOf(one)]);
      await order(pool, 1);
      const headers = { "x-spillway-probe": PROBE_KEY, connection: "keep-alive" };
      expect((await ask(pool.listen.port, "/id", { headers })).headers.connection).not.toBe("close");
    });
  });
});
