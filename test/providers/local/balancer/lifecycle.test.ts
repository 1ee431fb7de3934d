import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { Agent } from "node:http";
import { join } from "node:path";
import { SpillwayError } from "../../../../lib/errors";
import type { BalancerPool } from "../../../../lib/site/ports";
import { LocalBalancer } from "../../../../providers/local/balancer";
import { isSameProcess } from "../../../../providers/local/process";
import { startApp, type App } from "../support/app";
import { freePort, memberOf, startBalancer, temporaryFolder, type TestBalancer } from "../support/balancer";
import { ask, cookieOf, rawClient } from "../support/client";

let site: TestBalancer;
let app: App;

beforeEach(async () => {
  site = await startBalancer();
  app = await startApp("one");
});
afterEach(async () => {
  await site.end();
  await app.close();
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: () => Promise<boolean> | boolean, withinMs = 6_000): Promise<void> {
  for (const end = Date.now() + withinMs; !(await what()); await pause(20)) {
    if (Date.now() > end) throw new Error("it never came so");
  }
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

describe("its process", () => {
  test("another agent adopts the one that runs, with its pools and users", async () => {
    const { listen } = await site.pool("shop", [memberOf(app)]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await ask(listen.port, "/id", { agent });
    const other = new LocalBalancer({ stateDir: site.stateDir });
    await other.start();
    expect((await other.health()).pid).toBe((await site.balancer.health()).pid);
    expect((await other.view("shop"))?.traffic).toMatchObject({ sessions: 1, requestsTotal: 1 });
    expect((await ask(listen.port, "/id", { agent })).reused).toBe(true);
    agent.destroy();
  });

  test("two agents that start at once have one balancer", async () => {
    const stateDir = temporaryFolder();
    const all = Array.from({ length: 4 }, () => new LocalBalancer({ stateDir }));
    await Promise.all(all.map((balancer) => balancer.start()));
    const pids = await Promise.all(all.map(async (balancer) => (await balancer.health()).pid));
    expect(new Set(pids).size).toBe(1);
    await all[0].stop();
    expect(isAlive(pids[0])).toBe(false);
    rmSync(stateDir, { recursive: true });
  });

  test("killed, it is started again by the next look, with its pools, cookies and quiesce order", async () => {
    const pool = await site.pool("shop", [memberOf(app)], { affinity: "cookie" });
    const cookie = cookieOf(await ask(pool.listen.port, "/id"));
    await site.put({ ...pool, quiesce: { share: 1, forMs: 0, idleCloseMs: 1_000 } });
    const { pid } = await site.balancer.health();
    process.kill(pid, "SIGKILL");
    const { traffic } = await site.view("shop");
    // Who was here before is not known: it must not look as if nobody had been.
    expect(traffic.quietMs).toBeLessThan(5_000);
    expect((await site.balancer.health()).pid).not.toBe(pid);
    const answer = await ask(pool.listen.port, "/id", { headers: { cookie } });
    expect(answer.json().id).toBe("one");
    expect(answer.headers["set-cookie"]?.[0]).toContain("Max-Age=0");
  });

  test("killed again and again under load, it refuses connections but answers nothing wrong", async () => {
    const { listen } = await site.pool("shop", [memberOf(app)]);
    const statuses = new Set<number>();
    let answered = 0;
    const end = Date.now() + 1_500;
    const load = Promise.all(
      Array.from({ length: 5 }, async () => {
        while (Date.now() < end) {
          const answer = await ask(listen.port, "/id").catch(() => undefined);
          if (answer === undefined) await pause(5);
          else {
            statuses.add(answer.status);
            answered += 1;
          }
        }
      }),
    );
    for (let kills = 0; kills < 2; kills += 1) {
      await pause(300);
      process.kill((await site.balancer.health()).pid, "SIGKILL");
    }
    await site.view("shop");
    await load;
    expect([...statuses]).toEqual([200]);
    expect(answered).toBeGreaterThan(20);
  });

  test("one that hangs under an agent is replaced within 5 s of the first look, with its pools", async () => {
    const { listen } = await site.pool("shop", [memberOf(app)]);
    const { pid } = await site.balancer.health();
    process.kill(pid, "SIGSTOP");
    const stopped = Date.now();
    expect((await Promise.all([site.view("shop"), site.view("shop")]))[0].traffic.members).toBe(1);
    expect((await ask(listen.port, "/id")).json().id).toBe("one");
    expect(Date.now() - stopped).toBeLessThan(5_500);
    expect((await site.balancer.health()).pid).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
  }, 20_000);

  test("one that misses a single look, being busy, is left alone", async () => {
    const { listen } = await site.pool("shop", [memberOf(app)]);
    const { pid } = await site.balancer.health();
    process.kill(pid, "SIGSTOP");
    const seen = site.view("shop");
    await pause(2_000);
    process.kill(pid, "SIGCONT");
    await seen;
    expect((await site.balancer.health()).pid).toBe(pid);
    expect((await ask(listen.port, "/id")).status).toBe(200);
  }, 20_000);

  test("one that hangs is replaced by an agent that starts", async () => {
    const { listen } = await site.pool("shop", [memberOf(app)]);
    const { pid } = await site.balancer.health();
    process.kill(pid, "SIGSTOP");
    const other = new LocalBalancer({ stateDir: site.stateDir });
    await other.start();
    expect((await other.health()).pid).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
    expect((await ask(listen.port, "/id")).json().id).toBe("one");
  }, 30_000);

  test("it ends by itself when its folder is removed", async () => {
    const stateDir = temporaryFolder();
    const balancer = new LocalBalancer({ stateDir });
    await balancer.start();
    const { pid } = await balancer.health();
    rmSync(stateDir, { recursive: true });
    await until(() => !isAlive(pid));
  });

  test("stopped, it is gone, and asking it is an error that says so", async () => {
    const { pid } = await site.balancer.health();
    await site.balancer.stop();
    expect(isAlive(pid)).toBe(false);
    const { report } = await refusal(site.balancer.view("shop"));
    expect(report.problem).toMatch(/stopped/);
    await site.balancer.stop();
  });

  test("its control socket is for its own user only", () => {
    expect(statSync(join(site.stateDir, "balancer.sock")).mode & 0o777).toBe(0o600);
    expect(
      statSync(join(site.stateDir, "balancer.state.json").replace("state", "process")).mode & 0o077,
    ).toBe(0);
  });

  test("a state folder too deep for a socket's path works all the same", async () => {
    const top = temporaryFolder();
    const stateDir = join(top, "a".repeat(60), "b".repeat(60));
    mkdirSync(stateDir, { recursive: true });
    const balancer = new LocalBalancer({ stateDir });
    await balancer.start();
    const port = await freePort();
    await balancer.put({ ...examplePool(port), members: [memberOf(app)] });
    expect((await ask(port, "/id")).status).toBe(200);
    const identity = JSON.parse(readFileSync(join(stateDir, "balancer.process.json"), "utf8")) as {
      socket: string;
      process: { pid: number; startTime: string };
    };
    await balancer.stop();
    expect(existsSync(identity.socket)).toBe(false);
    expect(await isSameProcess(identity.process)).toBe(false);
    rmSync(top, { recursive: true });
  });

  test("a broken state file is an error that names it, and nothing is started", async () => {
    const stateDir = temporaryFolder();
    writeFileSync(join(stateDir, "balancer.state.json"), '{"version":1,"pools":[');
    const { report } = await refusal(new LocalBalancer({ stateDir }).start());
    expect(report.problem).toContain("balancer.state.json");
    expect(report.problem).toMatch(/not JSON/);
    rmSync(stateDir, { recursive: true });
  });
});

function examplePool(port: number): BalancerPool {
  return {
    name: "example",
    listen: { address: "127.0.0.1", port, mode: "http" },
    monitor: {
      type: "http",
      path: "/",
      expectStatus: 200,
      intervalMs: 100,
      timeoutMs: 500,
      rise: 1,
      fall: 2,
    },
    affinity: "none",
    maxConnections: 0,
    sessionIdleMs: 30_000,
    members: [],
    quiesce: { share: 0, forMs: 0, idleCloseMs: 0 },
  };
}

describe("where it listens", () => {
  test("a port that is taken is refused with its code, and the pool stays as it was", async () => {
    const pool = await site.pool("shop", [memberOf(app)]);
    const taken = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
    const other = await refusal(site.put({ ...pool, name: "other", listen: { ...pool.listen, port } }));
    expect(other.cause).toMatchObject({ code: "port-taken" });
    expect(other.report.place).toBe(`127.0.0.1:${port}`);
    expect(await site.balancer.view("other")).toBeUndefined();
    const moved = await refusal(site.put({ ...pool, listen: { ...pool.listen, port }, members: [] }));
    expect(moved.cause).toMatchObject({ code: "port-taken" });
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
    await new Promise<void>((resolve) => taken.close(() => resolve()));
    await site.put({ ...pool, name: "other", listen: { ...pool.listen, port } });
    expect((await ask(port, "/id")).status).toBe(200);
  });

  test("two pools cannot have one port", async () => {
    const pool = await site.pool("shop", [memberOf(app)]);
    expect((await refusal(site.put({ ...pool, name: "twin" }))).cause).toMatchObject({ code: "port-taken" });
  });

  test("an address that is not of this machine is refused", async () => {
    const listen = { address: "192.0.2.1", port: await freePort(), mode: "http" } as const;
    const { cause, report } = await refusal(site.put({ ...examplePool(1), listen }));
    expect(cause).toMatchObject({ code: "invalid" });
    expect(report.mend).toMatch(/address of this machine/);
  });

  test("moved to another port, the new is open before the old closes, and running requests end", async () => {
    const pool = await site.pool("shop", [memberOf(app)]);
    const port = await freePort();
    const agent = new Agent({ keepAlive: true });
    const idle = new Agent({ keepAlive: true, maxSockets: 1 });
    await ask(pool.listen.port, "/id", { agent: idle });
    const running = ask(pool.listen.port, "/id?ms=400", { agent });
    await site.until("shop", ({ traffic }) => traffic.inFlight === 1);
    const works = (at: number) =>
      ask(at, "/id").then(
        () => true,
        () => false,
      );
    let gaps = 0;
    let moved = false;
    const watch = (async () => {
      // The old is asked first: if it was closed by then, the new must have been open.
      while (!moved) if (!(await works(pool.listen.port)) && !(await works(port))) gaps += 1;
    })();
    await site.put({ ...pool, listen: { ...pool.listen, port } });
    moved = true;
    await watch;
    expect(gaps).toBe(0);
    const last = await running;
    expect([last.status, last.headers.connection]).toEqual([200, "close"]);
    // Kept-alive users of the old port learn of it with an answer, not by a broken connection.
    const kept = await ask(pool.listen.port, "/id", { agent: idle });
    expect([kept.reused, kept.status, kept.headers.connection]).toEqual([true, 200, "close"]);
    await expect(ask(pool.listen.port, "/id")).rejects.toThrow(/ECONNREFUSED/);
    expect((await ask(port, "/id")).status).toBe(200);
    agent.destroy();
    idle.destroy();
  });

  test("the mode can change on the same port", async () => {
    const pool = await site.pool("shop", [memberOf(app)]);
    await site.put({ ...pool, listen: { ...pool.listen, mode: "tcp" } });
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
    await site.put(pool);
    expect((await ask(pool.listen.port, "/id")).status).toBe(200);
  });

  test("restored while its port is taken, a pool opens as soon as the port is free", async () => {
    const pool = await site.pool("shop", [memberOf(app)]);
    const { pid } = await site.balancer.health();
    process.kill(pid, "SIGKILL");
    await until(() => !isAlive(pid));
    const squatter = createServer((socket) => socket.destroy());
    // The last thread of a killed process, and its sockets with it, may go a little later than the process.
    await until(
      () =>
        new Promise((resolve) => {
          squatter.once("error", () => resolve(false));
          squatter.listen(pool.listen.port, "127.0.0.1", () => resolve(true));
        }),
    );
    expect((await site.view("shop")).traffic.members).toBe(1);
    expect((await refusal(site.put(pool))).cause).toMatchObject({ code: "port-taken" });
    await new Promise<void>((resolve) => squatter.close(() => resolve()));
    await until(() =>
      ask(pool.listen.port, "/id").then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });
});

describe("a pool that is removed", () => {
  test("takes nobody new, lets running answers end, and closes idle connections", async () => {
    const { listen } = await site.pool("shop", [memberOf(app)]);
    const idle = await rawClient(listen.port);
    idle.send("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
    await idle.expect(/"one"/);
    const running = ask(listen.port, "/id?ms=500");
    await site.until("shop", ({ traffic }) => traffic.inFlight === 1);
    const removed = site.balancer.remove("shop");
    await idle.closed;
    await expect(ask(listen.port, "/id")).rejects.toThrow(/ECONNREFUSED/);
    expect((await running).status).toBe(200);
    await removed;
    expect(await site.balancer.view("shop")).toBeUndefined();
    await site.balancer.remove("shop");
  });

  test("is still gone after a kill", async () => {
    await site.pool("shop", [memberOf(app)]);
    await site.balancer.remove("shop");
    process.kill((await site.balancer.health()).pid, "SIGKILL");
    expect(await site.balancer.view("shop")).toBeUndefined();
  });

  test("refuses at once those that wait for a member", async () => {
    const { listen } = await site.pool("shop", []);
    const waiting = ask(listen.port, "/id");
    await site.until("shop", ({ traffic }) => traffic.queued === 1);
    await site.balancer.remove("shop");
    expect((await waiting).status).toBe(503);
  });
});
