import { readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { Agent } from "node:http";
import { join } from "node:path";
import { SpillwayError } from "../../../lib/errors";
import { HaproxyBalancer } from "../../../providers/haproxy";
import { startApp, type App } from "../local/support/app";
import { freePort, memberOf } from "../local/support/balancer";
import { ask, cookieOf, rawClient } from "../local/support/client";
import { describeWithHaproxy, examplePool, startHaproxy, type TestHaproxy } from "./support/haproxy";

let site: TestHaproxy;
let one: App;
let two: App;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function masterOf(stateDir: string): number {
  const { pid } = JSON.parse(readFileSync(join(stateDir, "haproxy.process.json"), "utf8")) as { pid: number };
  return pid;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function refusal(work: Promise<unknown>): Promise<SpillwayError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SpillwayError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

/** Asks without pause over kept connections until stopped; every answer must be good. */
function users(port: number, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  const failures: string[] = [];
  let answered = 0;
  let stopped = false;
  const running = Promise.all(
    Array.from({ length: count }, async () => {
      while (!stopped) {
        await ask(port, "/id", { agent }).then(
          ({ status }) => (status === 200 ? (answered += 1) : failures.push(String(status))),
          (error: Error) => failures.push(error.message),
        );
      }
    }),
  );
  return async () => {
    stopped = true;
    await running;
    agent.destroy();
    return { failures, answered };
  };
}

describeWithHaproxy("a HAProxy that Spillway runs", () => {
  beforeEach(async () => {
    site = await startHaproxy();
    [one, two] = [await startApp("one"), await startApp("two")];
  });
  afterEach(async () => {
    await site?.end();
    await Promise.all([one?.close(), two?.close()]);
  });

  test("is adopted by the next agent, with its pools and users", async () => {
    const { listen } = await site.pool("shop", [memberOf(one)]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await ask(listen.port, "/id", { agent });
    const before = masterOf(site.stateDir);
    const other = new HaproxyBalancer({ stateDir: site.stateDir });
    await other.start();
    expect(masterOf(site.stateDir)).toBe(before);
    expect((await other.view("shop"))?.traffic).toMatchObject({ sessions: 1, requestsTotal: 1 });
    expect((await ask(listen.port, "/id", { agent })).reused).toBe(true);
    agent.destroy();
  });

  test("reloaded in mid-drain under load, it fails nobody, and a user of the old worker is still seen", async () => {
    const pool = await site.pool("shop", [memberOf(one), memberOf(two)], { affinity: "cookie" });
    const websocket = await rawClient(pool.listen.port);
    websocket.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await websocket.expect(/(one|two):/);
    const stop = users(pool.listen.port, 6);
    const drained = {
      ...pool,
      members: [memberOf(one), memberOf(two, { draining: true })],
      quiesce: { share: 1, forMs: 0, idleCloseMs: 1_000 },
    };
    await site.put(drained);
    await pause(200);
    // Another pool's listener makes it reload.
    await site.pool("other", [memberOf(one)]);
    await site.pool("third", [memberOf(one)]);
    await pause(300);
    const { failures, answered } = await stop();
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(50);
    websocket.send("hello");
    await websocket.expect(/HELLO/);
    const { traffic } = await site.until("shop", (view) => view.traffic.openConnections === 1);
    expect(traffic).toMatchObject({ sessions: 1, quietMs: 0, failedTotal: 0 });
    expect(traffic.requestsTotal).toBeGreaterThan(0);
    expect(traffic.requestsTotal).toBeLessThanOrEqual(answered + 1);
    // Whoever comes to the new worker is asked to leave as well.
    expect((await ask(pool.listen.port, "/id")).headers.connection).toBe("close");
    websocket.socket.destroy();
    await site.until("shop", (view) => view.traffic.sessions === 0 && view.traffic.openConnections === 0);
  });

  test("a user who is away during a reload is a session until silent for too long", async () => {
    const pool = await site.pool("shop", [memberOf(one)], { affinity: "cookie", sessionIdleMs: 1_500 });
    const cookie = cookieOf(await ask(pool.listen.port, "/id"));
    await ask(pool.listen.port, "/id", { headers: { cookie } });
    await site.until("shop", ({ traffic }) => traffic.sessions === 1 && traffic.openConnections === 0);
    await site.pool("other", [memberOf(one)]);
    await pause(300);
    const { traffic, members } = await site.view("shop");
    expect([traffic.sessions, members[0].sessions]).toEqual([1, 1]);
    // Back at the new worker it is still the same one user.
    await ask(pool.listen.port, "/id", { headers: { cookie } });
    expect((await site.until("shop", (view) => view.traffic.openConnections === 0)).traffic.sessions).toBe(1);
    await site.until("shop", (view) => view.traffic.sessions === 0 && view.members[0].sessions === 0);
  });

  test("killed with its workers, it is there again with the next look: members, cookies and orders too", async () => {
    const pool = await site.pool("shop", [memberOf(one), memberOf(two)], { affinity: "cookie" });
    const cookie = cookieOf(await ask(pool.listen.port, "/id"));
    const bound = cookie?.includes("one") ? "one" : "two";
    await site.put({ ...pool, quiesce: { share: 1, forMs: 0, idleCloseMs: 1_000 } });
    await site.view("shop");
    const pid = masterOf(site.stateDir);
    process.kill(-pid, "SIGKILL");
    const { traffic } = await site.view("shop");
    expect(masterOf(site.stateDir)).not.toBe(pid);
    expect(traffic.membersUp).toBe(2);
    // Who was here before is not known: it must not look as if nobody had been.
    expect(traffic.quietMs).toBeLessThan(5_000);
    const answer = await ask(pool.listen.port, "/id", { headers: { cookie } });
    expect(answer.json().id).toBe(bound);
    expect(answer.headers["set-cookie"]?.[0]).toContain("Max-Age=0");
    expect(answer.headers.connection).toBe("close");
  });

  test("a master that was killed leaves workers that are ended, and users come back", async () => {
    const pool = await site.pool("shop", [memberOf(one)]);
    const pid = masterOf(site.stateDir);
    process.kill(pid, "SIGKILL");
    await pause(50);
    await site.until("shop", ({ traffic }) => traffic.membersUp === 1);
    expect(masterOf(site.stateDir)).not.toBe(pid);
    expect((await ask(pool.listen.port, "/id")).json().id).toBe("one");
  });

  test("a port that is taken is refused with its code, and other pools serve on", async () => {
    const pool = await site.pool("shop", [memberOf(one)]);
    const taken = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
    const other = await refusal(site.put({ ...pool, name: "other", listen: { ...pool.listen, port } }));
    expect(other.cause).toMatchObject({ code: "port-taken" });
    expect(other.report.place).toBe(`127.0.0.1:${port}`);
    expect(await site.balancer.view("other")).toBeUndefined();
    expect((await refusal(site.put({ ...pool, name: "twin" }))).cause).toMatchObject({ code: "port-taken" });
    const nowhere = await refusal(
      site.put({ ...pool, name: "nowhere", listen: { address: "192.0.2.1", port, mode: "http" } }),
    );
    expect(nowhere.cause).toMatchObject({ code: "invalid" });
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
    await new Promise<void>((resolve) => taken.close(() => resolve()));
    await site.put({ ...pool, name: "other", listen: { ...pool.listen, port } });
    await site.until("other", ({ traffic }) => traffic.membersUp === 1);
    expect((await ask(port, "/id")).status).toBe(200);
  });

  test("a pool whose port was taken while HAProxy was away is served as soon as it is free", async () => {
    const pool = await site.pool("shop", [memberOf(one)]);
    const kept = await site.pool("kept", [memberOf(one)]);
    process.kill(-masterOf(site.stateDir), "SIGKILL");
    await pause(100);
    const squatter = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => squatter.listen(pool.listen.port, "127.0.0.1", resolve));
    const away = await site.view("shop");
    expect(away.members[0]).toMatchObject({ up: false, lastProblem: expect.stringMatching(/port is taken/) });
    await site.until("kept", ({ traffic }) => traffic.membersUp === 1);
    expect((await ask(kept.listen.port, "/id")).status).toBe(200);
    await new Promise<void>((resolve) => squatter.close(() => resolve()));
    await site.until("shop", ({ traffic }) => traffic.membersUp === 1);
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
  });

  test("a pool changes its monitor, its port and its mode, and is removed, without a failed request elsewhere", async () => {
    const pool = await site.pool("shop", [memberOf(one)]);
    const other = await site.pool("other", [memberOf(two)]);
    const stop = users(other.listen.port, 4);
    await site.put({ ...pool, monitor: { ...pool.monitor, expectStatus: 204 } });
    await site.until("shop", ({ traffic }) => traffic.membersUp === 0);
    await site.put(pool);
    await site.until("shop", ({ traffic }) => traffic.membersUp === 1);
    const listen = { ...pool.listen, port: await freePort(), mode: "tcp" } as const;
    await site.put({ ...pool, listen });
    await site.until("shop", ({ traffic }) => traffic.membersUp === 1);
    expect((await ask(listen.port, "/id")).status).toBe(200);
    await expect(ask(pool.listen.port, "/id")).rejects.toThrow(/ECONNREFUSED/);
    const running = ask(listen.port, "/id?ms=400");
    await pause(100);
    await site.balancer.remove("shop");
    await expect(ask(listen.port, "/id")).rejects.toThrow(/ECONNREFUSED/);
    expect((await running).status).toBe(200);
    expect(await site.balancer.view("shop")).toBeUndefined();
    await site.balancer.remove("shop");
    expect((await stop()).failures).toEqual([]);
  });

  test("stopped, nothing of it is left; its files are for its own user only", async () => {
    await site.pool("shop", [memberOf(one)]);
    const pid = masterOf(site.stateDir);
    expect(statSync(join(site.stateDir, "haproxy.sock")).mode & 0o777).toBe(0o600);
    expect(statSync(join(site.stateDir, "haproxy.cfg")).mode & 0o077).toBe(0);
    await site.balancer.stop();
    expect(isAlive(pid)).toBe(false);
    await site.balancer.stop();
  });

  test("without the program, or with a folder too deep for a socket, it says so or finds a way", async () => {
    const { report } = await refusal(
      new HaproxyBalancer({ stateDir: site.stateDir + "-none", program: "/nonexistent/haproxy" }).start(),
    );
    expect(report.problem).toContain("/nonexistent/haproxy");
    expect(report.mend).toMatch(/install/i);
    const stateDir = join(site.stateDir, "a".repeat(60), "b".repeat(60));
    const deep = await startHaproxy({ stateDir });
    const pool = await deep.pool("deep", [memberOf(one)]);
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
    await deep.end();
    rmSync(site.stateDir + "-none", { recursive: true, force: true });
  });

  test("a configuration that HAProxy does not take is refused with its words, and the present one serves on", async () => {
    const pool = await site.pool("shop", [memberOf(one)]);
    const config = readFileSync(join(site.stateDir, "haproxy.cfg"), "utf8");
    const monitor = { ...pool.monitor, timeoutMs: 2 ** 40 };
    const refused = await refusal(
      site.put({ ...pool, name: "other", monitor, listen: { ...pool.listen, port: await freePort() } }),
    );
    expect(refused.report.problem).toMatch(/HAProxy refuses the configuration: .*timer overflow/);
    const broken = { ...pool.monitor, path: "/a\n    bind *:1" };
    expect((await refusal(site.put({ ...pool, monitor: broken }))).report.problem).toMatch(
      /control character/,
    );
    expect(readFileSync(join(site.stateDir, "haproxy.cfg"), "utf8")).toBe(config);
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
    const odd = { ...pool.monitor, path: "/health?q='a'\"b\"\\$HOME#1" };
    await site.put({ ...pool, monitor: odd });
    await site.until("shop", ({ traffic }) => traffic.membersUp === 1);
  });

  test("a pool that HAProxy does not know is not there", async () => {
    expect(await site.balancer.view("nothing")).toBeUndefined();
    const pool = await examplePool("empty", []);
    await site.put(pool);
    expect((await site.view("empty")).members).toEqual([]);
  });
});
