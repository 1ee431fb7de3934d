import { promises as dns } from "node:dns";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import { decode, encode, type Packet } from "dns-packet";
import { createSocket } from "node:dgram";
import { SpillwayError } from "../../../lib/errors";
import type { RecordSpec } from "../../../lib/site/api";
import {
  checkPowerDns,
  PowerDnsNameServer,
  type PowerDnsOptions,
  type PutStep,
} from "../../../providers/powerdns";
import { freePort } from "../dns/support/daemon";
import { startPdns, ZONE, type Pdns } from "../dns/support/pdns";
import { describeWith } from "../dns/support/tools";

const spec = (weights: Record<string, number>, ttlSeconds = 30): RecordSpec => ({
  owner: "test",
  ttlSeconds,
  answers: Object.entries(weights).map(([address, weight]) => ({ site: `site-${address}`, address, weight })),
});

async function refusal(work: Promise<unknown>): Promise<SpillwayError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SpillwayError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "a real PowerDNS", () => {
  let pdns: Pdns;
  const optionsOf = (extra: Partial<PowerDnsOptions> = {}): PowerDnsOptions => ({
    api: pdns.api,
    apiKey: { file: pdns.keyFile },
    zones: [ZONE],
    endpoint: `127.0.0.1:${pdns.dns.port}`,
    agent: "onprem",
    ...extra,
  });
  const serverOf = (extra: Partial<PowerDnsOptions> = {}) => new PowerDnsNameServer(optionsOf(extra));
  const resolver = () => {
    const made = new dns.Resolver({ timeout: 1_000, tries: 1 });
    made.setServers([`127.0.0.1:${pdns.dns.port}`]);
    return made;
  };
  const setsOf = async (name: string) => {
    const { body } = await pdns.request("GET", `/zones/${ZONE}.`);
    return (body as { rrsets: { name: string; type: string }[] }).rrsets.filter((set) =>
      set.name.endsWith(`${name}.`),
    );
  };
  const raw = async (name: string, type: string, contents: readonly string[]) => {
    const records = contents.map((content) => ({ content, disabled: false }));
    const rrsets = [{ name: `${name}.`, type, ttl: 60, changetype: "REPLACE", records }];
    expect((await pdns.request("PATCH", `/zones/${ZONE}.`, { rrsets })).status).toBe(204);
  };

  beforeAll(async () => {
    pdns = await startPdns();
  });
  afterAll(() => pdns.daemon.end());

  describe("answers", () => {
    test("a system's resolver gets them by weight, and hears of a change at once", async () => {
      const server = serverOf();
      await server.start();
      const name = `shop.${ZONE}`;
      const shop = resolver();
      await server.put(name, spec({ "127.0.1.1": 100 }));
      expect(await shop.resolve4(name, { ttl: true })).toEqual([{ address: "127.0.1.1", ttl: 30 }]);
      await server.put(name, spec({ "127.0.1.1": 80, "127.0.2.1": 20 }));
      let cloud = 0;
      for (let index = 0; index < 500; index += 1)
        if ((await shop.resolve4(name))[0] === "127.0.2.1") cloud += 1;
      // Five standard deviations of a fair draw.
      expect(Math.abs(cloud - 100)).toBeLessThan(45);
      await server.put(name, spec({ "127.0.2.1": 100 }));
      expect(await shop.resolve4(name)).toEqual(["127.0.2.1"]);
      await server.remove(name);
      await expect(shop.resolve4(name)).rejects.toThrow(/ENOTFOUND|ENODATA/);
      expect(await server.list()).toEqual([]);
      expect(await setsOf(name)).toEqual([]);
    });

    test("IPv6 and aliases resolve too, and a set may become the other", async () => {
      const server = serverOf();
      const name = `six.${ZONE}`;
      await server.put(name, spec({ "2001:DB8::7": 100 }));
      expect(await resolver().resolve6(name)).toEqual(["2001:db8::7"]);
      await server.put(name, spec({ "lb.a.test": 50, "lb.b.test": 50 }));
      const seen = new Set<string>();
      for (let index = 0; index < 40; index += 1) seen.add((await resolver().resolveCname(name))[0]);
      expect(seen).toEqual(new Set(["lb.a.test", "lb.b.test"]));
      await server.put(name, spec({ "127.0.1.1": 100 }));
      expect(await resolver().resolve4(name)).toEqual(["127.0.1.1"]);
      await server.remove(name);
    });

    test("a client's subnet keeps its site while the site's share does", async () => {
      const server = serverOf({ select: "client" });
      const name = `subnet.${ZONE}`;
      const all = async () => {
        const found: string[] = [];
        for (let net = 0; net < 200; net += 1)
          found.push(await askFrom(pdns.dns.port, name, `10.7.${net}.0`));
        return found;
      };
      await server.put(name, spec({ "127.0.1.1": 80, "127.0.2.1": 20 }));
      const before = await all();
      expect(await all()).toEqual(before);
      expect(Math.abs(before.filter((one) => one === "127.0.2.1").length - 40)).toBeLessThan(29);
      await server.put(name, spec({ "127.0.1.1": 50, "127.0.2.1": 50 }));
      const after = await all();
      // Whoever was in the cloud already is not sent back.
      expect(before.filter((one, at) => one === "127.0.2.1" && after[at] === "127.0.1.1")).toEqual([]);
      await server.remove(name);
    });
  });

  describe("records", () => {
    test("the serial grows with each change, and the same again is none", async () => {
      const server = serverOf();
      const name = `serial.${ZONE}`;
      const first = await server.put(`Serial.${ZONE.toUpperCase()}.`, spec({ "127.0.1.1": 100 }));
      expect(first).toMatchObject({ name, spec: { owner: "test" } });
      expect(await server.put(name, spec({ "127.0.1.1": 100 }))).toEqual(first);
      await new Promise((resolve) => setTimeout(resolve, 5));
      const second = await server.put(name, spec({ "127.0.1.1": 60, "127.0.2.1": 40 }));
      expect(second.serial).toBeGreaterThan(first.serial);
      expect(second.changedAt).toBeGreaterThan(first.changedAt);
      await expect(server.put(name, { ...second.spec, owner: "other" })).rejects.toThrow(/belongs to "test"/);
      await server.remove(name);
      await server.remove(name);
      expect(await server.get(name)).toBeUndefined();
      const third = await server.put(name, spec({ "127.0.1.1": 100 }));
      expect(third.serial).toBeGreaterThan(second.serial);
      // Another agent process of the same installation finds it as it is.
      expect(await serverOf().list()).toEqual([third]);
      await server.remove(name);
    });

    test("of another installation, or of nobody, are never overwritten, removed or listed", async () => {
      const name = `theirs.${ZONE}`;
      const theirs = serverOf({ agent: "other" });
      const before = await theirs.put(name, spec({ "127.0.3.1": 100 }));
      const ours = serverOf();
      for (const work of [
        () => ours.put(name, spec({ "127.0.1.1": 100 })),
        () => ours.remove(name),
        () => ours.get(name),
      ]) {
        const { report, cause } = await refusal(work());
        expect(cause).toMatchObject({ code: "owned-by-another" });
        expect(report.problem).toMatch(/belongs to "test" of installation "other"/);
      }
      expect(await ours.list()).toEqual([]);
      expect(await theirs.list()).toEqual([before]);
      await theirs.remove(name);
      await raw(`old.${ZONE}`, "A", ["192.0.2.9"]);
      expect((await refusal(ours.put(`old.${ZONE}`, spec({ "127.0.1.1": 100 })))).report.problem).toMatch(
        /has A records/,
      );
      expect(await resolver().resolve4(`old.${ZONE}`)).toEqual(["192.0.2.9"]);
      await raw(`_spillway.text.${ZONE}`, "TXT", ['"somebody\'s own"']);
      expect((await refusal(ours.put(`text.${ZONE}`, spec({ "127.0.1.1": 100 })))).report.problem).toMatch(
        /somebody's own/,
      );
    });

    test("of two installations that make the same at the same time, one holds it and the other is told", async () => {
      const servers = [serverOf({ agent: "one" }), serverOf({ agent: "two" })];
      for (let round = 0; round < 5; round += 1) {
        const name = `race${round}.${ZONE}`;
        await Promise.allSettled(
          servers.map((server, at) => server.put(name, spec({ [`127.0.${at}.1`]: 100 }))),
        );
        const held = await Promise.allSettled(servers.map((server) => server.get(name)));
        expect(held.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
        const winner = held.findIndex(({ status }) => status === "fulfilled");
        expect(await resolver().resolve4(name)).toEqual([`127.0.${winner}.1`]);
        await servers[winner].remove(name);
      }
    });

    test("an answer that somebody else changed or removed is seen, and mended by the next put", async () => {
      const server = serverOf();
      const name = `drift.${ZONE}`;
      const wanted = spec({ "127.0.1.1": 100 });
      await server.put(name, wanted);
      await raw(name, "LUA", ["A \"return '127.0.9.9'\""]);
      expect((await server.get(name))?.spec.answers).toEqual([]);
      expect((await server.list()).map((one) => one.spec.answers)).toEqual([[]]);
      expect((await server.put(name, wanted)).spec).toEqual(wanted);
      expect(await resolver().resolve4(name)).toEqual(["127.0.1.1"]);
      await server.remove(name);
    });

    test("all that is wrong with one is said at once, and nothing changes", async () => {
      const server = serverOf();
      const { report, cause } = await refusal(
        server.put(`wrong.${ZONE}`, {
          owner: "test",
          ttlSeconds: -1,
          answers: [
            { site: "a", address: "127.0.1.1", weight: 0 },
            { site: "b", address: "lb.cloud.test", weight: 50 },
          ],
        }),
      );
      expect(cause).toMatchObject({ code: "invalid" });
      for (const part of [/ttlSeconds.*-1/, /weight of a.*0/, /A and CNAME/])
        expect(report.problem).toMatch(part);
      expect(
        (await refusal(server.put("shop.elsewhere.test", spec({ "127.0.1.1": 100 })))).report.problem,
      ).toMatch(/none of the zones/);
      expect(await setsOf(`wrong.${ZONE}`)).toEqual([]);
      const long = `${"l".repeat(60)}.`.repeat(4) + ZONE;
      expect((await refusal(server.put(long, spec({ "127.0.1.1": 100 })))).report.problem).toMatch(
        /256 characters|236 are the most/,
      );
    });
  });

  describe("a TTL around a shift", () => {
    test("is lowered ahead, held, and raised again; the declared one is shown all the time", async () => {
      const steps: PutStep[] = [];
      const server = serverOf({
        shift: { ttlSeconds: 2, holdMs: 400 },
        onStep: (_name, step) => steps.push(step),
      });
      const name = `ttl.${ZONE}`;
      const ttl = async () => (await resolver().resolve4(name, { ttl: true }))[0].ttl;
      await server.put(name, spec({ "127.0.1.1": 100 }, 300));
      expect(await ttl()).toBe(300);
      const ready = await server.prepareShift(name);
      expect(Math.abs((ready?.readyAt ?? 0) - Date.now() - 300_000)).toBeLessThan(1_000);
      expect(await ttl()).toBe(2);
      expect((await server.list())[0].spec.ttlSeconds).toBe(300);
      steps.length = 0;
      const { staleMs, ...shifted } = await server.put(name, spec({ "127.0.2.1": 100 }, 300));
      expect(steps.map(({ kind }) => kind)).toEqual(["write", "raise-ttl"]);
      // Lowered a moment ago: answers with the declared TTL are still about.
      expect(Math.abs((staleMs ?? 300_000) - 300_000)).toBeLessThan(3_000);
      expect(shifted.spec.ttlSeconds).toBe(300);
      expect(await ttl()).toBe(2);
      await new Promise((resolve) => setTimeout(resolve, 450));
      // Also by another process of the installation, after this one was killed.
      expect(await serverOf().list()).toEqual([shifted]);
      expect(await ttl()).toBe(300);
      expect(await server.get(name)).toEqual(shifted);
      await server.remove(name);
    });

    test("is lowered and waited for by the put itself, when it is told to", async () => {
      const server = serverOf({ shift: { ttlSeconds: 1, waitMs: 300 } });
      const name = `wait.${ZONE}`;
      await server.put(name, spec({ "127.0.1.1": 100 }, 60));
      const wanted = spec({ "127.0.2.1": 100 }, 60);
      expect((await server.steps(name, wanted)).map(({ kind }) => kind)).toEqual([
        "lower-ttl",
        "write",
        "raise-ttl",
      ]);
      const shifting = server.put(name, wanted);
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(await resolver().resolve4(name, { ttl: true })).toEqual([{ address: "127.0.1.1", ttl: 1 }]);
      await shifting;
      expect(await resolver().resolve4(name, { ttl: true })).toEqual([{ address: "127.0.2.1", ttl: 1 }]);
      await server.remove(name);
    });
  });

  describe("health", () => {
    let apps: Server;
    let port: number;
    const refusing = new Set<string>();
    beforeAll(async () => {
      apps = createServer((request, response) => {
        const isDown = refusing.has(request.socket.localAddress ?? "");
        response.writeHead(isDown ? 500 : 200, { connection: "close" }).end("ok");
      });
      apps.listen(0, "0.0.0.0");
      await once(apps, "listening");
      ({ port } = apps.address() as AddressInfo);
    });
    afterAll(() => new Promise((resolve) => apps.close(resolve)));

    const seenOf = async (name: string, times = 60) => {
      const seen = new Set<string>();
      for (let index = 0; index < times; index += 1) seen.add((await resolver().resolve4(name))[0]);
      return [...seen].sort();
    };
    const until = async (name: string, wanted: readonly string[]) => {
      const deadline = Date.now() + 8_000;
      while (JSON.stringify(await seenOf(name, 20)) !== JSON.stringify(wanted)) {
        if (Date.now() > deadline) throw new Error(`still ${(await seenOf(name)).join()}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };

    test("an address is admitted once PowerDNS sees it up, and left out while it does not", async () => {
      const steps: PutStep[] = [];
      const server = serverOf({
        health: { type: "http", port, path: "/health" },
        onStep: (_name, step) => steps.push(step),
      });
      await server.start();
      const name = `health.${ZONE}`;
      await server.put(name, spec({ "127.0.1.1": 100 }));
      const both = spec({ "127.0.1.1": 50, "127.0.2.1": 50 });
      refusing.add("127.0.2.1");
      const { report } = await refusal(
        serverOf({ health: { type: "http", port, path: "/health" }, warmUpMs: 3_000 }).put(name, both),
      );
      expect(report.problem).toMatch(/does not see 127\.0\.2\.1 up.*127\.0\.1\.1 up, 127\.0\.2\.1 down/);
      expect(await seenOf(name)).toEqual(["127.0.1.1"]);
      refusing.clear();
      steps.length = 0;
      await server.put(name, both);
      expect(steps[0]).toEqual({ kind: "warm-up", addresses: ["127.0.2.1"] });
      // The very first answers know it already: nobody is sent to an address that was not seen up.
      expect(await seenOf(name)).toEqual(["127.0.1.1", "127.0.2.1"]);
      steps.length = 0;
      await server.put(name, spec({ "127.0.1.1": 10, "127.0.2.1": 90 }));
      expect(steps.map(({ kind }) => kind)).toEqual(["write"]);
      refusing.add("127.0.1.1");
      await until(name, ["127.0.2.1"]);
      refusing.add("127.0.2.1");
      // All at once: rather the checks are wrong.
      await until(name, ["127.0.1.1", "127.0.2.1"]);
      refusing.clear();
      await until(name, ["127.0.1.1", "127.0.2.1"]);
      await server.remove(name);
      expect(await setsOf(name)).toEqual([]);
    }, 30_000);
  });

  describe("its check", () => {
    test("finds nothing wrong here, and says so of each thing that is", async () => {
      expect(await checkPowerDns(optionsOf())).toEqual({ problems: [], zones: new Map(), warnings: [] });
      process.env.SPILLWAY_TEST_API_KEY = "a wrong key of which nobody may hear";
      const cases: readonly (readonly [Partial<PowerDnsOptions>, RegExp])[] = [
        [{ apiKey: { environment: "SPILLWAY_TEST_API_KEY" } }, /refuses the API key/],
        [{ apiKey: { file: "/nowhere/key" } }, /cannot be read/],
        [{ apiKey: { environment: "SPILLWAY_TEST_NOTHING" } }, /not set/],
        [{ zones: ["elsewhere.test"] }, /no zone "elsewhere\.test"/],
        [{ api: `http://127.0.0.1:${await freePort()}` }, /does not answer: ECONNREFUSED/],
        [{ endpoint: "127.0.0.1:1" }, /queries are not answered/],
        [{ secondaries: ["127.0.0.1:1"] }, /is native/],
        [{ health: { type: "tcp", port: 80 }, warmUpMs: 1_000 }, /checks every 1 s/],
      ];
      for (const [extra, problem] of cases) {
        const { problems } = await checkPowerDns(optionsOf(extra));
        expect(problems.map((one) => one.problem)).toEqual([expect.stringMatching(problem)]);
        expect(JSON.stringify(problems)).not.toContain("nobody may hear");
      }
      for (const extra of [cases[0][0], { zones: ["elsewhere.test"] }]) {
        const name = `never.${extra.zones?.[0] ?? ZONE}`;
        expect((await refusal(serverOf(extra).put(name, spec({ "127.0.1.1": 100 })))).cause).toMatchObject({
          code: "invalid",
        });
      }
      expect(await setsOf(`never.${ZONE}`)).toEqual([]);
      pdns.util("set-meta", ZONE, "SOA-EDIT-API", "OFF");
      expect((await checkPowerDns(optionsOf())).problems.map((one) => one.problem)).toEqual([
        expect.stringMatching(/keeps its serial/),
      ]);
      pdns.util("set-meta", ZONE, "SOA-EDIT-API", "INCREASE");
    });

    test("options that cannot be are refused together", () => {
      expect(() =>
        serverOf({ api: "ftp://x", agent: "", zones: [], health: { type: "http", port: 0, path: "x'y" } }),
      ).toThrow(/6 problems|`api`[^]*`agent`[^]*`zones`[^]*`port`[^]*`path`/);
    });
  });
});

/** Asks as a resolver that tells its client's subnet (EDNS client subnet, RFC 7871). */
async function askFrom(port: number, name: string, subnet: string): Promise<string> {
  const socket = createSocket("udp4");
  const packet = {
    type: "query",
    id: 7,
    questions: [{ type: "A", name }],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: 1_232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        options: [{ code: 8, family: 1, ip: subnet, sourcePrefixLength: 24 }],
      },
    ],
  };
  try {
    socket.send(encode(packet as unknown as Packet), port, "127.0.0.1");
    const [message] = (await once(socket, "message", { signal: AbortSignal.timeout(2_000) })) as [Buffer];
    const [answer] = decode(message).answers ?? [];
    return answer.type === "A" ? answer.data : "";
  } finally {
    socket.close();
  }
}
