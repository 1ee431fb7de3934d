import { execFileSync } from "node:child_process";
import { Agent } from "node:http";
import { startApp, type App } from "../local/support/app";
import { startAppProcess } from "../local/support/app-process";
import { freePort, memberOf } from "../local/support/balancer";
import { ask, cookieOf, rawClient } from "../local/support/client";
import { describeWithHaproxy, startHaproxy, type TestHaproxy } from "./support/haproxy";

let site: TestHaproxy;
let one: App;
let two: App;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const idOf = async (port: number, path = "/id", headers = {}) =>
  (await ask(port, path, { headers })).json().id;

function countBy(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

describeWithHaproxy("the members of a HAProxy's pool", () => {
  beforeAll(async () => {
    site = await startHaproxy();
    [one, two] = [await startApp("one"), await startApp("two")];
  });
  afterAll(async () => {
    await site?.end();
    await Promise.all([one?.close(), two?.close()]);
  });

  test("idle members take turns, and weights share what runs at once", async () => {
    const pool = await site.pool("turns", [memberOf(one), memberOf(two)]);
    const ids: string[] = [];
    for (let index = 0; index < 20; index += 1) ids.push(await idOf(pool.listen.port));
    expect(countBy(ids)).toEqual({ one: 10, two: 10 });
    await site.put({ ...pool, members: [memberOf(one, { weight: 3 }), memberOf(two)] });
    const busy = await Promise.all(Array.from({ length: 40 }, () => idOf(pool.listen.port, "/id?ms=600")));
    const counts = countBy(busy);
    expect(counts.one).toBeGreaterThanOrEqual(28);
    expect(counts.one).toBeLessThanOrEqual(32);
  });

  test("a member that is not there yet gets nobody, and one that comes up is used", async () => {
    const port = await freePort();
    const pool = await site.pool("late", [memberOf(one)]);
    await site.put({ ...pool, members: [memberOf(one), memberOf({ id: "late", port })] });
    const down = await site.until("late", ({ members }) => members[1].lastProblem !== undefined);
    expect(down.members[1]).toMatchObject({ id: "late", up: false });
    expect(down.members[1].lastProblem).toMatch(/refused/i);
    for (let index = 0; index < 10; index += 1) expect(await idOf(pool.listen.port)).toBe("one");
    expect((await site.view("late")).traffic).toMatchObject({ membersUp: 1, members: 2, failedTotal: 0 });
  });

  test("a member that is not well gets nothing until it is well again, and says why", async () => {
    const pool = await site.pool("health", [memberOf(one), memberOf(two)]);
    two.healthy = false;
    const sick = await site.until("health", (view) => view.traffic.membersUp === 1);
    expect(sick.members[1]).toMatchObject({ up: false, lastProblem: "GET / answered 503, not 200" });
    for (let index = 0; index < 6; index += 1) expect(await idOf(pool.listen.port)).toBe("one");
    two.healthy = true;
    await site.until("health", (view) => view.traffic.membersUp === 2);
  });

  test("a member that is killed under load fails no idempotent request", async () => {
    const dying = await startAppProcess("dying", 5);
    const pool = await site.pool("killed", [memberOf(one), memberOf(dying)]);
    let statuses: number[] = [];
    const end = Date.now() + 900;
    const load = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (Date.now() < end) statuses.push((await ask(pool.listen.port, "/id")).status);
      }),
    );
    await pause(300);
    await dying.kill();
    await load;
    statuses = statuses.filter((status) => status >= 500);
    expect(statuses).toEqual([]);
    await site.until("killed", (view) => view.traffic.membersUp === 1);
    expect((await site.view("killed")).traffic.failedTotal).toBe(0);
  });

  test("a drained member keeps the users that its cookie names, and takes nobody new", async () => {
    const pool = await site.pool("drain", [memberOf(one), memberOf(two)], { affinity: "cookie" });
    let cookie: string | undefined;
    while (!cookie?.includes("two")) cookie = cookieOf(await ask(pool.listen.port, "/id"));
    await site.put({ ...pool, members: [memberOf(one), memberOf(two, { draining: true })] });
    for (let index = 0; index < 6; index += 1) {
      expect(await idOf(pool.listen.port)).toBe("one");
      expect(await idOf(pool.listen.port, "/id", { cookie })).toBe("two");
    }
    const { traffic, members } = await site.view("drain");
    expect(traffic).toMatchObject({ members: 1, membersUp: 1 });
    expect(members[1].sessions).toBe(1);
    // Demand came back: it takes new users again.
    await site.put(pool);
    const ids = await Promise.all(Array.from({ length: 10 }, () => idOf(pool.listen.port)));
    expect(new Set(ids)).toEqual(new Set(["one", "two"]));
  });

  test("when every member drains, who still comes is served all the same", async () => {
    const pool = await site.pool("last", [memberOf(one)]);
    await site.put({ ...pool, members: [memberOf(one, { draining: true })] });
    expect(await idOf(pool.listen.port)).toBe("one");
    expect((await site.view("last")).traffic).toMatchObject({ members: 0, membersUp: 0 });
  });

  test("a user whose member was taken out is moved to another, and bound to it", async () => {
    const pool = await site.pool("moved", [memberOf(one), memberOf(two)], { affinity: "cookie" });
    let cookie: string | undefined;
    while (!cookie?.includes("two")) cookie = cookieOf(await ask(pool.listen.port, "/id"));
    await site.put({ ...pool, members: [memberOf(one)] });
    const answer = await ask(pool.listen.port, "/id", { headers: { cookie } });
    expect(answer.json().id).toBe("one");
    expect(cookieOf(answer)?.replace("one", "two")).toBe(cookie);
  });

  test("taken out in the middle of a request, a server is only deleted after the answer", async () => {
    const pool = await site.pool("gate", [memberOf(one), memberOf(two)]);
    const running = Promise.all([idOf(pool.listen.port, "/id?ms=900"), idOf(pool.listen.port, "/id?ms=900")]);
    await site.until("gate", ({ members }) => members.every(({ inFlight }) => inFlight === 1));
    await site.put({ ...pool, members: [memberOf(one)] });
    const leaving = await site.view("gate");
    expect(leaving.members[1]).toMatchObject({ id: "two", up: false, inFlight: 1 });
    expect((await running).sort()).toEqual(["one", "two"]);
    const gone = await site.until("gate", ({ members }) => members.length === 1, 12_000);
    expect(gone.traffic.failedTotal).toBe(0);
    // And it may come back under the same name.
    await site.put(pool);
    await site.until("gate", ({ traffic }) => traffic.membersUp === 2);
  });

  test("a member that comes back on another port is found there", async () => {
    const pool = await site.pool("other-port", [memberOf(one)]);
    await site.put({ ...pool, members: [memberOf({ id: "one", port: two.port })] });
    await site.until("other-port", ({ members }) => members[0].up);
    expect(await idOf(pool.listen.port)).toBe("two");
  });

  test("more requests than members take wait, and are counted wherever they wait", async () => {
    const pool = await site.pool("queue", [memberOf(one), memberOf(two)], {
      maxConnections: 2,
      affinity: "cookie",
    });
    one.peak = two.peak = 0;
    const cookie = cookieOf(await ask(pool.listen.port, "/id"));
    const agent = new Agent({ keepAlive: true });
    // Those with a cookie wait at their member, the others at the pool.
    const all = Promise.all([
      ...Array.from({ length: 5 }, () => ask(pool.listen.port, "/id?ms=300", { agent, headers: { cookie } })),
      ...Array.from({ length: 5 }, () => ask(pool.listen.port, "/id?ms=300", { agent })),
    ]);
    await site.until("queue", ({ traffic }) => traffic.queued >= 6 && traffic.inFlight === 10);
    expect((await all).map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect([one.peak, two.peak]).toEqual([2, 2]);
    await site.put({ ...pool, maxConnections: 0 });
    one.peak = 0;
    await Promise.all(
      Array.from({ length: 4 }, () => ask(pool.listen.port, "/id?ms=200", { agent, headers: { cookie } })),
    );
    expect(Math.max(one.peak, two.peak)).toBeGreaterThanOrEqual(4);
    agent.destroy();
  });

  test("with nobody up, a request is refused at once, and that is the balancer's own failure", async () => {
    const pool = await site.pool("nobody", []);
    expect((await ask(pool.listen.port, "/id")).status).toBe(503);
    expect((await site.view("nobody")).traffic).toMatchObject({ requestsTotal: 1, failedTotal: 1 });
    // A member's own failures are not the balancer's.
    const failing = await site.pool("failing", [memberOf(one)]);
    expect((await ask(failing.listen.port, "/nothing")).status).toBe(404);
    expect((await site.view("failing")).traffic).toMatchObject({ requestsTotal: 1, failedTotal: 0 });
  });

  test("TCP pools pass bytes, and an open connection is a user", async () => {
    const { listen } = await site.pool("tcp", [memberOf(one), memberOf(two)], {
      listen: { address: "127.0.0.1", port: await freePort(), mode: "tcp" },
      monitor: {
        type: "tcp",
        path: "/",
        expectStatus: 200,
        intervalMs: 100,
        timeoutMs: 500,
        rise: 1,
        fall: 2,
      },
    });
    const client = await rawClient(listen.port);
    client.send("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.expect(/"(one|two)"/);
    const { traffic } = await site.view("tcp");
    expect(traffic).toMatchObject({
      sessions: 1,
      openConnections: 1,
      inFlight: 1,
      requestsTotal: 1,
      quietMs: 0,
    });
    client.socket.destroy();
    await site.until(
      "tcp",
      (view) => view.traffic.sessions === 0 && view.members.every(({ inFlight }) => !inFlight),
    );
  });

  test("is never added with a keyword that HAProxy 2.6 stumbles over", () => {
    // The one who asks knows only what HAProxy runs: the servers of the file are those that were up.
    const config = execFileSync("cat", [`${site.stateDir}/haproxy.cfg`], { encoding: "utf8" });
    expect(config).toMatch(/^ {4}server one 127\.0\.0\.1:\d+ id \d+ check/m);
    expect(config).not.toMatch(/server .*\benabled\b/);
  });
});
