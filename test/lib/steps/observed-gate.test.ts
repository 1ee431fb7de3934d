import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as fc from "fast-check";
import {
  QueryError,
  type PoolObserver,
  type QueryErrorKind,
  type SeenAvailability,
  type SeenUsers,
} from "../../../lib/observers";
import { awaitObservedQuiet, openObservedGate, parseProbedEndpoint } from "../../../lib/steps";
import { quietMsOf } from "../../../lib/steps/quiesce/observed-quiet";
import type { Progress } from "../../../lib/wait";

type Answer<T> = T | undefined | QueryError;

/** A pool as a script of looks; the last one is repeated. */
class ScriptedPool implements PoolObserver {
  readonly place = "target group shop";
  looks = 0;

  constructor(
    private readonly availabilities: readonly Answer<SeenAvailability>[] = [],
    private readonly seen: readonly (() => Answer<SeenUsers>)[] = [],
  ) {}

  available(): Promise<SeenAvailability | undefined> {
    return answer(this.availabilities[Math.min(this.looks++, this.availabilities.length - 1)]);
  }

  users(): Promise<SeenUsers | undefined> {
    return answer(this.seen[Math.min(this.looks++, this.seen.length - 1)]?.());
  }
}

function answer<T>(value: Answer<T>): Promise<T | undefined> {
  return value instanceof QueryError ? Promise.reject(value) : Promise.resolve(value);
}

const fails = (kind: QueryErrorKind) =>
  new QueryError(kind, { place: "AWS", problem: `it says ${kind}`, mend: "Mend it." });
const up = (ids: readonly string[], more: Partial<SeenAvailability> = {}): SeenAvailability => ({
  up: ids.length,
  members: ids.map((id) => ({ id, state: "up" })),
  ...more,
});

let said: Progress[];
let stop: AbortController;
let servers: Server[];
beforeEach(() => {
  said = [];
  servers = [];
  stop = new AbortController();
});
afterEach(() => servers.forEach((server) => server.close()));
const context = () => ({ signal: stop.signal, progress: (progress: Progress) => said.push(progress) });
const words = () => said.map(({ message }) => message).join("\n");

const MONITOR = {
  ...{ type: "http" as const, path: "/ready", expectStatus: 200, intervalMs: 1_000 },
  ...{ timeoutMs: 500, rise: 1, fall: 1 },
};
const open = (pool: PoolObserver, more: object = {}) =>
  openObservedGate(
    {
      subject: "aws/x/shop",
      pool,
      successes: 1,
      monitor: MONITOR,
      intervalMs: 20,
      deadlineMs: 6_000,
      ...more,
    },
    context(),
  );

describe("a gate that stands on an observer", () => {
  it("opens after good looks in a row at as many members as are wanted", async () => {
    const pool = new ScriptedPool([
      up(["a"], { wanted: 2, problem: "no capacity" }),
      up(["a", "b"], { wanted: 2 }),
    ]);
    await open(pool, { successes: 2 });
    expect(pool.looks).toBe(3);
    expect(words()).toMatch(
      /1 of 2 members up \(no capacity\)[^]*1 of 2 good looks in a row[^]*available: 2 good/,
    );
  });

  it("begins the row anew when a member is exchanged", async () => {
    const pool = new ScriptedPool([up(["a"]), up(["b"]), up(["b"])]);
    await open(pool, { successes: 2 });
    expect(pool.looks).toBe(3);
  });

  it("goes on through silence, and stays shut for what nobody can know", async () => {
    await open(new ScriptedPool([fails("silence"), fails("data"), up(["a"])]));
    expect(words()).toMatch(/it says silence; asking again/);
  });

  it("ends at once where asking again will not help", async () => {
    await expect(open(new ScriptedPool([fails("refused")]))).rejects.toThrow("it says refused");
  });

  it("never opens for members that are not there, and says at its deadline what it saw", async () => {
    const none = up([], { wanted: 0 });
    await expect(open(new ScriptedPool([none]), { deadlineMs: 300 })).rejects.toThrow(/0 of 1 members up/);
  });

  it("is also asked from outside, when there is an endpoint", async () => {
    let status = 503;
    const paths: string[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url ?? "");
      response.writeHead(status).end();
      status = 200;
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await open(new ScriptedPool([up(["a"])]), {
      endpoint: parseProbedEndpoint(`http://127.0.0.1:${port}/app/`),
    });
    expect(words()).toMatch(/from outside: status 503 instead of 200 for \/app\/ready/);
    expect(paths).toEqual(["/app/ready", "/app/ready"]);
  });

  it("is given up when it is aborted", async () => {
    setTimeout(() => stop.abort(), 100);
    await expect(open(new ScriptedPool([up([])]))).rejects.toThrow("stopped");
  });
});

const close = (pool: PoolObserver, more: object = {}) =>
  awaitObservedQuiet(
    {
      ...{ subject: "aws/x/shop", pool, quietPeriodMs: 100, recordTtlMs: 0, onDeadline: "hold" as const },
      ...{ deadlineMs: 3_000, intervalMs: 50, ...more },
    },
    context(),
  );
const quietSince = (at: number) => () => ({ count: 0, quietFrom: at, until: Date.now() });

describe("closing it", () => {
  it("waits for users to leave, and then for the quiet period", async () => {
    const startedAt = Date.now();
    const pool = new ScriptedPool([], [() => ({ count: 3, until: Date.now() }), quietSince(startedAt)]);
    await close(pool);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(100);
    expect(words()).toMatch(/waiting for 3 users to leave[^]*no user is left/);
  });

  it("counts no quiet from before the record's TTL was over", async () => {
    const startedAt = Date.now();
    await close(new ScriptedPool([], [quietSince(0)]), { recordTtlMs: 400 });
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(500);
  });

  it("counts no quiet beyond what is known: late figures hold it for as long as they are late", async () => {
    const startedAt = Date.now();
    const late = () => ({ count: 0, quietFrom: 0, until: Date.now() - 500 });
    await close(new ScriptedPool([], [late]));
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(600);
  });

  it("never takes what is not known for nobody", async () => {
    const unknown = () => ({ problem: "CloudWatch has no metrics" });
    await expect(close(new ScriptedPool([], [unknown]), { deadlineMs: 400 })).rejects.toThrow(
      /who is there is not known.*CloudWatch has no metrics/,
    );
    await expect(close(new ScriptedPool([], [() => fails("silence")]), { deadlineMs: 400 })).rejects.toThrow(
      /what cannot be seen is not empty/,
    );
    await expect(close(new ScriptedPool([], [() => fails("refused")]))).rejects.toThrow("it says refused");
  });

  it("ends at once when nothing is there any more", async () => {
    const pool = new ScriptedPool([], [() => undefined]);
    await close(pool, { recordTtlMs: 60_000 });
    expect(pool.looks).toBe(1);
    expect(words()).toContain("is gone");
  });

  it("cuts users off at the deadline with force only, and never when it is aborted", async () => {
    const busy = () => new ScriptedPool([], [() => ({ count: 1, until: Date.now() })]);
    await expect(close(busy(), { deadlineMs: 200 })).rejects.toThrow(/waiting for 1 user to leave/);
    await close(busy(), { deadlineMs: 200, onDeadline: "force" });
    expect(words()).toContain("cut off");
    setTimeout(() => stop.abort(), 100);
    await expect(close(busy(), { onDeadline: "force" })).rejects.toThrow("nothing was taken down");
  });
});

test("quiet is never longer than what is known of it, nor than the time since the TTL", () => {
  const time = fc.integer({ min: 0, max: 10_000 });
  fc.assert(
    fc.property(
      fc.option(fc.nat(3), { nil: undefined }),
      time,
      time,
      time,
      (count, quietFrom, until, ttl) => {
        const quiet = quietMsOf({ count, quietFrom, until }, ttl);
        expect(quiet).toBeGreaterThanOrEqual(0);
        if (count !== 0) expect(quiet).toBe(0);
        if (quiet > 0) expect(quiet).toBe(Math.min(until - quietFrom, until - ttl));
      },
    ),
  );
});

test("an endpoint is HOST:PORT or a URL, without user, query or fragment", () => {
  expect(parseProbedEndpoint("lb.example.com:8080")).toMatchObject({ address: "lb.example.com", port: 8080 });
  expect(parseProbedEndpoint("[::1]:80")).toMatchObject({ address: "::1", port: 80, tls: false });
  expect(parseProbedEndpoint("https://lb.example.com/shop/")).toMatchObject({
    port: 443,
    tls: true,
    basePath: "/shop",
  });
  for (const bad of ["", "ftp://x", "http://u:p@x", "http://x?a", "http://x#a", "x:port", "http://"])
    expect(parseProbedEndpoint(bad)).toBeUndefined();
});
