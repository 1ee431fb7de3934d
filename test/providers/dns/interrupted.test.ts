import type { RecordSpec } from "../../../lib/site/api";
import type { NameServer } from "../../../lib/site/ports";
import { ask, type HostPort } from "../../../providers/dns";
import { PowerDnsNameServer } from "../../../providers/powerdns";
import { Rfc2136NameServer } from "../../../providers/rfc2136";
import { startSite, type TestSite } from "../../support/site";
import { freePort, type Daemon } from "./support/daemon";
import { startPdns, ZONE } from "./support/pdns";
import { describeWith } from "./support/tools";
import { KEY, startNamed } from "./support/update-servers";

const NAME = `shop.${ZONE}`;
const FAR_MS = 40_000;
const spec = (address: string): RecordSpec => ({
  owner: "shop",
  ttlSeconds: 30,
  answers: [{ site: "onprem", address, weight: 100 }],
});

describeWith(["pdns_server", "pdnsutil", "sqlite3", "named"], "a put that waits", () => {
  let daemon: Daemon | undefined;
  let site: TestSite | undefined;
  afterEach(async () => {
    await daemon?.end();
    await site?.close();
  });

  const addressOf = async (dns: HostPort) =>
    ((await ask(dns, { name: NAME, type: "A" })).answers ?? []).map((one) => "data" in one && one.data);

  async function begin(nameServer: NameServer, dns: HostPort): Promise<(address: string) => Promise<string>> {
    const { client } = (site = await startSite({ site: "onprem", namedBy: nameServer }));
    return async (address) => {
      const given = new AbortController();
      const put = client.putRecord(NAME, spec(address), { signal: given.signal }).then(
        () => "made",
        () => "given up",
      );
      await new Promise((resolve) => setTimeout(resolve, 400));
      given.abort();
      expect(await put).toBe("given up");
      // The next change of the name is let in at once: nothing waits on.
      const started = Date.now();
      await client.deleteRecord(NAME, "shop").catch(() => undefined);
      expect(Date.now() - started).toBeLessThan(2_000);
      return String(await addressOf(dns));
    };
  }

  const pdnsServer = async (extra: object) => {
    const pdns = await startPdns();
    daemon = pdns.daemon;
    const server = new PowerDnsNameServer({
      api: pdns.api,
      apiKey: { file: pdns.keyFile },
      zones: [ZONE],
      endpoint: `127.0.0.1:${pdns.dns.port}`,
      agent: "onprem",
      ...extra,
    });
    return { pdns, server };
  };

  test("for PowerDNS to see an address up ends with its request, and leaves nothing", async () => {
    const closed = await freePort();
    const health = { type: "tcp", port: closed, timeoutSeconds: 1 } as const;
    const { pdns, server } = await pdnsServer({ health, warmUpMs: FAR_MS });
    expect(await (await begin(server, pdns.dns))("127.0.0.9")).toBe("");
    const { body } = await pdns.request("GET", `/zones/${ZONE}.`);
    expect(JSON.stringify(body)).not.toMatch(/shop|_spillway/);
  });

  test("for a TTL to be over ends with the agent: answers and TTL are as before", async () => {
    const { pdns, server } = await pdnsServer({ shift: { ttlSeconds: 5, waitMs: 30_000 } });
    site = await startSite({ site: "onprem", namedBy: server });
    const before = await site.client.putRecord(NAME, spec("127.0.1.1"));
    const put = site.client.putRecord(NAME, spec("127.0.2.1"), { retryBudgetMs: 0 });
    const ended = expect(put).rejects.toThrow(/the agent is being stopped.*Answers stay as they were/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const started = Date.now();
    await Promise.all([ended, site.close()]);
    site = undefined;
    expect(Date.now() - started).toBeLessThan(3_000);
    expect(await server.get(NAME)).toEqual(before);
    const { answers } = await ask(pdns.dns, { name: NAME, type: "A" });
    expect(answers).toEqual([expect.objectContaining({ data: "127.0.1.1", ttl: 30 })]);
  });

  test("for a secondary that is away ends with its request", async () => {
    const named = await startNamed();
    daemon = named.daemon;
    const server = new Rfc2136NameServer({
      server: `127.0.0.1:${named.dns.port}`,
      zones: [ZONE],
      key: { name: KEY.name, secret: { file: named.secretFile } },
      agent: "onprem",
      secondaries: [`127.0.0.1:${await freePort()}`],
      secondariesMs: FAR_MS,
    });
    await server.start();
    const ended = new AbortController();
    const put = server.put(NAME, spec("127.0.1.1"), ended.signal);
    setTimeout(() => ended.abort(), 300);
    const started = Date.now();
    await expect(put).rejects.toThrow(/stopped/);
    expect(Date.now() - started).toBeLessThan(2_000);
    expect(await addressOf(named.dns)).toEqual(["127.0.1.1"]);
  });
});
