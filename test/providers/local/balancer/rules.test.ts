import * as fc from "fast-check";
import {
  cookieName,
  memberKey,
  newUser,
  parseAffinity,
  takeCookie,
  bindCookie,
} from "../../../../providers/local/balancer/affinity";
import { cohortOf } from "../../../../providers/local/balancer/cohort";
import { answerHeaders, requestHead } from "../../../../providers/local/balancer/headers";
import { mustLeave, nextOrder, NO_QUIESCE, shareAt } from "../../../../providers/local/balancer/quiesce";
import { chooseMember, type Candidate } from "../../../../providers/local/balancer/selection";
import { TrafficWindow } from "../../../../providers/local/balancer/traffic";
import { WaitQueue, type Waiter } from "../../../../providers/local/balancer/wait-queue";

describe("the choice of a member", () => {
  const candidate = fc.record({
    up: fc.boolean(),
    draining: fc.boolean(),
    suspicious: fc.boolean(),
    inFlight: fc.nat(20),
    weight: fc.integer({ min: 1, max: 100 }),
  });
  const members = fc.array(candidate, { maxLength: 8 });

  test("never takes one that is down or full, and takes one whenever there is one that may be taken", () => {
    fc.assert(
      fc.property(members, fc.nat(10), fc.nat(7), (all, limit, turn) => {
        const chosen = chooseMember(all, limit, turn);
        const hasRoom = (member: Candidate) => limit === 0 || member.inFlight < limit;
        const lasting = all.filter((member) => member.up && !member.draining);
        const allowed = (lasting.length > 0 ? lasting : all.filter(({ up }) => up)).filter(hasRoom);
        if (chosen === undefined) expect(allowed).toEqual([]);
        else expect(allowed).toContain(chosen);
      }),
    );
  });

  test("takes none that is more loaded, by weight, than another as trustworthy", () => {
    fc.assert(
      fc.property(members, fc.nat(7), (all, turn) => {
        const chosen = chooseMember(all, 0, turn);
        if (chosen === undefined) return;
        const load = (member: Candidate) => (member.inFlight + 1) / member.weight;
        for (const other of all) {
          if (!other.up || other.draining !== chosen.draining) continue;
          if (chosen.suspicious) expect(other.suspicious).toBe(true);
          if (other.suspicious === chosen.suspicious)
            expect(load(chosen)).toBeLessThanOrEqual(load(other) + 1e-9);
        }
      }),
    );
  });
});

describe("cohorts", () => {
  test("are even, also for neighbouring ports of one address", () => {
    let below = 0;
    for (let port = 30_000; port < 40_000; port += 1) if (cohortOf(`192.0.2.1:${port}`) < 0.3) below += 1;
    expect(below / 10_000).toBeGreaterThan(0.27);
    expect(below / 10_000).toBeLessThan(0.33);
  });

  test("nest: whoever leaves at a smaller share leaves at a larger one", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (key, a, b) => {
          const [small, large] = a < b ? [a, b] : [b, a];
          const leaves = (share: number) =>
            mustLeave(
              nextOrder(NO_QUIESCE, { share, forMs: 0, idleCloseMs: 0 }, 1_000),
              { openedAt: 0, cohortKey: key },
              2_000,
            );
          if (leaves(small)) expect(leaves(large)).toBe(true);
        },
      ),
    );
  });
});

describe("a quiesce order", () => {
  const spec = (share: number, forMs = 0) => ({ share, forMs, idleCloseMs: 0 });

  test("holds for its time, or until it is changed", () => {
    const order = nextOrder(NO_QUIESCE, spec(0.5, 100), 1_000);
    expect([shareAt(order, 1_099), shareAt(order, 1_100)]).toEqual([0.5, 0]);
    expect(shareAt(nextOrder(NO_QUIESCE, spec(0.5), 1_000), 1e12)).toBe(0.5);
  });

  test("asked for again is the same order; another share keeps the ramp's beginning, a pause ends it", () => {
    const first = nextOrder(NO_QUIESCE, spec(0.2), 1_000);
    expect(nextOrder(first, spec(0.2), 2_000)).toBe(first);
    const second = nextOrder(first, spec(0.5), 3_000);
    expect([second.since, second.rampSince]).toEqual([3_000, 1_000]);
    expect(nextOrder(nextOrder(second, spec(0), 4_000), spec(0.5), 5_000).rampSince).toBe(5_000);
    expect(nextOrder(nextOrder(NO_QUIESCE, spec(1, 10), 1_000), spec(0.5), 5_000).rampSince).toBe(5_000);
  });

  test("spares who came after the ramp began, until everybody must leave", () => {
    const newcomer = { openedAt: 1_500, cohortKey: "x" };
    expect(mustLeave(nextOrder(NO_QUIESCE, spec(0.999999), 1_000), newcomer, 2_000)).toBe(false);
    expect(mustLeave(nextOrder(NO_QUIESCE, spec(1), 1_000), newcomer, 2_000)).toBe(true);
  });
});

describe("affinity cookies", () => {
  test("name any pool in characters that a cookie may have", () => {
    fc.assert(fc.property(fc.string(), (pool) => /^SPILLWAY_[A-Za-z0-9_-]*$/.test(cookieName(pool))));
  });

  test("come back as they were set, out of any crowd of others", () => {
    const other = fc.stringMatching(/^[a-z]{1,8}=[a-z0-9=]{0,8}$/);
    fc.assert(
      fc.property(fc.array(other), fc.array(other), fc.string(), (before, after, id) => {
        const name = cookieName("shop");
        const affinity = { memberKey: memberKey(id), user: newUser() };
        const pair = bindCookie(name, affinity).split(";")[0];
        const { value, rest } = takeCookie([...before, pair, ...after].join("; "), name);
        expect(parseAffinity(value ?? "")).toEqual(affinity);
        expect(rest).toBe([...before, ...after].join("; "));
      }),
    );
  });

  test("of a longer name are somebody else's", () => {
    expect(takeCookie("SPILLWAY_shop2=a; XSPILLWAY_shop=b", "SPILLWAY_shop")).toEqual({
      value: undefined,
      rest: "SPILLWAY_shop2=a; XSPILLWAY_shop=b",
    });
  });

  test("do not tell a member's id", () => {
    expect(memberKey("shop-1")).not.toContain("shop");
    expect(memberKey("shop-1")).not.toBe(memberKey("shop-2"));
  });
});

describe("headers", () => {
  const client = { remoteAddress: "192.0.2.9", localHost: "127.0.0.1:80" };
  const headerName = fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,11}$/);
  const headers = fc.array(fc.tuple(headerName, fc.stringMatching(/^[a-z0-9]{0,8}$/)), { maxLength: 10 });

  test("of any request: one framing at most goes on, and nothing of the connection", () => {
    fc.assert(
      fc.property(
        headers,
        fc.constantFrom("keep-alive", "close", "x-one, Cookie", "content-length, upgrade"),
        (some, connection) => {
          const raw = ["Host", "a", ...some.flat(), "Connection", connection];
          const head = requestHead("POST", raw, client, undefined);
          const names = head.headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
          for (const dropped of ["connection", "keep-alive", "te", "upgrade", "proxy-connection", "x-one"]) {
            if (dropped !== "x-one" || connection.includes("x-one")) expect(names).not.toContain(dropped);
          }
          expect(
            names.filter((name) => name === "content-length" || name === "transfer-encoding"),
          ).toHaveLength(1);
        },
      ),
    );
  });

  test("a request without a host gets the address that it came to", () => {
    const { headers: made } = requestHead("GET", [], client, undefined);
    expect(made).toEqual([
      "Host",
      "127.0.0.1:80",
      "X-Forwarded-For",
      "192.0.2.9",
      "X-Forwarded-Proto",
      "http",
    ]);
  });

  test("a body is one of any length, or in chunks", () => {
    const hasBody = (method: string, ...raw: string[]) =>
      requestHead(method, ["Host", "a", ...raw], client, undefined).hasBody;
    expect(hasBody("POST")).toBe(false);
    expect(hasBody("POST", "Content-Length", "0")).toBe(false);
    expect(hasBody("GET", "Content-Length", "5")).toBe(true);
    expect(hasBody("DELETE", "Transfer-Encoding", "chunked")).toBe(true);
  });

  test("an answer keeps each of its cookies", () => {
    const raw = ["Set-Cookie", "a=1", "Connection", "close", "Set-Cookie", "b=2", "Keep-Alive", "timeout=5"];
    expect(answerHeaders(raw)).toEqual(["Set-Cookie", "a=1", "Set-Cookie", "b=2"]);
  });
});

describe("the traffic window", () => {
  test("tells quantiles within a tenth", () => {
    const values = fc.array(fc.double({ min: 0.1, max: 100_000, noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(values, (latencies) => {
        const window = new TrafficWindow(() => 5_000);
        latencies.forEach((latency) => window.answered(latency));
        const sorted = [...latencies].sort((one, other) => one - other);
        for (const [share, told] of [
          [0.5, window.latencyMs().p50],
          [0.95, window.latencyMs().p95],
        ]) {
          const exact = sorted[Math.ceil(latencies.length * share) - 1];
          expect(Math.abs(told - exact) / exact).toBeLessThan(0.1);
        }
      }),
    );
  });

  test("forgets what is more than two seconds old, and tells a steady rate as it is", () => {
    let now = 0;
    const window = new TrafficWindow(() => now);
    for (; now < 10_000; now += 10) window.arrived();
    expect(window.requestsPerSecond()).toBeGreaterThan(95);
    expect(window.requestsPerSecond()).toBeLessThan(105);
    now += 2_000;
    expect(window.requestsPerSecond()).toBe(0);
    expect(window.latencyMs()).toEqual({ p50: 0, p95: 0 });
  });
});

describe("the queue", () => {
  interface Kept extends Waiter<string> {
    refused: number;
  }
  const waiter = (wants?: string, avoid?: string[]): Kept => ({
    wants,
    avoid: avoid && new Set(avoid),
    refused: 0,
    grant: () => undefined,
    refuse() {
      this.refused += 1;
    },
  });

  test("is first come, first served, between those bound to a member and all others", () => {
    const queue = new WaitQueue<string>(60_000, 100);
    const all = [waiter(), waiter("a"), waiter("b"), waiter(), waiter("a")];
    all.forEach((one) => queue.add(one));
    expect([queue.take("a", true), queue.take("a", true), queue.take("a", false)]).toEqual([
      all[0],
      all[1],
      all[4],
    ]);
    expect(queue.take("a", false)).toBeUndefined();
    expect([queue.take("b", true), queue.take("b", true), queue.length]).toEqual([all[2], all[3], 0]);
  });

  test("gives nobody the member that refused it, until that one proved good", () => {
    const queue = new WaitQueue<string>(60_000, 100);
    const shy = waiter(undefined, ["a"]);
    queue.add(shy);
    expect(queue.take("a", true)).toBeUndefined();
    queue.forgive("a");
    expect(queue.take("a", true)).toBe(shy);
  });

  test("has room for so many and refuses the next at once", () => {
    const queue = new WaitQueue<string>(60_000, 3);
    const all = Array.from({ length: 4 }, () => waiter());
    all.forEach((one) => queue.add(one));
    expect(all.map(({ refused }) => refused)).toEqual([0, 0, 0, 1]);
    queue.clear();
    expect(all.map(({ refused }) => refused)).toEqual([1, 1, 1, 1]);
    expect(queue.length).toBe(0);
  });

  test("refuses after its patience, each once", async () => {
    const queue = new WaitQueue<string>(20, 10);
    const [late, bound, gone] = [waiter(), waiter("a"), waiter()];
    [late, bound, gone].forEach((one) => queue.add(one));
    expect(queue.cancel(gone)).toBe(true);
    expect(queue.cancel(gone)).toBe(false);
    queue.release("a");
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([late.refused, bound.refused, gone.refused, queue.length]).toEqual([1, 1, 0, 0]);
  });
});
