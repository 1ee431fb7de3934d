import { promises as dns } from "node:dns";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError } from "../../../lib/errors";
import type { RecordSpec } from "../../../lib/site/api";
import { exchangeTcp, rcodeOf } from "../../../providers/dns";
import { refusedUpdate } from "../../../providers/rfc2136/errors";
import {
  checkRfc2136,
  LostRace,
  Rfc2136NameServer,
  sign,
  verify,
  type Rfc2136Options,
} from "../../../providers/rfc2136";
import { sendUpdate } from "../../../providers/rfc2136/exchange";
import { settingsOf } from "../../../providers/rfc2136/options";
import { addRecord, addressData, deleteSet, encodeUpdate } from "../../../providers/rfc2136/wire";
import { ZONE } from "../dns/support/pdns";
import { describeWith } from "../dns/support/tools";
import {
  KEY,
  startKnot,
  startNamed,
  startPdnsForUpdates,
  type UpdateServer,
} from "../dns/support/update-servers";

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

const SERVERS = [
  ["BIND", ["named"], startNamed],
  ["Knot", ["knotd"], startKnot],
  ["PowerDNS", ["pdns_server", "pdnsutil", "sqlite3"], startPdnsForUpdates],
] as const;

for (const [title, tools, start] of SERVERS) {
  describeWith(tools, `a real ${title}`, () => {
    let server: UpdateServer;
    const optionsOf = (extra: Partial<Rfc2136Options> = {}): Rfc2136Options => ({
      server: `127.0.0.1:${server.dns.port}`,
      zones: [ZONE],
      key: { name: KEY.name, algorithm: "hmac-sha512", secret: { file: server.secretFile } },
      agent: "onprem",
      ...extra,
    });
    const serverOf = (extra: Partial<Rfc2136Options> = {}) => new Rfc2136NameServer(optionsOf(extra));
    const resolver = () => {
      const made = new dns.Resolver({ timeout: 1_000, tries: 1 });
      made.setServers([`127.0.0.1:${server.dns.port}`]);
      return made;
    };

    beforeAll(async () => {
      server = await start({ algorithm: "hmac-sha512" });
    });
    afterAll(() => server.daemon.end());

    test("what it cannot tell is not taken for nothing: a zone that it does not serve", async () => {
      const blind = serverOf({ zones: ["elsewhere.test"] });
      const name = "shop.elsewhere.test";
      for (const look of [() => blind.get(name), () => blind.remove(name), () => blind.list()])
        expect((await refusal(look())).report.problem).toMatch(
          /does not answer: it (cannot tell|has no serial)/,
        );
    });

    test("a record is made, changed and removed, and a resolver hears of it at once", async () => {
      const name = `shop.${ZONE}`;
      const ours = serverOf();
      await ours.start();
      expect(await ours.get(name)).toBeUndefined();
      const first = await ours.put(name, spec({ "127.0.1.1": 100 }));
      expect(await resolver().resolve4(name, { ttl: true })).toEqual([{ address: "127.0.1.1", ttl: 30 }]);
      expect(await ours.put(name, spec({ "127.0.1.1": 100 }))).toEqual(first);
      expect(await ours.get(name)).toEqual(first);
      expect(await ours.list()).toEqual([first]);
      const second = await ours.put(name, spec({ "127.0.1.1": 50, "127.0.2.1": 50 }));
      expect(second.serial).toBeGreaterThan(first.serial);
      expect((await resolver().resolve4(name)).sort()).toEqual(["127.0.1.1", "127.0.2.1"]);
      expect(await ours.list()).toEqual([second]);
      await ours.remove(name);
      await ours.remove(name);
      expect(await ours.get(name)).toBeUndefined();
      expect(await ours.list()).toEqual([]);
      await expect(resolver().resolve4(name)).rejects.toThrow(/ENOTFOUND|ENODATA/);
      const third = await ours.put(name, spec({ "127.0.1.1": 100 }));
      expect(third.serial).toBeGreaterThan(second.serial);
      await ours.remove(name);
    });

    test("records of another installation, and those that nobody marked, are never overwritten", async () => {
      const name = `theirs.${ZONE}`;
      const theirs = serverOf({ agent: "other" });
      const before = await theirs.put(name, spec({ "127.0.3.1": 100 }));
      const ours = serverOf();
      for (const work of [() => ours.put(name, spec({ "127.0.1.1": 100 })), () => ours.remove(name)]) {
        const { report, cause } = await refusal(work());
        expect(cause).toMatchObject({ code: "owned-by-another" });
        expect(report.problem).toMatch(/belongs to "test" of installation "other"/);
      }
      const { cause } = await refusal(ours.put(`old.${ZONE}`, spec({ "127.0.1.1": 100 })));
      expect(cause).toMatchObject({ code: "owned-by-another" });
      expect(await resolver().resolve4(`old.${ZONE}`)).toEqual(["192.0.2.9"]);
      await refusal(ours.put(`mail.${ZONE}`, spec({ "lb.cloud.test": 100 })));
      expect(await ours.list()).toEqual([]);
      expect(await theirs.list()).toEqual([before]);
      await theirs.remove(name);
    });

    test("of two that write at the same time one is first, and the other changes nothing", async () => {
      const name = `race.${ZONE}`;
      const [one, other] = [serverOf({ agent: "one" }), serverOf({ agent: "other" })];
      for (let round = 0; round < 5; round += 1) {
        const results = await Promise.allSettled([
          one.put(name, spec({ "127.0.1.1": 100 })),
          other.put(name, spec({ "127.0.2.1": 100 })),
        ]);
        const won = results.findIndex(({ status }) => status === "fulfilled");
        expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
        expect(await resolver().resolve4(name)).toEqual([["127.0.1.1", "127.0.2.1"][won]]);
        expect((await [other, one][won].list()).length).toBe(0);
        await [one, other][won].remove(name);
      }
    });

    test("IPv6 and aliases are answered, and a set may become the other", async () => {
      const name = `six.${ZONE}`;
      const ours = serverOf();
      await ours.put(name, spec({ "2001:DB8::7": 100 }));
      expect(await resolver().resolve6(name)).toEqual(["2001:db8::7"]);
      const alias = await ours.put(name, spec({ "lb.cloud.test": 100 }));
      expect(await resolver().resolveCname(name)).toEqual(["lb.cloud.test"]);
      expect(await ours.get(name)).toEqual(alias);
      await ours.put(name, spec({ "127.0.1.1": 100 }));
      expect(await resolver().resolve4(name)).toEqual(["127.0.1.1"]);
      await ours.remove(name);
    });

    test("weights come from the number of addresses, or the record is refused before anything is sent", async () => {
      const name = `weights.${ZONE}`;
      const uneven = spec({ "127.0.1.1": 75, "127.0.2.1": 25 });
      const { report, cause } = await refusal(serverOf().put(name, uneven));
      expect(cause).toMatchObject({ code: "invalid" });
      expect(report.problem).toMatch(/cannot give site-127\.0\.1\.1 75 %/);
      const ours = serverOf({ addresses: { "site-127.0.1.1": ["127.0.1.2", "127.0.1.3"] } });
      await ours.put(name, uneven);
      expect((await resolver().resolve4(name)).sort()).toEqual([
        "127.0.1.1",
        "127.0.1.2",
        "127.0.1.3",
        "127.0.2.1",
      ]);
      const options = optionsOf({ addresses: { "site-127.0.1.1": ["127.0.1.2", "127.0.1.3"] } });
      const warnings = (await checkRfc2136(options)).warnings.map(({ problem }) => problem);
      if (title === "PowerDNS") {
        // Its packet cache keeps one order for some time; that is what the check is for.
        expect(warnings).toEqual([
          expect.stringMatching(/it is a PowerDNS/),
          expect.stringMatching(/first in each of 12 answers/),
        ]);
      } else {
        expect(warnings).toEqual([]);
        let cloud = 0;
        const seen = resolver();
        for (let index = 0; index < 400; index += 1)
          if ((await seen.resolve4(name))[0] === "127.0.2.1") cloud += 1;
        // The first of a turning set is taken: one of four, within five standard deviations.
        expect(Math.abs(cloud - 100)).toBeLessThan(45);
      }
      await ours.remove(name);
    });

    test("an answer that somebody else changed is seen, and mended by the next put", async () => {
      const name = `drift.${ZONE}`;
      const ours = serverOf();
      const wanted = spec({ "127.0.1.1": 100 });
      await ours.put(name, wanted);
      await sendUpdate(settingsOf(optionsOf()), name, {
        zone: ZONE,
        prerequisites: [],
        changes: [deleteSet(name, "A"), addRecord(name, "A", 30, addressData("A", "127.0.9.9"))],
      });
      expect((await ours.get(name))?.spec.answers).toEqual([]);
      expect((await ours.list())[0].spec.answers).toEqual([]);
      await ours.put(name, wanted);
      expect(await resolver().resolve4(name)).toEqual(["127.0.1.1"]);
      expect((await ours.get(name))?.spec).toEqual(wanted);
      await ours.remove(name);
    });

    test("a wrong secret, an unknown key, a zone that is not there: each is found before anything is changed", async () => {
      const wrongSecret = join(server.daemon.folder, "wrong-secret");
      writeFileSync(wrongSecret, Buffer.from("a wrong secret, of which nobody may hear").toString("base64"));
      const cases: readonly (readonly [Partial<Rfc2136Options>, RegExp])[] = [
        [
          { key: { ...KEY, algorithm: "hmac-sha512", secret: { file: wrongSecret } } },
          /signature.*wrong \(BADSIG\)|refuses updates/,
        ],
        [
          { key: { ...KEY, name: "nobody", secret: { file: server.secretFile } } },
          /does not know.*nobody.*\(BADKEY\)|refuses updates/,
        ],
        [{ zones: ["elsewhere.test"] }, /no zone "elsewhere\.test"/],
        [{ key: { ...KEY, secret: { file: "/nowhere/secret" } } }, /cannot be read/],
        [{ server: "127.0.0.1:1" }, /does not answer/],
      ];
      for (const [options, problem] of cases) {
        const found = await checkRfc2136(optionsOf(options));
        expect(found.problems.map((one) => one.problem)).toEqual([expect.stringMatching(problem)]);
        expect(JSON.stringify(found)).not.toContain("wrong secret, of which");
        await expect(serverOf(options).start()).rejects.toThrow(problem);
        const name = `never.${options.zones?.[0] ?? ZONE}`;
        await refusal(serverOf(options).put(name, spec({ "127.0.1.1": 100 })));
      }
      expect((await checkRfc2136(optionsOf())).problems).toEqual([]);
      expect(await serverOf().get(`never.${ZONE}`)).toBeUndefined();
      await expect(resolver().resolve4(`never.${ZONE}`)).rejects.toThrow(/ENOTFOUND|ENODATA/);
    });

    test("an update without any signature is refused, and its answer is read as that", async () => {
      const { key, server: at } = settingsOf(optionsOf());
      const name = `unsigned.${ZONE}`;
      const changes = [addRecord(name, "A", 30, addressData("A", "127.0.9.9"))];
      const answer = await exchangeTcp(
        at,
        encodeUpdate(8, { zone: ZONE, prerequisites: [], changes }),
        2_000,
      );
      expect(verify(answer, key(), Buffer.alloc(32), Math.floor(Date.now() / 1_000)).kind).toBe("unsigned");
      const { report } = refusedUpdate(at, ZONE, rcodeOf(answer), key());
      expect(report.problem).toMatch(/\((REFUSED|NOTAUTH)\)/);
      await expect(resolver().resolve4(name)).rejects.toThrow(/ENOTFOUND|ENODATA/);
    });

    test("a clock that is apart is said so", async () => {
      const { key, server: at } = settingsOf(optionsOf());
      const seconds = Math.floor(Date.now() / 1_000) - 4_000;
      const request = sign(
        encodeUpdate(7, { zone: ZONE, prerequisites: [], changes: [deleteSet(`x.${ZONE}`, "A")] }),
        key(),
        seconds,
      );
      const verified = verify(await exchangeTcp(at, request.message, 2_000), key(), request.mac, seconds);
      if (title === "PowerDNS") expect(verified.kind).not.toBe("good");
      else
        expect(verified).toMatchObject({
          kind: "refused",
          error: 18,
          serverSeconds: expect.closeTo(seconds + 4_000, -1) as number,
        });
    });

    test("two of the same installation: the lost race is found, and nothing of it is done", async () => {
      const name = `twice.${ZONE}`;
      const [one, other] = [serverOf(), serverOf()];
      await one.put(name, spec({ "127.0.1.1": 100 }));
      let lost = 0;
      for (let round = 0; round < 10; round += 1) {
        const specs = [spec({ "127.0.1.1": 100 }, 100 + round), spec({ "127.0.2.1": 100 }, 200 + round)];
        const results = await Promise.allSettled([one.put(name, specs[0]), other.put(name, specs[1])]);
        for (const result of results) {
          if (result.status === "rejected") {
            if (!(result.reason instanceof LostRace)) throw result.reason;
            lost += 1;
          }
        }
        const stands = await one.get(name);
        expect(specs).toContainEqual(stands?.spec);
        expect(await resolver().resolve4(name)).toEqual([stands?.spec.answers[0].address]);
      }
      expect(lost).toBeGreaterThan(0);
      await one.remove(name);
    });
  });
}
