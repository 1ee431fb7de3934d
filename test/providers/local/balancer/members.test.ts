import { Agent } from "node:http";
import { startApp, type App } from "../support/app";
import { startAppProcess } from "../support/app-process";
import { PROBE_KEY, freePort, memberOf, startBalancer, type TestBalancer } from "../support/balancer";
import { ask, cookieOf, rawClient } from "../support/client";

let site: TestBalancer;
let one: App;
let two: App;

beforeAll(async () => {
  site = await startBalancer();
  [one, two] = [await startApp("one"), await startApp("two")];
});
afterAll(async () => {
  await site.end();
  await Promise.all([one.close(), two.close()]);
});

const idOf = async (port: number, path = "/id", headers = {}) =>
  (await ask(port, path, { headers })).json().id;

function countBy(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

describe("the choice of a member", () => {
  test("idle members take turns", async () => {
    const { listen } = await site.pool("turns", [memberOf(one), memberOf(two)]);
    const ids: string[] = [];
    for (let index = 0; index < 20; index += 1) ids.push(await idOf(listen.port));
    expect(countBy(ids)).toEqual({ one: 10, two: 10 });
  });

  test("a member that is slow gets less", async () => {
    const slow = await startAppProcess("slow", 200);
    const fast = await startAppProcess("fast", 5);
    try {
      const { listen } = await site.pool("slow-fast", [memberOf(slow), memberOf(fast)]);
      const ids: string[] = [];
      await Promise.all(
        Array.from({ length: 6 }, async () => {
          for (const end = Date.now() + 800; Date.now() < end;) ids.push((await ask(listen.port, "/")).body);
        }),
      );
      const counts = countBy(ids);
      expect(counts.fast).toBeGreaterThan(counts.slow * 4);
    } finally {
      await Promise.all([slow.kill(), fast.kill()]);
    }
  });

  test("a member with three times the weight takes three times as many at once", async () => {
    const { listen } = await site.pool("weights", [memberOf(one, { weight: 3 }), memberOf(two)]);
    const ids = await Promise.all(Array.from({ length: 40 }, () => idOf(listen.port, "/id?ms=600")));
    expect(countBy(ids)).toEqual({ one: 30, two: 10 });
  });

  test("a member that is not well gets nothing until it is well again", async () => {
    const pool = await site.pool("health", [memberOf(one), memberOf(two)]);
    two.healthy = false;
    const sick = await site.until("health", (view) => view.traffic.membersUp === 1);
    expect(sick.members[1]).toMatchObject({
      id: "two",
      up: false,
      lastProblem: "GET / answered 503, not 200",
    });
    const ids = await Promise.all(Array.from({ length: 10 }, () => idOf(pool.listen.port)));
    expect(countBy(ids)).toEqual({ one: 10 });
    two.healthy = true;
    await site.until("health", (view) => view.traffic.membersUp === 2);
  });

  test("a new member gets nothing before it has been seen to be well as often as asked", async () => {
    two.healthy = false;
    const pool = await site.pool("rise", [memberOf(one)]);
    await site.put({
      ...pool,
      monitor: { ...pool.monitor, rise: 3 },
      members: [memberOf(one), memberOf(two)],
    });
    const ids = await Promise.all(Array.from({ length: 10 }, () => idOf(pool.listen.port)));
    expect(countBy(ids)).toEqual({ one: 10 });
    two.healthy = true;
    await site.until("rise", (view) => view.traffic.membersUp === 2);
  });
});

describe("affinity", () => {
  test("a user stays with its member, and the member never sees the cookie", async () => {
    const { listen } = await site.pool("stay", [memberOf(one), memberOf(two)], { affinity: "cookie" });
    const first = await ask(listen.port, "/id");
    const cookie = cookieOf(first);
    expect(cookie).toMatch(/^SPILLWAY_stay=[0-9a-f]{8}\.[\w-]{12}$/);
    const member = first.json().id;
    for (let index = 0; index < 6; index += 1) {
      const again = await ask(listen.port, "/headers", {
        headers: { cookie: `theme=dark; ${cookie}; lang=de` },
      });
      expect(again.json()).toMatchObject({ id: member });
      expect(cookieOf(again)).toBeUndefined();
      expect(again.body).toContain("theme=dark; lang=de");
      expect(again.body).not.toContain("SPILLWAY");
    }
  });

  test("a forged or foreign cookie is no error; a new one is given", async () => {
    const { listen } = await site.pool("forged", [memberOf(one)], { affinity: "cookie" });
    for (const value of ["", "x", "00000000.aaaaaaaaaaaa", "%00", "../../etc"]) {
      const answer = await ask(listen.port, "/id", { headers: { cookie: `SPILLWAY_forged=${value}` } });
      expect(answer.status).toBe(200);
      expect(cookieOf(answer)).toMatch(/^SPILLWAY_forged=/);
    }
  });

  test("a user whose member is down or gone goes to another and keeps its identity", async () => {
    const pool = await site.pool("gone", [memberOf(one), memberOf(two)], { affinity: "cookie" });
    const first = await ask(pool.listen.port, "/id");
    const member = first.json().id;
    const other = member === "one" ? two : one;
    await site.put({ ...pool, members: [memberOf(other)] });
    const moved = await ask(pool.listen.port, "/id", { headers: { cookie: cookieOf(first) } });
    expect(moved.json().id).toBe(other.id);
    expect(cookieOf(moved)?.split(".")[1]).toBe(cookieOf(first)?.split(".")[1]);
  });
});

describe("drain", () => {
  test("a draining member keeps its users and takes no new one", async () => {
    const pool = await site.pool("drain", [memberOf(one)], { affinity: "cookie" });
    const cookie = cookieOf(await ask(pool.listen.port, "/id"));
    await ask(pool.listen.port, "/id", { headers: { cookie } });
    await site.put({ ...pool, members: [memberOf(one, { draining: true }), memberOf(two)] });
    await site.until("drain", (view) => view.members.every(({ up }) => up));
    expect((await site.view("drain")).traffic).toMatchObject({ members: 1, membersUp: 1 });
    const ids = await Promise.all(Array.from({ length: 10 }, () => idOf(pool.listen.port)));
    expect(countBy(ids)).toEqual({ two: 10 });
    expect(await idOf(pool.listen.port, "/id", { cookie })).toBe("one");
    const { members } = await site.view("drain");
    expect(members[0]).toMatchObject({ id: "one", sessions: 1 });
  });

  test("a running request on a draining member ends in peace", async () => {
    const pool = await site.pool("peace", [memberOf(one)]);
    const running = idOf(pool.listen.port, "/id?ms=600");
    await site.until("peace", (view) => view.members[0].inFlight === 1);
    await site.put({ ...pool, members: [memberOf(one, { draining: true }), memberOf(two)] });
    expect(await running).toBe("one");
  });

  test("a running request on a member that is taken out ends in peace", async () => {
    const pool = await site.pool("taken", [memberOf(one), memberOf(two)]);
    const running = Promise.all(Array.from({ length: 6 }, () => idOf(pool.listen.port, "/id?ms=600")));
    await site.until("taken", (view) => view.traffic.inFlight === 6);
    await site.put({ ...pool, members: [memberOf(two)] });
    expect(countBy(await running)).toEqual({ one: 3, two: 3 });
  });

  test("when every member drains, new users are served all the same but not bound", async () => {
    const pool = await site.pool("all", [memberOf(one, { draining: true })], { affinity: "cookie" });
    const answer = await ask(pool.listen.port, "/id");
    expect(answer.json().id).toBe("one");
    expect(cookieOf(answer)).toBeUndefined();
  });
});

describe("the queue", () => {
  test("a member takes no more at once than its limit; the others wait their turn", async () => {
    const { listen } = await site.pool("limit", [memberOf(one), memberOf(two)], { maxConnections: 2 });
    [one.peak, two.peak] = [0, 0];
    const running = Promise.all(Array.from({ length: 20 }, () => idOf(listen.port, "/id?ms=250")));
    await site.until("limit", (view) => view.traffic.queued === 16);
    expect(countBy(await running)).toEqual({ one: 10, two: 10 });
    expect([one.peak, two.peak]).toEqual([2, 2]);
    expect((await site.view("limit")).traffic.queued).toBe(0);
  });

  test("users bound to a full member wait for it and hold up nobody else", async () => {
    const { listen } = await site.pool("bound", [memberOf(one), memberOf(two)], {
      maxConnections: 1,
      affinity: "cookie",
    });
    const first = await ask(listen.port, "/id");
    const headers = { cookie: cookieOf(first) };
    const bound = Array.from({ length: 5 }, () => idOf(listen.port, "/id?ms=400", headers));
    await site.until("bound", (view) => view.traffic.queued === 4);
    const started = Date.now();
    await idOf(listen.port);
    expect(Date.now() - started).toBeLessThan(390);
    expect(new Set(await Promise.all(bound))).toEqual(new Set([first.json().id]));
  });

  test("requests that find no member wait for one to come up", async () => {
    const port = await freePort();
    const pool = await site.pool("late", []);
    await site.put({ ...pool, members: [memberOf({ id: "late", port })] });
    const waiting = Promise.all(
      Array.from({ length: 5 }, () => ask(pool.listen.port, "/", { method: "POST", body: "x" })),
    );
    await site.until("late", (view) => view.traffic.queued === 5);
    const late = await startAppProcess("late", 0, port);
    try {
      expect(countBy((await waiting).map(({ body }) => body))).toEqual({ late: 5 });
      expect((await site.view("late")).traffic.failedTotal).toBe(0);
    } finally {
      await late.kill();
    }
  });

  test("a client that goes away leaves the queue", async () => {
    const { listen } = await site.pool("leave", []);
    const client = await rawClient(listen.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await site.until("leave", (view) => view.traffic.queued === 1);
    client.socket.destroy();
    await site.until("leave", (view) => view.traffic.queued === 0 && view.traffic.inFlight === 0);
  });

  test("after 5 s without a member they are told to come again; probes are told at once", async () => {
    const { listen } = await site.pool("nobody", []);
    const started = Date.now();
    const probe = await ask(listen.port, "/", { headers: { "x-spillway-probe": PROBE_KEY } });
    expect([probe.status, Date.now() - started < 1_000]).toEqual([503, true]);
    const plain = ask(listen.port, "/");
    const upgrading = await rawClient(listen.port);
    upgrading.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    const hesitant = await rawClient(listen.port);
    hesitant.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    const answer = await plain;
    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(Date.now() - started).toBeGreaterThan(4_900);
    await Promise.all([upgrading.closed, hesitant.closed]);
    expect(upgrading.text()).toMatch(/^HTTP\/1\.1 503 /);
    expect(hesitant.text()).toMatch(/^HTTP\/1\.1 503 [^]*connection: close/i);
    expect((await site.view("nobody")).traffic.failedTotal).toBe(3);
  });
});

describe("a member that is killed", () => {
  test.each(["none", "cookie"] as const)(
    "under load costs no idempotent request (affinity %s)",
    async (affinity) => {
      const apps = await Promise.all(["a", "b", "c"].map((id) => startAppProcess(id, 5)));
      const name = `kill-${affinity}`;
      const agent = new Agent({ keepAlive: true, maxSockets: 30 });
      try {
        const { listen } = await site.pool(
          name,
          apps.map((app) => memberOf(app)),
          { affinity },
        );
        const bad: string[] = [];
        const after: string[] = [];
        let killed = false;
        await Promise.all(
          Array.from({ length: 30 }, async (_, index) => {
            let cookie: string | undefined;
            for (const end = Date.now() + 1_500; Date.now() < end;) {
              const answer = await ask(listen.port, "/", {
                agent,
                headers: cookie === undefined ? {} : { cookie },
              });
              cookie = cookieOf(answer) ?? cookie;
              if (answer.status !== 200) bad.push(`${answer.status} ${answer.body}`);
              if (killed) after.push(answer.body);
              if (index === 0 && !killed && Date.now() > end - 1_000) {
                await apps[0].kill();
                killed = true;
              }
            }
          }),
        );
        expect(bad).toEqual([]);
        expect(Object.keys(countBy(after.slice(60))).sort()).toEqual(["b", "c"]);
        expect((await site.view(name)).traffic.failedTotal).toBe(0);
        await site.until(name, (view) => view.traffic.membersUp === 2);
      } finally {
        agent.destroy();
        await Promise.all(apps.map((app) => app.kill()));
      }
    },
  );

  test("and comes back on its port is used again, and who waited meanwhile is served", async () => {
    const first = await startAppProcess("back");
    const { listen } = await site.pool("back", [memberOf(first)]);
    await first.kill();
    const waiting = ask(listen.port, "/");
    await new Promise((resolve) => setTimeout(resolve, 300));
    const second = await startAppProcess("back", 0, first.port);
    try {
      expect((await waiting).body).toBe("back");
    } finally {
      await second.kill();
    }
  });
});
