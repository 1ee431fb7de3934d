import { promises as dns } from "node:dns";
import { SpillwayError } from "../../../lib/errors";
import type { RecordSpec } from "../../../lib/site/api";
import { PowerDnsNameServer, type PowerDnsOptions } from "../../../providers/powerdns";
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
  const serverOf = (extra: Partial<PowerDnsOptions> = {}) =>
    new PowerDnsNameServer({
      api: pdns.api,
      apiKey: { file: pdns.keyFile },
      zones: [ZONE],
      endpoint: `127.0.0.1:${pdns.dns.port}`,
      agent: "onprem",
      ...extra,
    });
  const resolver = () => {
    const made = new dns.Resolver({ timeout: 1_000, tries: 1 });
    made.setServers([`127.0.0.1:${pdns.dns.port}`]);
    return made;
  };

  beforeAll(async () => {
    pdns = await startPdns();
  });
  afterAll(() => pdns.daemon.end());

  test("a system's resolver gets answers by weight, and hears of a change at once", async () => {
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
    await server.stop();
    await expect(
      refusal(server.put("shop.elsewhere.test", spec({ "127.0.1.1": 100 }))),
    ).resolves.toMatchObject({
      report: { problem: expect.stringMatching(/none of the zones.*example\.test/) as string },
    });
  });
});
