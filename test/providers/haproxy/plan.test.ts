import fc from "fast-check";
import type { BalancerMember, BalancerPool } from "../../../lib/site/ports";
import { checkConfigurationText, poolStanza } from "../../../providers/haproxy";
import { tickAt } from "../../../providers/haproxy/clock";
import { savedStanza } from "../../../providers/haproxy/configuration";
import { BUCKETS, bucketEndUs, quantileMs } from "../../../providers/haproxy/latency";
import { planMembers, type PresentServer } from "../../../providers/haproxy/members";
import { cookieName, serverName, serverNumber } from "../../../providers/haproxy/names";
import { planTables, switches } from "../../../providers/haproxy/run-time-state";
import { stanzaNumber } from "../../../providers/haproxy/stanza";

const pool: BalancerPool = {
  name: "shop",
  listen: { address: "127.0.0.1", port: 8080, mode: "http" },
  monitor: {
    type: "http",
    path: "/health",
    expectStatus: 200,
    intervalMs: 2_000,
    timeoutMs: 1_000,
    rise: 2,
    fall: 3,
  },
  affinity: "cookie",
  maxConnections: 4,
  sessionIdleMs: 30_000,
  members: [],
  quiesce: { share: 0, forMs: 0, idleCloseMs: 0 },
};

const memberOf = (id: string, extra: Partial<BalancerMember> = {}): BalancerMember => ({
  id,
  address: "127.0.0.1",
  port: 9_000,
  draining: false,
  ...extra,
});

const serverOf = (member: BalancerMember, extra: Partial<PresentServer> = {}): PresentServer => ({
  name: serverName(member.id),
  address: member.address,
  port: member.port,
  running: true,
  inMaintenance: false,
  draining: false,
  asksAgent: false,
  weight: (member.weight ?? 1) * 2,
  maxConnections: 4,
  ...extra,
});

const commands = (members: readonly BalancerMember[], present: readonly PresentServer[]) =>
  planMembers({ ...pool, members }, present, {}).map(({ command }) => command);

describe("what is ordered of HAProxy's members", () => {
  const one = memberOf("one");

  test("a new one is added, and never up before its checks say so", () => {
    const [add, admit, ...rest] = commands([one], []);
    expect(add).toBe(
      `add server spillway.shop.members/one 127.0.0.1:9000 id ${serverNumber("one")} check inter 2000 fastinter 250 ` +
        "downinter 250 rise 2 fall 3 observe layer4 error-limit 1 on-error fastinter pool-max-conn 1000 pool-purge-delay 1s weight 2 maxconn 4",
    );
    const at = "spillway.shop.members/one";
    expect(admit).toBe(
      `enable health ${at}; set server ${at} state drain; set server ${at} health down; set server ${at} state ready`,
    );
    expect(rest).toEqual([]);
  });

  test("one whose addition was cut off is taken up again", () => {
    expect(commands([one], [serverOf(one, { running: false, inMaintenance: true })])).toEqual([
      expect.stringMatching(/^enable health .* state ready$/),
    ]);
  });

  test("nothing is ordered of what is so already, whatever the members", () => {
    const member = fc.record({
      id: fc.stringMatching(/^[a-z0-9-]{1,20}$/),
      address: fc.constant("10.0.0.1"),
      port: fc.integer({ min: 1, max: 65_535 }),
      draining: fc.boolean(),
      weight: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(member, { selector: ({ id }) => id, maxLength: 6 }), (members) => {
        const someoneStays = members.some(({ draining }) => !draining);
        const present = members.map((each) => serverOf(each, { draining: someoneStays && each.draining }));
        expect(commands(members, present)).toEqual([]);
      }),
    );
  });

  test("no order ever says `enabled`, and each is one line", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1 }), { maxLength: 4 }), fc.boolean(), (ids, draining) => {
        const members = ids.map((id) => memberOf(id, { draining }));
        for (const command of commands(members, [])) {
          expect(command).not.toMatch(/\benabled\b/);
          expect(command).not.toMatch(/[\r\n]/);
        }
      }),
    );
    expect(() => commands([memberOf("one", { address: "1.2.3.4; shutdown" })], [])).toThrow(/address/);
  });

  test("one that leaves goes to maintenance, and is deleted again and again until HAProxy lets it go", () => {
    const first = planMembers(pool, [serverOf(one)], {});
    expect(first.map(({ command }) => command)).toEqual([
      "set server spillway.shop.members/one state maint",
      "del server spillway.shop.members/one",
    ]);
    expect(first[1].later?.test("Server still has connections attached to it, cannot remove it.")).toBe(true);
    expect(commands([], [serverOf(one, { inMaintenance: true })])).toEqual([
      "del server spillway.shop.members/one",
    ]);
  });

  test("a drain holds while somebody else is up, else the leaving one serves on", () => {
    const two = memberOf("two");
    const leaving = memberOf("one", { draining: true });
    expect(commands([leaving, two], [serverOf(one), serverOf(two)])).toEqual([
      "set server spillway.shop.members/one state drain",
    ]);
    expect(commands([leaving, two], [serverOf(one), serverOf(two, { running: false })])).toEqual([]);
    expect(commands([leaving], [serverOf(one, { draining: true })])).toEqual([
      "set server spillway.shop.members/one state ready",
    ]);
  });

  test("what a member's agent says is left alone, but for a drain of ours that is called off", () => {
    const agentCheck = { port: 9_100, intervalMs: 1_000 };
    const plan = (server: Partial<PresentServer>, calledOff: readonly string[] = []) =>
      planMembers(
        { ...pool, members: [one] },
        [serverOf(one, { asksAgent: true, ...server })],
        { agentCheck },
        new Set(calledOff),
      ).map(({ command }) => command);
    expect(plan({ inMaintenance: true })).toEqual([]);
    expect(plan({ draining: true, weight: 30 })).toEqual([]);
    expect(plan({ draining: true }, ["one"])).toEqual(["set server spillway.shop.members/one state ready"]);
    expect(commands([], [serverOf(one, { asksAgent: true, inMaintenance: true })])[0]).toBe(
      "disable agent spillway.shop.members/one",
    );
  });

  test("weight and limit follow at run time", () => {
    const heavier = memberOf("one", { weight: 30 });
    expect(commands([heavier], [serverOf(one, { maxConnections: 0 })])).toEqual([
      "set server spillway.shop.members/one weight 60",
      "set maxconn server spillway.shop.members/one 4",
    ]);
  });
});

describe("what is switched at run time", () => {
  const order = (share: number, forMs = 0) => ({
    spec: { share, forMs, idleCloseMs: 0 },
    since: 1_800_000_000_000,
    rampSince: 1_799_999_999_000,
  });
  const none = { order: [], probes: [], hosts: [] };

  test("a share says since when and until when it holds", () => {
    const held = switches(pool, order(0.25, 5_000));
    expect(Object.fromEntries(held)).toEqual({
      share: 2_500,
      begin: tickAt(1_800_000_000_000),
      since: tickAt(1_799_999_999_000),
      pace: 0,
      until: tickAt(1_800_000_005_000),
      hosts: 0,
    });
    expect(Object.fromEntries(switches(pool, order(0, 5_000)))).toEqual({
      share: 0,
      begin: 0,
      since: 0,
      until: 0,
      pace: 0,
      hosts: 0,
    });
  });

  test("hosts are known before they are told apart, and the share comes last", () => {
    const orders = planTables({ ...pool, hosts: ["shop.example.test"], probeKey: "key" }, order(1), none);
    expect(orders.map(({ command }) => command)).toEqual([
      "set table spillway.shop.hosts key shop.example.test data.gpt0 1",
      "set table spillway.shop.probes key key data.gpt0 1",
      "set table spillway.shop.order key hosts data.gpt0 1",
      `set table spillway.shop.order key since data.gpt0 ${tickAt(1_799_999_999_000)}`,
      `set table spillway.shop.order key begin data.gpt0 ${tickAt(1_800_000_000_000)}`,
      "set table spillway.shop.order key share data.gpt0 10000",
    ]);
  });

  test("between one order and the next nobody is asked by half of each", () => {
    const held = (table: Record<string, number>) =>
      Object.entries(table).map(([key, gpt0]) => ({ key, use: 0, expiresMs: undefined, value: () => gpt0 }));
    const once = { spec: { share: 1, forMs: 0, idleCloseMs: 0, once: true }, since: 2_000, rampSince: 1_000 };
    const present = { ...none, order: held(Object.fromEntries(switches(pool, once))) };
    const set = (key: string, value: number) => `set table spillway.shop.order key ${key} data.gpt0 ${value}`;
    const said = planTables(pool, order(0), present).map(({ command }) => command);
    expect(said[0]).toBe(set("share", 0));
    expect(said.slice(1).sort()).toEqual([set("begin", 0), set("pace", 0), set("since", 0)]);
    const next = planTables(pool, order(0.5), present).map(({ command }) => command);
    expect([next[0], next.at(-1)]).toEqual([set("share", 0), set("share", 5_000)]);
    expect(planTables(pool, once, present)).toEqual([]);
  });

  test("what a table holds already is left, and what it should not hold goes", () => {
    const entry = (key: string) => ({ key, use: 0, expiresMs: undefined, value: () => 1 });
    const present = { ...none, probes: [entry("old"), entry("key")] };
    expect(planTables({ ...pool, probeKey: "key" }, order(0), present).map(({ command }) => command)).toEqual(
      ["clear table spillway.shop.probes key old"],
    );
  });
});

describe("a pool's stanza", () => {
  test("is another one, with another number, for whatever of the pool is in it, and for nothing else", () => {
    const number = stanzaNumber(pool);
    expect(poolStanza(pool)).toContain(`    id ${number}\n`);
    const other = [
      { ...pool, listen: { ...pool.listen, port: 8_081 } },
      { ...pool, monitor: { ...pool.monitor, path: "/other" } },
      { ...pool, monitor: { ...pool.monitor, rise: 5 } },
      { ...pool, affinity: "none" as const },
      { ...pool, sessionIdleMs: 1_000 },
    ].map((each) => stanzaNumber(each));
    expect(new Set([number, ...other]).size).toBe(6);
    expect(stanzaNumber(pool, { slowStartMs: 5_000 })).not.toBe(number);
    const moving = { ...pool, members: [memberOf("one")], maxConnections: 9, probeKey: "k", hosts: ["a"] };
    expect(stanzaNumber(moving)).toBe(number);
  });

  test("holds the members that were up, and those that drain without a share of new users", () => {
    const spec = {
      ...pool,
      members: [memberOf("one"), memberOf("two", { draining: true }), memberOf("new")],
    };
    const order = { spec: pool.quiesce, since: 0, rampSince: 0 };
    const lines = savedStanza({ spec, order, up: ["one", "two"] }, {}).split("\n");
    expect(
      lines.filter((line) => line.startsWith("    server ")).map((line) => line.trim().split(" ")[1]),
    ).toEqual(["one", "two"]);
    expect(lines.find((line) => line.includes("server two"))).toContain("weight 0");
  });

  test("passes its own check, and each thing taken out of it is found", () => {
    const global = "global\n    stats socket /run/haproxy.sock level admin\n";
    const good = global + poolStanza(pool);
    expect(checkConfigurationText(good, "haproxy.cfg")).toEqual({ problems: [], advice: [] });
    const problems = (text: string) =>
      checkConfigurationText(text, "haproxy.cfg").problems.map(({ problem }) => problem);
    expect(problems(poolStanza(pool))).toEqual([expect.stringMatching(/no `stats socket`/)]);
    expect(problems(good.replace(" level admin", ""))).toEqual([expect.stringMatching(/level `operator`/)]);
    expect(problems(good.replace("option redispatch 1", ""))).toEqual([expect.stringMatching(/redispatch/)]);
    expect(problems(good.replace("leastconn", '"source"'))).toEqual([
      expect.stringMatching(/balance source/),
    ]);
    expect(problems(good.replace("retries 3", "server x 1.2.3.4:1 enabled # slot"))).toEqual([
      expect.stringMatching(/enabled/),
    ]);
    const { advice } = checkConfigurationText(
      good.replace("global\n", "global\n    hard-stop-after 5s\n") +
        "defaults\n    load-server-state-from-file global\n",
      "haproxy.cfg",
    );
    expect(advice.map(({ place }) => place)).toEqual([
      "haproxy.cfg:2",
      expect.stringMatching(/^haproxy\.cfg:\d{2,}$/),
    ]);
  });
});

describe("names and figures", () => {
  test("any member id makes a server's name that a cookie can hold, and a number that HAProxy takes", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (id) => {
        expect(serverName(id)).toMatch(/^[A-Za-z0-9_.-]{1,80}$/);
        expect(serverNumber(id)).toBeGreaterThan(0);
        expect(serverNumber(id)).toBeLessThan(2 ** 31);
      }),
    );
    expect(cookieName("shop")).toBe("SPILLWAY_shop");
  });

  test("a quantile of counted latencies is right within 13 %", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 400, max: 20_000_000 }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0.5, 0.95),
        (latencies, share) => {
          const counts = Array.from({ length: BUCKETS }, () => 0);
          for (const us of latencies) {
            let bucket = 0;
            while (bucket < BUCKETS - 1 && us >= bucketEndUs(bucket)) bucket += 1;
            counts[bucket] += 1;
          }
          const exact = [...latencies].sort((a, b) => a - b)[Math.ceil(latencies.length * share) - 1] / 1_000;
          const ratio = quantileMs(counts, share) / exact;
          expect(ratio).toBeGreaterThan(0.87);
          expect(ratio).toBeLessThan(1.15);
        },
      ),
    );
    expect(quantileMs([], 0.5)).toBe(0);
  });
});
