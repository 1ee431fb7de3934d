import { promises as dns } from "node:dns";
import { SpillwayError } from "../../../lib/errors";
import type { RecordSpec } from "../../../lib/site/api";
import { LostRace, Rfc2136NameServer, type Rfc2136Options } from "../../../providers/rfc2136";
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
    const serverOf = (extra: Partial<Rfc2136Options> = {}) =>
      new Rfc2136NameServer({
        server: `127.0.0.1:${server.dns.port}`,
        zones: [ZONE],
        key: { name: KEY.name, algorithm: "hmac-sha512", secret: { file: server.secretFile } },
        agent: "onprem",
        ...extra,
      });
    const resolver = () => {
      const made = new dns.Resolver({ timeout: 1_000, tries: 1 });
      made.setServers([`127.0.0.1:${server.dns.port}`]);
      return made;
    };

    beforeAll(async () => {
      server = await start({ algorithm: "hmac-sha512" });
    });
    afterAll(() => server.daemon.end());

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
      for (const work of [ours.put(name, spec({ "127.0.1.1": 100 })), ours.remove(name)]) {
        const { report, cause } = await refusal(work);
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
            expect(result.reason).toBeInstanceOf(LostRace);
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
