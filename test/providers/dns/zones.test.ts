import type { RecordSpec } from "../../../lib/site/api";
import { PowerDnsNameServer } from "../../../providers/powerdns";
import { Rfc2136NameServer } from "../../../providers/rfc2136";
import { startSite, type TestSite } from "../../support/site";
import type { Daemon } from "./support/daemon";
import { createZone, startPdns, ZONE } from "./support/pdns";
import { describeWith } from "./support/tools";
import { KEY, startNamed } from "./support/update-servers";

const LACKING = "lacking.test";
const spec: RecordSpec = {
  owner: "shop",
  ttlSeconds: 30,
  answers: [{ site: "onprem", address: "127.0.1.1", weight: 100 }],
};

async function expectOnlyItsPutsRefused(site: TestSite, problem: RegExp): Promise<void> {
  const made = await site.client.putRecord(`shop.${ZONE}`, spec);
  await expect(site.client.putRecord(`shop.${LACKING}`, spec)).rejects.toMatchObject({
    code: "invalid",
    report: { problem: expect.stringMatching(problem) },
  });
  expect(await site.client.records()).toEqual([made]);
  const { parts } = await site.client.parts();
  expect(parts.find(({ part }) => part === "nameServer")?.problems).toEqual([
    expect.objectContaining({ problem: expect.stringMatching(problem) }),
  ]);
  expect((await site.client.planRecord(`shop.${ZONE}`, spec))?.problems).toEqual([]);
}

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "a zone that PowerDNS lacks", () => {
  let daemon: Daemon | undefined;
  let site: TestSite | undefined;
  afterEach(async () => {
    await daemon?.end();
    await site?.close();
  });

  test("is refused its own records only, and takes them as soon as it is there", async () => {
    const pdns = await startPdns();
    daemon = pdns.daemon;
    site = await startSite({
      site: "onprem",
      namedBy: new PowerDnsNameServer({
        api: pdns.api,
        apiKey: { file: pdns.keyFile },
        zones: [LACKING, ZONE],
        endpoint: `127.0.0.1:${pdns.dns.port}`,
        agent: "onprem",
      }),
    });
    await expectOnlyItsPutsRefused(site, /has no zone "lacking.test"/);
    await createZone(pdns, LACKING);
    await site.client.putRecord(`shop.${LACKING}`, spec);
    expect(await site.client.records()).toHaveLength(2);
  });

  test("is all there is: then the name server does not start", async () => {
    const pdns = await startPdns();
    daemon = pdns.daemon;
    site = undefined;
    const server = new PowerDnsNameServer({
      api: pdns.api,
      apiKey: { file: pdns.keyFile },
      zones: [LACKING],
      endpoint: `127.0.0.1:${pdns.dns.port}`,
      agent: "onprem",
    });
    await expect(server.start()).rejects.toThrow(/has no zone/);
    await expect(server.list()).rejects.toThrow(/has no zone/);
  });
});

describeWith(["named"], "a zone that BIND lacks", () => {
  test("is refused its own records only", async () => {
    const named = await startNamed();
    let site: TestSite | undefined;
    try {
      site = await startSite({
        site: "onprem",
        namedBy: new Rfc2136NameServer({
          server: `127.0.0.1:${named.dns.port}`,
          zones: [LACKING, ZONE],
          key: { name: KEY.name, secret: { file: named.secretFile } },
          agent: "onprem",
        }),
      });
      await expectOnlyItsPutsRefused(site, /has no zone "lacking.test" of its own/);
    } finally {
      await named.daemon.end();
      await site?.close();
    }
  });
});
