import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startAgent, type RunningAgent } from "../../../lib/site/agent";
import type { RecordSpec } from "../../../lib/site/api";
import { SiteClient } from "../../../lib/site/client";
import type { NameServer } from "../../../lib/site/ports";
import { ask, type HostPort, type Instance } from "../../../providers/dns";
import { clearSite, localPorts } from "../../../providers/local";
import { PowerDnsNameServer } from "../../../providers/powerdns";
import { Rfc2136NameServer } from "../../../providers/rfc2136";
import { temporaryFolder, type Daemon } from "./support/daemon";
import { startPdns, ZONE } from "./support/pdns";
import { describeWith } from "./support/tools";
import { KEY, startNamed } from "./support/update-servers";

const spec = (address: string, owner = "shop"): RecordSpec => ({
  owner,
  ttlSeconds: 30,
  answers: [{ site: "onprem", address, weight: 100, pool: "onprem/shop" }],
});

interface Made {
  readonly daemon: Daemon;
  readonly dns: HostPort;
  readonly nameServer: (agent: string, own?: Instance) => NameServer;
}

const SERVERS: readonly (readonly [string, readonly string[], () => Promise<Made>])[] = [
  [
    "PowerDNS",
    ["pdns_server", "pdnsutil", "sqlite3"],
    async () => {
      const { daemon, dns, api, keyFile } = await startPdns();
      const common = {
        api,
        apiKey: { file: keyFile },
        zones: [ZONE],
        endpoint: `127.0.0.1:${dns.port}`,
        requestMs: 1_000,
      };
      return {
        daemon,
        dns,
        nameServer: (agent, own) => new PowerDnsNameServer({ ...common, agent, ...own }),
      };
    },
  ],
  [
    "BIND",
    ["named"],
    async () => {
      const { daemon, dns, secretFile } = await startNamed();
      const key = { name: KEY.name, secret: { file: secretFile } };
      const common = { server: `127.0.0.1:${dns.port}`, zones: [ZONE], key, requestMs: 1_000 };
      return { daemon, dns, nameServer: (agent, own) => new Rfc2136NameServer({ ...common, agent, ...own }) };
    },
  ],
];

for (const [title, tools, make] of SERVERS) {
  describeWith(tools, `an agent with a real ${title} as its name server`, () => {
    const name = `shop.${ZONE}`;
    const token = "token-of-the-test-agent";
    let made: Made;
    let stateDir: string;
    let tokenFile: string;
    let agent: RunningAgent;
    let client: SiteClient;

    const start = async (takeOver = false) => {
      const { launcher, balancer } = localPorts({ stateDir });
      const ports = {
        launcher,
        balancer,
        nameServer: made.nameServer("onprem", { instance: { file: join(stateDir, "instance") }, takeOver }),
      };
      agent = await startAgent({
        site: "onprem",
        stateDir,
        listen: { host: "127.0.0.1", port: 0 },
        token,
        ports,
        waitForParts: true,
      });
      client = new SiteClient("onprem", { endpoint: agent.endpoint, tokenFile });
    };
    const address = async () =>
      ((await ask(made.dns, { name, type: "A" })).answers ?? []).map(
        (answer) => "data" in answer && answer.data,
      );
    const until = async (wanted: readonly string[]) => {
      const deadline = Date.now() + 6_000;
      while (JSON.stringify(await address().catch(() => "silent")) !== JSON.stringify(wanted)) {
        if (Date.now() > deadline) throw new Error(`still ${String(await address())}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };

    beforeAll(async () => {
      made = await make();
      const folder = temporaryFolder("agent");
      stateDir = join(folder, "state");
      tokenFile = join(folder, "token");
      writeFileSync(tokenFile, token, { mode: 0o600 });
      await start();
    });
    // The daemon first: nothing that fails here may leave it running.
    afterAll(async () => {
      await made.daemon.end();
      client.close();
      await agent.close();
      await clearSite(stateDir);
      rmSync(join(stateDir, ".."), { recursive: true, force: true });
    });

    test("a record is put, found, kept by its owner, given again after a restart of the agent, and removed", async () => {
      const put = await client.putRecord(name, spec("127.0.1.1"));
      expect(await client.record(name)).toEqual(put);
      expect(await address()).toEqual(["127.0.1.1"]);
      await expect(client.putRecord(name, spec("127.0.2.1", "other"))).rejects.toMatchObject({
        code: "owned-by-another",
      });
      client.close();
      await agent.close();
      expect(await address()).toEqual(["127.0.1.1"]);
      await start();
      expect(await client.record(name)).toEqual(put);
      await client.deleteRecord(name, "shop");
      expect(await client.record(name)).toBeUndefined();
      expect(await address()).toEqual([]);
    });

    test("a record of another installation is refused, and does not stay in the agent's state", async () => {
      const other = made.nameServer("other");
      await other.put(name, spec("127.0.9.9"));
      await expect(client.putRecord(name, spec("127.0.1.1"))).rejects.toMatchObject({
        code: "owned-by-another",
      });
      expect(await address()).toEqual(["127.0.9.9"]);
      await other.remove(name);
      // What the agent held in its state it would make anew within a second.
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      expect(await address()).toEqual([]);
    });

    test("a change while the server is down fails with its reason and changes nothing; the same again is made", async () => {
      await client.putRecord(name, spec("127.0.1.1"));
      await made.daemon.kill();
      const change = (retryBudgetMs: number) =>
        client.putRecord(name, spec("127.0.2.1"), { retryBudgetMs, timeoutMs: 8_000 });
      await expect(change(0)).rejects.toMatchObject({
        code: "part-unavailable",
        report: { problem: expect.stringMatching(/the name server cannot be used: .*does not answer/) },
      });
      await made.daemon.start();
      await until(["127.0.1.1"]);
      // What the agent took for declared it would make within a second.
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      expect(await address()).toEqual(["127.0.1.1"]);
      expect((await change(10_000)).spec.answers[0].address).toBe("127.0.2.1");
      expect(await address()).toEqual(["127.0.2.1"]);
      await client.deleteRecord(name, "shop");
    }, 30_000);

    test("what cannot be given again keeps no other record from it", async () => {
      const [first, last] = [`a.${ZONE}`, `z.${ZONE}`];
      for (const each of [first, last]) await client.putRecord(each, spec("127.0.1.1"));
      client.close();
      await agent.close();
      const other = made.nameServer("other");
      for (const each of [first, last]) await made.nameServer("onprem", { takeOver: true }).remove(each);
      await other.put(first, spec("127.0.9.9"));
      await start();
      expect((await client.record(last))?.spec).toEqual(spec("127.0.1.1"));
      expect((await other.get(first))?.spec).toEqual(spec("127.0.9.9"));
      await other.remove(first);
      const deadline = Date.now() + 5_000;
      while ((await client.record(first)) === undefined && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 50));
      for (const each of [first, last]) await client.deleteRecord(each, "shop");
    });

    test("a record that was declared and is held by another is listed as declared too: a gate must not take its pool for left", async () => {
      await client.putRecord(name, spec("127.0.1.1"));
      client.close();
      await agent.close();
      const other = made.nameServer("other");
      await made.nameServer("onprem", { takeOver: true }).remove(name);
      await other.put(name, spec("127.0.9.9"));
      await start();
      const listed = await client.records();
      expect(listed.map(({ spec: { answers }, serial }) => [answers[0].pool, serial])).toEqual([
        ["onprem/shop", 0],
      ]);
      await other.remove(name);
      await until(["127.0.1.1"]);
      expect((await client.records()).map(({ serial }) => serial > 0)).toEqual([true]);
      await client.deleteRecord(name, "shop");
    });

    test("two agents of one name by accident: the later reads the other's records, and neither changes nor removes them", async () => {
      const other = made.nameServer("onprem", { instance: "1234" });
      const put = await other.put(name, spec("127.0.9.9"));
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      expect(await client.record(name)).toEqual(put);
      expect(await client.records()).toEqual([put]);
      const refused = { code: "owned-by-another", report: { mend: expect.stringContaining("takeOver") } };
      await expect(client.putRecord(name, spec("127.0.1.1"))).rejects.toMatchObject(refused);
      await expect(client.deleteRecord(name, "shop")).rejects.toMatchObject(refused);
      await other.remove(name);
      // What it had taken for its own it would make anew within a second.
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      expect(await address()).toEqual([]);
    });

    test("an agent that lost its state removes nothing: its records are answered, and taken over only when that is said; for their owner only", async () => {
      await client.putRecord(name, spec("127.0.1.1"));
      const other = made.nameServer("other");
      await other.put(`other.${ZONE}`, spec("127.0.9.9"));
      client.close();
      await agent.close();
      await clearSite(stateDir);
      rmSync(stateDir, { recursive: true });
      await start();
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      expect(await address()).toEqual(["127.0.1.1"]);
      expect((await other.get(`other.${ZONE}`))?.spec).toEqual(spec("127.0.9.9"));
      expect((await client.record(name))?.spec).toEqual(spec("127.0.1.1"));
      await expect(client.putRecord(name, spec("127.0.2.1"))).rejects.toMatchObject({
        code: "owned-by-another",
        report: { problem: expect.stringMatching(/another agent of installation "onprem"/) },
      });
      client.close();
      await agent.close();
      await start(true);
      await client.putRecord(name, spec("127.0.1.1"));
      client.close();
      await agent.close();
      await start();
      await expect(client.putRecord(name, spec("127.0.2.1", "stranger"))).rejects.toMatchObject({
        code: "owned-by-another",
      });
      await expect(client.deleteRecord(name, "stranger")).rejects.toMatchObject({ code: "owned-by-another" });
      await client.deleteRecord(name, "shop");
      expect(await address()).toEqual([]);
      await other.remove(`other.${ZONE}`);
    }, 20_000);
  });
}
