import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { portsOf } from "../../cli/agent";
import type { RecordSpec } from "../../lib/site/api";
import type { SiteClient } from "../../lib/site/client";
import { clearSite } from "../../providers/local";
import { describeWith } from "../support/daemons";
import { allUp, makeImage, poolSpec, poolUntil, push } from "../support/site";
import { startPdns, ZONE, type Pdns } from "../providers/dns/support/pdns";
import { KEY, startNamed, type UpdateServer } from "../providers/dns/support/update-servers";
import { startOwnHaproxy, type OwnHaproxy } from "../providers/haproxy/support/own-haproxy";
import { ConfiguredAgents, seen } from "./support/agent-config";
import { onlyJson, spillway } from "./support/spillway";

const NAME = `shop.${ZONE}`;
const SPEC: RecordSpec = {
  owner: "shop",
  ttlSeconds: 30,
  answers: [{ site: "onprem", address: "127.0.1.1", weight: 100 }],
};

let agents: ConfiguredAgents;
beforeEach(() => {
  agents = new ConfiguredAgents();
});
afterEach(() => agents.end());

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly found: string;
  readonly mend?: string;
}

async function doctor(file: string): Promise<{ ok: boolean; findings: Finding[] }> {
  const ended = await spillway(["doctor", "--json", "--agent-config", file]);
  return onlyJson(ended) as unknown as { ok: boolean; findings: Finding[] };
}

/** The agent is up, says what is wrong, and refuses a record with that. */
async function refusesRecords(client: SiteClient, log: readonly string[], problem: RegExp): Promise<void> {
  const part = (await client.parts()).parts.find((each) => each.part === "nameServer");
  expect(part?.problems.map((each) => each.problem)).toEqual([expect.stringMatching(problem)]);
  await expect(client.putRecord(NAME, SPEC)).rejects.toMatchObject({
    code: "part-unavailable",
    report: { problem: expect.stringMatching(problem), mend: expect.stringMatching(/\w/) },
  });
  const context = await client.context();
  expect(context).toMatchObject({ pools: [], records: [], recordsProblem: expect.stringMatching(problem) });
  expect(log.filter((line) => problem.test(line))).toHaveLength(1);
}

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "an agent whose PowerDNS", () => {
  let pdns: Pdns;
  afterEach(() => pdns.daemon.end());

  const nameServer = (changes: object = {}) => ({
    ...{ kind: "powerdns", api: pdns.api, apiKey: { file: pdns.keyFile }, zones: [ZONE], agent: "dc1" },
    ...{ endpoint: `127.0.0.1:${pdns.dns.port}`, requestMs: 1_000, ...changes },
  });

  test("refuses its key stays up and says so; with the right key it works, without a restart", async () => {
    pdns = await startPdns();
    const keyFile = agents.write("key", "wrong");
    const { client, file, log } = await agents.start({
      nameServer: nameServer({ apiKey: { file: keyFile } }),
    });
    await refusesRecords(client, log, /refuses the API key \(401\)/);
    const { ok, findings } = await doctor(file);
    expect(ok).toBe(false);
    expect(findings.filter(({ status }) => status !== "ok")).toEqual([
      expect.objectContaining({ name: "nameServer", found: expect.stringContaining("API key (401)") }),
    ]);
    writeFileSync(keyFile, readFileSync(pdns.keyFile));
    const patient = { retryBudgetMs: 10_000 };
    expect((await client.putRecord(NAME, SPEC, patient)).spec).toEqual(SPEC);
    expect((await doctor(file)).ok).toBe(true);
    expect(log.join()).not.toContain("wrong");
  });

  test.each<[string, object, object, RegExp]>([
    ["has no such zone", { zone: false }, {}, /it has no zone "example\.test"/],
    ["has Lua off", { config: { "enable-lua-records": "no" } }, {}, /it answers no LUA records/],
  ])("%s stays up and says so", async (_, server, changes, problem) => {
    pdns = await startPdns(server);
    const { client, log } = await agents.start({ nameServer: nameServer(changes) });
    await refusesRecords(client, log, problem);
    expect((await pdns.request("GET", "/zones")).body).toHaveLength("zone" in server ? 0 : 1);
  });

  test("is not there yet waits for it: what is asked meanwhile is done when it comes", async () => {
    pdns = await startPdns();
    await pdns.daemon.kill();
    const { client, log } = await agents.start({ nameServer: nameServer() });
    await refusesRecords(client, log, /its HTTP API does not answer/);
    const put = client.putRecord(NAME, SPEC, { retryBudgetMs: 15_000 });
    setTimeout(() => void pdns.daemon.start(), 500);
    expect((await put).spec).toEqual(SPEC);
    expect((await client.context()).recordsProblem).toBeUndefined();
    expect(log).toContainEqual("the name server is there");
  });
});

describeWith(["named"], "an agent whose BIND", () => {
  let named: UpdateServer;
  beforeEach(async () => {
    named = await startNamed();
  });
  afterEach(() => named.daemon.end());

  const nameServer = (changes: object) => ({
    ...{
      kind: "rfc2136",
      server: `127.0.0.1:${named.dns.port}`,
      zones: [ZONE],
      agent: "dc1",
      requestMs: 1_000,
    },
    ...{ key: { name: KEY.name, secret: { file: named.secretFile } }, ...changes },
  });

  test.each<[string, (secretFile: string) => object, RegExp]>([
    [
      "finds the signature wrong",
      () => ({ key: { name: KEY.name, secret: { file: "wrong" } } }),
      /signature of TSIG key "spillway-key" .* wrong \(BADSIG\)/,
    ],
    [
      "does not know the key",
      (secretFile) => ({ key: { name: "stranger", secret: { file: secretFile } } }),
      /does not know TSIG key "stranger"/,
    ],
    ["does not have the zone", () => ({ zones: ["nowhere.test"] }), /no zone "nowhere\.test" of its own/],
  ])("%s stays up and says so", async (_, changes, problem) => {
    agents.write("wrong", Buffer.from("quite another secret of 32 bytes").toString("base64"));
    const { client, log } = await agents.start({ nameServer: nameServer(changes(named.secretFile)) });
    await refusesRecords(client, log, problem);
  });
});

describeWith(["haproxy"], "an agent whose HAProxy", () => {
  let own: OwnHaproxy | undefined;
  afterEach(async () => {
    await agents.close();
    await own?.end();
    own = undefined;
  });

  test("has a socket without admin level stays up, and takes no pool", async () => {
    own = await startOwnHaproxy("", "user");
    const { client, file, log, site } = await agents.start({
      balancer: { kind: "haproxy", attach: { socket: own.socket, masterSocket: own.masterSocket } },
    });
    const image = await makeImage({ dir: agents.folder });
    await push(site, image);
    await expect(client.putPool("shop", await poolSpec(site, image))).rejects.toMatchObject({
      code: "part-unavailable",
      report: {
        problem: expect.stringContaining("level `user`"),
        mend: expect.stringContaining("level admin"),
      },
    });
    expect(await client.pool("shop")).toBeUndefined();
    expect(log.filter((line) => line.includes("level `user`"))).toHaveLength(1);
    const { ok, findings } = await doctor(file);
    expect(ok).toBe(false);
    expect(findings.find(({ name }) => name === "balancer")).toMatchObject({
      status: "missing",
      found: expect.stringContaining("level `user`"),
    });
  });

  test("has no program is told so, and no pool is taken", async () => {
    const { client } = await agents.start({ balancer: { kind: "haproxy", program: "/nowhere/haproxy" } });
    const { parts } = await client.parts();
    expect(parts.find(({ part }) => part === "balancer")?.problems).toEqual([
      expect.objectContaining({ problem: "there is no program `/nowhere/haproxy` to run" }),
    ]);
  });

  test("lacks a pool's stanza: the agent prints it, doctor misses it, and loaded it serves", async () => {
    own = await startOwnHaproxy();
    const { client, file, site } = await agents.start({
      balancer: { kind: "haproxy", attach: { socket: own.socket, masterSocket: own.masterSocket } },
    });
    const image = await makeImage({ dir: agents.folder });
    await push(site, image);
    await client.putPool("shop", await poolSpec(site, image, { members: 1 }));
    const lacking = await seen(
      () => doctor(file),
      ({ ok }) => !ok,
    );
    expect(lacking.findings.find(({ name }) => name === "balancer")?.found).toMatch(
      /it has no backend `spillway\.shop\.members`/,
    );
    const ended = await spillway(["agent", "stanza", "--config", file, "--pool", "shop"]);
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: "" });
    writeFileSync(join(own.stanzaDir, "shop.cfg"), ended.stdout);
    await own.reload();
    await poolUntil(site, "shop", allUp(1));
    expect((await doctor(file)).ok).toBe(true);
    const unknown = await spillway(["agent", "stanza", "--config", file, "--pool", "web", "--json"]);
    expect(JSON.stringify(onlyJson(unknown))).toContain('no pool \\"web\\"; it has \\"shop\\"');
  });
});

describeWith(["haproxy", "pdns_server", "pdnsutil", "sqlite3"], "a site on a HAProxy and a PowerDNS", () => {
  test("serves, is well, and is adopted by the next agent of the same file", async () => {
    const pdns = await startPdns();
    const parts = {
      balancer: { kind: "haproxy" },
      nameServer: {
        ...{ kind: "powerdns", api: pdns.api, apiKey: { file: pdns.keyFile }, zones: [ZONE], agent: "dc1" },
        endpoint: `127.0.0.1:${pdns.dns.port}`,
      },
    };
    let running = await agents.start(parts);
    try {
      const image = await makeImage({ dir: agents.folder });
      await push(running.site, image);
      const spec = await poolSpec(running.site, image, { members: 1 });
      await running.client.putPool("shop", spec);
      await poolUntil(running.site, "shop", allUp(1));
      await running.client.putRecord(NAME, SPEC);
      const [member] = (await running.client.pool("shop"))?.members ?? [];
      await agents.close();
      running = await agents.start(parts);
      expect((await poolUntil(running.site, "shop", allUp(1)))?.members[0].id).toBe(member.id);
      expect((await fetch(`http://127.0.0.1:${spec.listen.port}/`)).status).toBe(200);
      expect((await running.client.parts()).parts).toEqual([
        { part: "launcher", kind: "process", problems: [], advice: [] },
        { part: "balancer", kind: "haproxy", problems: [], advice: [] },
        { part: "nameServer", kind: "powerdns", problems: [], advice: [] },
      ]);
    } finally {
      await agents.close();
      await clearSite(agents.stateDir, portsOf(running.config));
      await pdns.daemon.end();
    }
  });
});
