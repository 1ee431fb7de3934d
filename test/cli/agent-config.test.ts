import { join } from "node:path";
import { loadAgentConfig } from "../../cli/agent";
import { SpillwayErrors } from "../../lib/errors";
import { ConfiguredAgents } from "./support/agent-config";
import { onlyJson, spillway, startSpillway } from "./support/spillway";

let agents: ConfiguredAgents;
beforeEach(() => {
  agents = new ConfiguredAgents();
});
afterEach(() => agents.end());

function problemsOf(content: string | object): { place: string; problem: string; mend: string }[] {
  try {
    loadAgentConfig(agents.write("agent.json", content));
  } catch (error) {
    if (error instanceof SpillwayErrors) return error.errors.map(({ report }) => report);
    return [(error as SpillwayErrors["errors"][0]).report];
  }
  return [];
}

const POWERDNS = {
  kind: "powerdns",
  api: "http://127.0.0.1:8081",
  apiKey: { environment: "PDNS_KEY" },
  zones: ["example.com"],
  endpoint: "127.0.0.1:53",
  agent: "dc1",
};
const RFC2136 = {
  kind: "rfc2136",
  server: "127.0.0.1:53",
  zones: ["example.com"],
  key: { name: "spillway", secret: { file: "tsig" } },
  agent: "dc1",
};
const GOOD = { site: "onprem", state: "state", tokenFile: "token" };

test("a name server of others wants the installation named: no default is unique", () => {
  for (const nameServer of [POWERDNS, RFC2136]) {
    const { agent: _, ...without } = nameServer;
    const [report] = problemsOf({ ...GOOD, nameServer: without });
    expect(report.problem).toMatch(/`nameServer\.agent`/);
    expect(report.mend).toMatch(/Name the installation/);
  }
});

test("a secret goes over plain http to loopback only, unless that is allowed", () => {
  const away = { ...POWERDNS, api: "http://192.0.2.53:8081" };
  const prometheus = { endpoint: "http://192.0.2.90:9090", user: "me", passwordFile: "hush" };
  expect(
    problemsOf({ ...GOOD, nameServer: away, prometheus }).map(({ problem, mend }) => [problem, mend]),
  ).toEqual([
    [
      expect.stringMatching(/`nameServer.api`: .*plain http to 192\.0\.2\.53.*the API key in clear/),
      expect.stringMatching(/`allowPlainHttp`/),
    ],
    [
      expect.stringMatching(/`prometheus.endpoint`: .*plain http to 192\.0\.2\.90.*the password in clear/),
      expect.stringMatching(/`allowPlainHttp`/),
    ],
  ]);
  const allowed = { allowPlainHttp: true };
  const both = { nameServer: { ...away, ...allowed }, prometheus: { ...prometheus, ...allowed } };
  expect(problemsOf({ ...GOOD, ...both })).toEqual([]);
  expect(problemsOf({ ...GOOD, nameServer: { ...away, allowPlainHttp: "yes" } })).toHaveLength(1);
  expect(problemsOf({ ...GOOD, nameServer: { ...away, api: "https://192.0.2.53" } })).toEqual([]);
});

test("paths are relative to the file, and what is left out is embedded", () => {
  const { folder } = agents;
  const named = loadAgentConfig(
    agents.write("one.json", { ...GOOD, nameServer: { ...RFC2136, uneven: "nearest" } }),
  );
  expect(named).toMatchObject({
    stateDir: join(folder, "state"),
    tokenFile: join(folder, "token"),
    listen: { host: "127.0.0.1", port: 7501 },
    balancer: { kind: "embedded" },
    nameServer: {
      kind: "rfc2136",
      options: { agent: "dc1", uneven: "nearest", key: { secret: { file: join(folder, "tsig") } } },
    },
  });
  const attach = { socket: "admin.sock", masterSocket: "/run/master.sock" };
  const balanced = agents.write("two.json", {
    ...GOOD,
    balancer: {
      kind: "haproxy",
      attach,
      settings: { slowStartMs: 500, agentCheck: { port: 9, intervalMs: 1_000 } },
    },
    nameServer: { ...POWERDNS, agent: "other", shift: { ttlSeconds: 5 }, health: { type: "http", port: 80 } },
    prometheus: { endpoint: "http://127.0.0.1:9090", user: "u", passwordFile: "p" },
  });
  expect(loadAgentConfig(balanced)).toMatchObject({
    balancer: { attach: { ...attach, socket: join(folder, "admin.sock") }, settings: { slowStartMs: 500 } },
    nameServer: {
      options: { agent: "other", apiKey: { environment: "PDNS_KEY" }, shift: { ttlSeconds: 5 } },
    },
    prometheus: { endpoint: "http://127.0.0.1:9090", user: "u", passwordFile: join(folder, "p") },
  });
});

test("what the command line says wins, and stands in for what the file leaves out", () => {
  const flags = { site: "cloud", stateDir: "/s", tokenFile: "/t", listen: { host: "::1", port: 9 } };
  const file = agents.write("agent.json", { site: "onprem", listen: "127.0.0.1:1", nameServer: POWERDNS });
  const nameServer = { host: "127.0.0.1", port: 5 };
  expect(loadAgentConfig(file, { ...flags, nameServer })).toMatchObject({
    ...flags,
    nameServer: { kind: "embedded", listen: nameServer },
  });
});

test("all mistakes are told at once, each with the file, the JSON path, the value received and a mend", () => {
  const said = problemsOf({
    ...{ sitte: "onprem", state: 4, listen: "7501", tokenFile: "", retainImages: 1, tls: { certFile: "a" } },
    balancer: { kind: "haproxy", program: "x", attach: { sockett: "a" }, settings: { keepAliveMs: "1s" } },
    nameServer: {
      ...{ ...POWERDNS, api: "ftp://x", zones: [], endpoint: 5, selekt: "client" },
      health: { type: "icmp", port: 0 },
    },
    prometheus: { endpoint: "http://me:secret@127.0.0.1", tokenFile: "t", user: "u" },
  });
  const file = join(agents.folder, "agent.json");
  for (const { place, mend } of said)
    expect({ place, mend }).toEqual({ place: file, mend: expect.stringMatching(/\w/) });
  expect(said.map(({ problem }) => problem)).toEqual([
    "`sitte` is not known",
    "`site` must be a name of lower-case letters, digits and hyphens, got nothing",
    "`state` must be a text, got 4",
    '`tokenFile` must be a text, got ""',
    '`listen` must be HOST:PORT, got "7501"',
    "`tls.keyFile` must be a text, got nothing",
    "`retainImages` must be a whole number from 2 to 1000000, got 1",
    "`balancer.attach.sockett` is not known",
    "`balancer.attach.socket` must be a text, got nothing",
    '`balancer.settings.keepAliveMs` must be a whole number from 1 to 2592000000, got "1s"',
    "`balancer.program` is given beside `attach`",
    "`nameServer.selekt` is not known",
    '`nameServer.api` must be an http or https URL without a user, got "ftp://x"',
    "`nameServer.endpoint` must be HOST:PORT, got 5",
    '`nameServer.health.type` must be "http" or "https" or "tcp", got "icmp"',
    "`nameServer.health.port` must be a whole number from 1 to 65535, got 0",
    "`nameServer.zones` must not be empty",
    "`prometheus.endpoint` must be an http or https URL without a user, got one with a user in it",
    "`prometheus.user` is given without `passwordFile`",
    "`prometheus.tokenFile` is given beside `user`",
  ]);
  expect(said[0].mend).toBe("Did you mean `site`?");
  expect(said.find(({ problem }) => problem.includes("selekt"))?.mend).toBe("Did you mean `select`?");
});

test.each([
  ["a text", "the-very-secret", /got a text, which may be the secret itself/],
  ["both", { file: "a", environment: "the-very-secret" }, /got both/],
  ["neither", {}, /got neither/],
  ["no variable's name", { environment: "the-very-secret " }, /must be the name of an environment variable/],
])("a secret that is given as %s is refused and not shown", (_, apiKey, expected) => {
  const said = problemsOf({ ...GOOD, nameServer: { ...POWERDNS, apiKey } });
  expect(said.map(({ problem }) => problem)).toEqual([expect.stringMatching(expected)]);
  expect(said[0].problem).toContain("`nameServer.apiKey");
  expect(JSON.stringify(said)).not.toContain("the-very-secret");
});

test("what only the driver can judge is told with its JSON path as well", () => {
  const said = problemsOf({ ...GOOD, nameServer: { ...RFC2136, zones: ["exa mple"], agent: "a" } });
  expect(said.map(({ problem }) => problem)).toEqual([
    expect.stringMatching(/^`nameServer\.zones`: "exa mple" is no zone/),
  ]);
});

test("a file that is no JSON is told with the line", () => {
  expect(problemsOf('{\n "site": "onprem",\n}')[0].problem).toMatch(/not JSON: .*line 3/);
});

test("a file that is not there is an error of the command, and nothing is started", async () => {
  const missing = join(agents.folder, "none.json");
  const ended = await spillway(["agent", "--json", "--config", missing]);
  expect(ended.code).toBe(1);
  expect(onlyJson(ended)).toMatchObject({ ok: false, errors: [{ place: missing }] });
});

test("an agent of a file alone runs, and a flag wins over the file", async () => {
  const file = await agents.config({ listen: "127.0.0.1:1" });
  const agent = startSpillway(["agent", "--json", "--config", file, "--listen", "127.0.0.1:0"]);
  try {
    await agent.until(/\n/);
    const said = JSON.parse(agent.stdout()) as { site: string; endpoint: string };
    expect(said.site).toBe("onprem");
    expect(new URL(said.endpoint).port).not.toBe("1");
  } finally {
    await agent.stop();
  }
});
