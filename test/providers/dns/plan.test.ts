import { writeFileSync } from "node:fs";
import type { RecordSpec } from "../../../lib/site/api";
import { ask } from "../../../providers/dns";
import { PowerDnsNameServer, type PowerDnsOptions } from "../../../providers/powerdns";
import { Rfc2136NameServer, type Rfc2136Options } from "../../../providers/rfc2136";
import { API_KEY, startPdns, ZONE, type Pdns } from "./support/pdns";
import { describeWith } from "./support/tools";
import { KEY, startKnot, startNamed, startPdnsForUpdates, type UpdateServer } from "./support/update-servers";

const spec = (weights: Record<string, number>, ttlSeconds = 30): RecordSpec => ({
  owner: "shop",
  ttlSeconds,
  answers: Object.entries(weights).map(([address, weight], at) => ({ site: `site${at}`, address, weight })),
});
const one = spec({ "127.0.1.1": 100 });

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "what PowerDNS would make of a record", () => {
  let pdns: Pdns;
  const serverOf = (extra: Partial<PowerDnsOptions> = {}) =>
    new PowerDnsNameServer({
      api: pdns.api,
      apiKey: { file: pdns.keyFile },
      zones: [ZONE],
      endpoint: `127.0.0.1:${pdns.dns.port}`,
      agent: "onprem",
      requestMs: 1_000,
      ...extra,
    });
  const ttlOf = async (name: string) =>
    (await ask(pdns.dns, { name, type: "A" })).answers?.map((answer) => "ttl" in answer && answer.ttl);

  beforeAll(async () => {
    pdns = await startPdns();
  });
  afterAll(() => pdns?.daemon.end());

  test("is nothing wrong, and nothing is written", async () => {
    expect(await serverOf().planRecord(`fine.${ZONE}`, one)).toEqual({ problems: [], notes: [] });
    expect(await serverOf().list()).toEqual([]);
  });

  test("is a refusal, each with the attribute it is about", async () => {
    const problem = async (server: PowerDnsNameServer, name: string, of = one) =>
      (await server.planRecord(name, of)).problems;
    await serverOf({ agent: "cloud" }).put(`taken.${ZONE}`, one);
    expect(await problem(serverOf(), `taken.${ZONE}`)).toEqual([
      expect.objectContaining({
        attribute: ["name"],
        problem: `the record "taken.${ZONE}" belongs to "shop" of installation "cloud"`,
      }),
    ]);
    expect(await problem(serverOf(), "shop.elsewhere.test")).toEqual([
      expect.objectContaining({
        attribute: ["name"],
        problem: expect.stringContaining("in none of the zones"),
      }),
    ]);
    expect(await problem(serverOf(), `mixed.${ZONE}`, spec({ "127.0.1.1": 50, "::1": 50 }))).toEqual([
      expect.objectContaining({ problem: expect.stringContaining("one type of address, got A and AAAA") }),
    ]);
    expect(await problem(serverOf({ zones: ["no.test"] }), "shop.no.test")).toEqual([
      expect.objectContaining({ problem: 'it has no zone "no.test"' }),
    ]);
    writeFileSync(pdns.keyFile, "another");
    expect(await problem(serverOf(), `fine.${ZONE}`)).toEqual([
      expect.objectContaining({ problem: "it refuses the API key (401)" }),
    ]);
    writeFileSync(pdns.keyFile, API_KEY);
    await serverOf({ agent: "cloud" }).remove(`taken.${ZONE}`);
  });

  test("is a refusal where LUA records are off", async () => {
    const other = await startPdns({ config: { "enable-lua-records": "no" } });
    try {
      const server = serverOf({ api: other.api, endpoint: `127.0.0.1:${other.dns.port}` });
      expect((await server.planRecord(`fine.${ZONE}`, one)).problems).toEqual([
        expect.objectContaining({ problem: "it answers no LUA records (enable-lua-records=no)" }),
      ]);
    } finally {
      await other.daemon.end();
    }
  });

  test("is not known while it is silent", async () => {
    await expect(serverOf({ api: "http://127.0.0.1:9" }).planRecord(`fine.${ZONE}`, one)).rejects.toThrow(
      /does not answer/,
    );
  });

  test("is answered by weight alone for host names, which is said where health is checked", async () => {
    const aliases = spec({ "a.test": 50, "b.test": 50 });
    const health = { type: "http", port: 80 } as const;
    expect((await serverOf({ health }).planRecord(`alias.${ZONE}`, aliases)).notes).toEqual([
      `alias.${ZONE}: PowerDNS checks the health of addresses only, so host names are answered by weight alone`,
    ]);
    expect((await serverOf().planRecord(`alias.${ZONE}`, aliases)).notes).toEqual([]);
  });

  test("a shift that is long in coming keeps the TTL low as long as it is foreseen, and no longer", async () => {
    const name = `ahead.${ZONE}`;
    const server = serverOf({ shift: { ttlSeconds: 1, holdMs: 0 } });
    await server.put(name, spec({ "127.0.1.1": 100 }, 2));
    const began = Date.now();
    const { readyAt } = (await server.prepareShift(name)) ?? { readyAt: 0 };
    expect(readyAt - began).toBeGreaterThanOrEqual(2_000);
    while (Date.now() - began < 3_500) {
      expect(await server.prepareShift(name)).toBeUndefined();
      await server.list();
      expect(await ttlOf(name)).toEqual([1]);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect((await server.get(name))?.spec.ttlSeconds).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await server.list();
    expect(await ttlOf(name)).toEqual([2]);
    await server.remove(name);
  }, 15_000);
});

const UPDATE_SERVERS: readonly (readonly [string, readonly string[], () => Promise<UpdateServer>])[] = [
  ["BIND", ["named"], startNamed],
  ["Knot", ["knotd"], startKnot],
  ["PowerDNS by updates", ["pdns_server", "pdnsutil", "sqlite3"], startPdnsForUpdates],
];

for (const [title, tools, start] of UPDATE_SERVERS) {
  describeWith(tools, `what ${title} would make of a record`, () => {
    let server: UpdateServer;
    const serverOf = (extra: Partial<Rfc2136Options> = {}) =>
      new Rfc2136NameServer({
        server: `127.0.0.1:${server.dns.port}`,
        zones: [ZONE],
        key: { name: KEY.name, secret: { file: server.secretFile } },
        agent: "onprem",
        ...extra,
      });
    const serial = async () =>
      (await ask(server.dns, { name: ZONE, type: "SOA" })).answers?.flatMap((answer) =>
        answer.type === "SOA" ? [answer.data.serial] : [],
      );

    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.daemon.end());

    test("is found without a change", async () => {
      const before = await serial();
      const planner = serverOf();
      expect(await planner.planRecord(`fine.${ZONE}`, one)).toEqual({ problems: [], notes: [] });
      expect((await planner.planRecord(`old.${ZONE}`, one)).problems).toEqual([
        expect.objectContaining({
          attribute: ["name"],
          problem: `"old.${ZONE}" has records that Spillway did not write`,
        }),
      ]);
      expect(await serial()).toEqual(before);
      await planner.put(`ours.${ZONE}`, one);
      const ours = await serial();
      const changed = spec({ "127.0.2.1": 100 });
      expect(await planner.planRecord(`ours.${ZONE}`, changed)).toEqual({ problems: [], notes: [] });
      const other = await serverOf({ agent: "cloud" }).planRecord(`ours.${ZONE}`, one);
      expect(other.problems).toEqual([
        expect.objectContaining({
          attribute: ["name"],
          problem: `the record "ours.${ZONE}" belongs to "shop" of installation "onprem"`,
        }),
      ]);
      expect(await serial()).toEqual(ours);
      await planner.remove(`ours.${ZONE}`);
    });

    test("is a refusal for a wrong secret, an unknown key and a zone that is not there", async () => {
      const problemOf = async (planner: Rfc2136NameServer, name = `fine.${ZONE}`) =>
        (await planner.planRecord(name, one)).problems.map(({ problem }) => problem);
      const unknown = serverOf({ key: { name: "nobody", secret: { file: server.secretFile } } });
      expect(await problemOf(unknown)).toEqual([expect.stringMatching(/BADKEY|REFUSED|NOTAUTH/)]);
      writeFileSync(server.secretFile, Buffer.from("another").toString("base64"));
      expect(await problemOf(serverOf())).toEqual([expect.stringMatching(/BADSIG|REFUSED/)]);
      writeFileSync(server.secretFile, KEY.secret);
      expect(await problemOf(serverOf({ zones: ["no.test"] }), "shop.no.test")).toHaveLength(1);
    });

    test("is by the number of addresses what weights would be", async () => {
      const planner = serverOf({ addresses: { site0: ["127.0.1.2"] } });
      expect(await planner.planRecord(`w.${ZONE}`, spec({ "127.0.1.1": 70, "127.0.2.1": 30 }))).toEqual({
        problems: [],
        notes: [
          `w.${ZONE}: site0 70 %, site1 30 % declared; by the number of addresses it becomes site0 67 %, site1 33 %`,
        ],
      });
      const { problems } = await planner.planRecord(`w.${ZONE}`, spec({ "127.0.1.1": 90, "127.0.2.1": 10 }));
      expect(problems).toEqual([
        expect.objectContaining({
          attribute: ["answers"],
          problem: expect.stringContaining("cannot give site0 90 %, site1 10 %"),
        }),
      ]);
    });
  });
}
