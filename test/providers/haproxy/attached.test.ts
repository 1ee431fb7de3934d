import { readFileSync, readdirSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { SpillwayError } from "../../../lib/errors";
import type { BalancerPool } from "../../../lib/site/ports";
import { HaproxyBalancer, diagnoseHaproxy, observeHaproxy, poolStanza } from "../../../providers/haproxy";
import { startApp, type App } from "../local/support/app";
import { freePort, memberOf } from "../local/support/balancer";
import { ask, cookieOf, rawClient } from "../local/support/client";
import { describeWithHaproxy, examplePool } from "./support/haproxy";
import { startOwnHaproxy, type OwnHaproxy } from "./support/own-haproxy";

let own: OwnHaproxy | undefined;
let one: App;
let two: App;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function refusal(work: Promise<unknown>): Promise<SpillwayError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SpillwayError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

async function untilUp(balancer: HaproxyBalancer, pool: BalancerPool, members: number): Promise<void> {
  for (const end = Date.now() + 5_000; ; await pause(20)) {
    const view = await balancer.view(pool.name);
    if (view?.traffic.membersUp === members) return;
    if (Date.now() > end) throw new Error(`it never came so; last seen: ${JSON.stringify(view)}`);
  }
}

describeWithHaproxy("a HAProxy of the user's own", () => {
  beforeAll(async () => {
    [one, two] = [await startApp("one"), await startApp("two")];
  });
  afterEach(async () => {
    await own?.end();
    own = undefined;
  });
  afterAll(async () => {
    await Promise.all([one?.close(), two?.close()]);
  });

  test("with the stanza that Spillway writes, it serves a pool; without, the error names the file", async () => {
    own = await startOwnHaproxy();
    const { socket, masterSocket, stateDir, stanzaDir } = own;
    const balancer = new HaproxyBalancer({ stateDir, attach: { socket, masterSocket } });
    await balancer.start();
    const pool = await examplePool("shop", [memberOf(one)], { affinity: "cookie" });
    const { report } = await refusal(balancer.put(pool));
    expect(report.problem).toMatch(/no stanza/);
    expect(report.mend).toContain(join(stanzaDir, "spillway-shop.cfg"));
    await own.reload();
    await balancer.put(pool);
    await untilUp(balancer, pool, 1);
    expect((await ask(pool.listen.port, "/id")).json().id).toBe("one");
    const changed = await refusal(balancer.put({ ...pool, monitor: { ...pool.monitor, path: "/other" } }));
    expect(changed.report.problem).toMatch(/other settings/);
    await balancer.put(pool);
    await balancer.remove("shop");
    expect(readdirSync(stanzaDir)).toEqual([]);
    expect(await balancer.view("shop")).toBeUndefined();
    await balancer.stop();
    // The user's HAProxy runs on.
    expect(await observeHaproxy({ socket }, { backend: "own" })).toBeDefined();
  });

  test("reloaded by its user in mid-drain, it fails nobody, and users of the old worker still count", async () => {
    own = await startOwnHaproxy();
    const { socket, masterSocket, stateDir } = own;
    const balancer = new HaproxyBalancer({ stateDir, attach: { socket, masterSocket } });
    const blind = new HaproxyBalancer({ stateDir, attach: { socket } });
    await balancer.start();
    const pool = await examplePool("shop", [memberOf(one), memberOf(two)], { affinity: "cookie" });
    await refusal(balancer.put(pool));
    await own.reload();
    await balancer.put(pool);
    await untilUp(balancer, pool, 2);
    await blind.view("shop");
    const websocket = await rawClient(pool.listen.port);
    websocket.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await websocket.expect(/(one|two):/);
    const cookie = cookieOf(await ask(pool.listen.port, "/id"));
    const bound = cookie?.includes("one") ? "one" : "two";
    await balancer.put({
      ...pool,
      members: [memberOf(one, { draining: true }), memberOf(two)],
      quiesce: { share: 1, forMs: 0, idleCloseMs: 1_000 },
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const failures: string[] = [];
    const end = Date.now() + 900;
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (Date.now() < end) {
          const { status } = await ask(pool.listen.port, "/id", { agent });
          if (status !== 200) failures.push(String(status));
        }
      }),
    );
    await pause(200);
    await own.reload();
    await pause(100);
    const view = await balancer.view("shop");
    expect(view?.traffic.membersUp).toBe(1);
    await load;
    agent.destroy();
    expect(failures).toEqual([]);
    // Cookies mean the same as before.
    const again = await ask(pool.listen.port, "/id", { headers: { cookie } });
    expect([again.json().id, again.headers.connection]).toEqual([bound, "close"]);
    await pause(50);
    expect((await balancer.view("shop"))?.traffic).toMatchObject({ openConnections: 1, quietMs: 0 });
    // Without the master's socket it is only known that the old worker still has somebody.
    expect((await blind.view("shop"))?.traffic).toMatchObject({
      openConnections: 1,
      sessions: 1,
      quietMs: 0,
    });
    // Nor does the next agent take the site for empty: it knows whom the one before it saw.
    const next = new HaproxyBalancer({ stateDir, attach: { socket } });
    await next.start();
    expect((await next.view("shop"))?.traffic).toMatchObject({ openConnections: 1, quietMs: 0 });
    websocket.socket.destroy();
    for (const watcher of [balancer, blind, next]) {
      let left = 1;
      for (const until = Date.now() + 5_000; left > 0 && Date.now() < until; await pause(20)) {
        left = (await watcher.view("shop"))?.traffic.openConnections ?? 0;
      }
      expect(left).toBe(0);
    }
  });

  test.each(["operator", "user"])(
    "a socket of level %s is a clear error, and nothing is done",
    async (level) => {
      const pool = await examplePool("shop", [memberOf(one)]);
      own = await startOwnHaproxy(poolStanza(pool), level);
      const { socket, stateDir } = own;
      const balancer = new HaproxyBalancer({ stateDir, attach: { socket } });
      const { report } = await refusal(balancer.start());
      expect(report.place).toContain(socket);
      expect(report.problem).toContain(`level \`${level}\``);
      expect(report.mend).toMatch(/level admin/);
      // Had the level changed under it, the order itself says so.
      expect((await refusal(balancer.put(pool))).report.problem).toMatch(/level does not allow/);
      const { problems } = await diagnoseHaproxy({ socket, pools: [pool] });
      expect(problems.map(({ problem }) => problem)).toEqual([expect.stringContaining(`level \`${level}\``)]);
    },
  );

  test("a socket that is not there, or that nobody listens at, is named", async () => {
    own = await startOwnHaproxy();
    const missing = join(own.folder, "nothing.sock");
    const balancer = new HaproxyBalancer({ stateDir: own.stateDir, attach: { socket: missing } });
    const { report } = await refusal(balancer.start());
    expect(report).toMatchObject({
      place: expect.stringContaining(missing),
      problem: "there is no such socket",
    });
    const { problems } = await diagnoseHaproxy({ socket: missing });
    expect(problems).toHaveLength(1);
    const { problems: refused } = await diagnoseHaproxy({ socket: `127.0.0.1:${await freePort()}` });
    expect(refused[0].problem).toMatch(/nobody listens/);
  });

  test("its doctor finds nothing with a whole stanza, and each fault by itself", async () => {
    const pool = await examplePool("shop", [memberOf(one)]);
    const other = await examplePool("other", [memberOf(one)]);
    const stale = poolStanza({ ...other, monitor: { ...other.monitor, path: "/old" } });
    const fixed = await examplePool("fixed", [memberOf(one)]);
    const still = poolStanza(fixed).replace("balance leastconn", "balance static-rr");
    own = await startOwnHaproxy([poolStanza(pool), stale, still].join("\n"));
    const { socket, masterSocket, folder } = own;
    const file = join(folder, "haproxy.cfg");
    const configuration = { text: readFileSync(file, "utf8"), file };
    const well = await diagnoseHaproxy({ socket, masterSocket, pools: [pool] });
    expect(well).toEqual({ problems: [], advice: [] });
    const missing = await examplePool("missing", []);
    const ill = await diagnoseHaproxy({ socket, pools: [other, fixed, missing], configuration });
    const told = ill.problems.map(({ place, problem }) => `${place}: ${problem}`);
    expect(told).toEqual([
      expect.stringMatching(/haproxy\.cfg:\d+: with `balance static-rr` no member/),
      expect.stringMatching(/pool other: .*other settings/),
      expect.stringMatching(/pool fixed: it takes no member at run time: .*load.balancing/i),
      expect.stringMatching(/pool missing: it has no backend/),
    ]);
    expect(ill.advice.map(({ problem }) => problem)).toEqual([expect.stringMatching(/no master socket/)]);
    expect(ill.problems.every(({ mend }) => mend.length > 10)).toBe(true);
    const swapped = await diagnoseHaproxy({ socket, masterSocket: socket });
    expect(swapped.problems).toHaveLength(1);
  });

  test("only observed, any backend of it tells its load, wherever requests wait", async () => {
    const port = await freePort();
    own = await startOwnHaproxy(`
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout queue 5s
frontend web
    bind 127.0.0.1:${port}
    default_backend apps
backend apps
    server one 127.0.0.1:${one.port} maxconn 2
    server two 127.0.0.1:${two.port} maxconn 3
    server off 127.0.0.1:${two.port} maxconn 9 disabled`);
    const at = { socket: own.socket };
    const look = async () => {
      const seen = await observeHaproxy(at, { backend: "apps", frontend: "web" });
      if (!seen) throw new Error("no such backend");
      return seen;
    };
    expect(await look()).toMatchObject({
      requestsTotal: 0,
      quietMs: undefined,
      members: 2,
      membersUp: 2,
      capacity: 5,
    });
    const all = Promise.all(Array.from({ length: 12 }, () => ask(port, "/id?ms=400")));
    await pause(200);
    expect(await look()).toMatchObject({ inFlight: 5, queued: 7, openConnections: 12, requestsTotal: 12 });
    await all;
    const after = await look();
    expect(after).toMatchObject({ inFlight: 0, queued: 0, failedTotal: 0, peakInFlight: 12 });
    expect(after.meanLatencyMs).toBeGreaterThanOrEqual(400);
    expect(after.quietMs).toBeLessThan(3_000);
    expect(await observeHaproxy(at, { backend: "none" })).toBeUndefined();
  });
});
