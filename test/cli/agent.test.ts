import { mkdtempSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SiteClient } from "../../lib/site/client";
import { clearSite } from "../../providers/local";
import { localhostCertificate } from "../../providers/terraform/plugin/serve/certificate";
import {
  onlyJson,
  processesAbout,
  refusal,
  spillway,
  startSpillway,
  type RunningSpillway,
} from "./support/spillway";

const TOKEN = "a-token-of-this-test-0123456789";

let dir: string;
let tokenFile: string;
const running: RunningSpillway[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-agent-"));
  tokenFile = file("token", `${TOKEN}\n`);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((agent) => agent.stop("SIGKILL")));
  await Promise.all(["state", "other"].map((name) => clearSite(join(dir, name))));
  expect(processesAbout(dir)).toEqual([]);
  rmSync(dir, { recursive: true, force: true });
}, 30_000);

function file(name: string, content: string): string {
  const path = join(dir, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

function args(changes: Readonly<Record<string, string>> = {}): string[] {
  const options = {
    site: "cloud",
    state: join(dir, "state"),
    "token-file": tokenFile,
    listen: "127.0.0.1:0",
  };
  return [
    "agent",
    "--json",
    ...Object.entries({ ...options, ...changes }).flatMap(([name, value]) => [`--${name}`, value]),
  ];
}

async function start(changes?: Readonly<Record<string, string>>) {
  const agent = startSpillway(args(changes));
  running.push(agent);
  await agent.until(/\n/);
  const said = JSON.parse(agent.stdout()) as { ok: boolean; site: string; endpoint: string; pid: number };
  return { agent, said };
}

test("says where it answers, as one object; its log goes to stderr, a JSON line each; Ctrl-C is a good end", async () => {
  const { agent, said } = await start();
  expect(said).toEqual({
    ok: true,
    site: "cloud",
    endpoint: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    pid: agent.child.pid,
  });
  const client = new SiteClient("cloud", { endpoint: said.endpoint, tokenFile });
  expect((await client.context()).pools).toEqual([]);
  client.close();
  const ended = await agent.stop("SIGINT");
  expect(ended.code).toBe(0);
  onlyJson(ended);
  for (const line of ended.stderr.trim().split("\n")) {
    expect(JSON.parse(line)).toEqual({ at: expect.any(Number), site: "cloud", message: expect.any(String) });
  }
});

test("as text it says the same, and never its token", async () => {
  const agent = startSpillway(args().filter((arg) => arg !== "--json"));
  running.push(agent);
  await agent.until(/^agent cloud answers at http:\/\/127\.0\.0\.1:\d+$/m);
  const { code, stdout, stderr } = await agent.stop("SIGTERM");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).not.toContain(TOKEN);
});

describe("refuses, names place and mend, and leaves nothing", () => {
  async function refused(changes: Readonly<Record<string, string>>) {
    const ended = await spillway(args(changes));
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 1, stderr: "" });
    expect(existsSync(join(dir, "state"))).toBe(false);
    return onlyJson(ended);
  }

  test("a token file that is not there", async () => {
    const missing = join(dir, "no-token");
    expect(await refused({ "token-file": missing })).toEqual(
      refusal(expect.stringContaining("ENOENT"), missing, expect.stringContaining("at least 16 characters")),
    );
  });

  test("a token that is too short, and does not print it", async () => {
    const short = file("short", "secret-word\n");
    const said = await refused({ "token-file": short });
    expect(said).toEqual(
      refusal("the token has 11 characters, fewer than 16", short, expect.stringContaining("openssl rand")),
    );
    expect(JSON.stringify(said)).not.toContain("secret-word");
  });

  test("an empty token file", async () => {
    const empty = file("empty", "");
    expect(await refused({ "token-file": empty })).toEqual(
      refusal("the token has 0 characters, fewer than 16", empty),
    );
  });

  test("an endpoint that is none", async () => {
    expect(await refused({ listen: "7501" })).toEqual(
      refusal(
        '`--listen` must be HOST:PORT, got "7501"',
        "--listen",
        expect.stringContaining("127.0.0.1:7501"),
      ),
    );
  });

  test("a site's name that is none", async () => {
    expect(await refused({ site: "The Cloud" })).toEqual(
      refusal(expect.stringContaining('"The Cloud"'), "site", expect.stringContaining("`cloud-1`")),
    );
  });

  test("a certificate without its key: it would answer in the clear", async () => {
    expect(await refused({ "tls-cert": file("cert.pem", "x") })).toEqual(
      refusal("`--tls-cert` is given without `--tls-key`", "--tls-cert"),
    );
  });

  test("another address than loopback without TLS: its token would cross the network unencrypted", async () => {
    expect(await refused({ listen: "0.0.0.0:0" })).toEqual(
      refusal(
        "the agent would send its token unencrypted: 0.0.0.0 is no loopback address",
        "0.0.0.0:0",
        expect.stringContaining("--tls-cert, --tls-key"),
      ),
    );
  });

  test("a certificate that is none", async () => {
    const tls = {
      "tls-cert": file("cert.pem", "not a certificate"),
      "tls-key": file("key.pem", "nor a key"),
    };
    expect(await refused({ listen: "0.0.0.0:0", ...tls })).toEqual(
      refusal(
        expect.stringContaining("the certificate and its key cannot be used"),
        `${tls["tls-cert"]}, ${tls["tls-key"]}`,
      ),
    );
  });

  test("a key that belongs to another certificate", async () => {
    const tls = {
      "tls-cert": file("cert.pem", localhostCertificate().pem),
      "tls-key": file("key.pem", localhostCertificate().keyPem),
    };
    expect(await refused(tls)).toEqual(refusal(expect.stringMatching(/cannot be used.*key values mismatch/)));
  });
});

test("answers over TLS on any address, to who trusts its certificate and to nobody else", async () => {
  const { pem, keyPem } = localhostCertificate();
  const tls = { "tls-cert": file("cert.pem", pem), "tls-key": file("key.pem", keyPem) };
  const { agent, said } = await start({ listen: "0.0.0.0:0", ...tls });
  const endpoint = `https://localhost:${new URL(said.endpoint).port}`;
  const trusting = new SiteClient("cloud", { endpoint, tokenFile, caFile: tls["tls-cert"] });
  expect((await trusting.context()).site).toBe("cloud");
  trusting.close();

  const wary = new SiteClient("cloud", { endpoint, tokenFile }, { retryBudgetMs: 0 });
  await expect(wary.context()).rejects.toThrow(/certificate/);
  wary.close();

  const stranger = new SiteClient("cloud", {
    endpoint,
    tokenFile: file("wrong", "quite-another-token-0123456789\n"),
    caFile: tls["tls-cert"],
  });
  await expect(stranger.context()).rejects.toThrow(/refused the token from file .*wrong/);
  stranger.close();
  const { stderr, stdout } = await agent.stop();
  expect(stdout + stderr).not.toContain(TOKEN);
  expect(stdout + stderr).not.toContain("quite-another-token");
});

test("a port that is taken is named, and nothing is left running", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => holder.once("listening", resolve));
  const { port } = holder.address() as { port: number };
  const ended = await spillway(args({ listen: `127.0.0.1:${port}` }));
  holder.close();
  expect(ended.code).toBe(1);
  expect(processesAbout(dir)).toEqual([]);
  expect(onlyJson(ended)).toEqual(
    refusal(
      `another process listens at 127.0.0.1:${port} already`,
      `127.0.0.1:${port}`,
      expect.stringContaining("another address or port"),
    ),
  );
});

test("a name server's port that is taken is named, and nothing is left running", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => holder.once("listening", resolve));
  const { port } = holder.address() as { port: number };
  const ended = await spillway(args({ "name-server": `127.0.0.1:${port}` }));
  holder.close();
  expect(ended.code).toBe(1);
  expect(JSON.stringify(onlyJson(ended))).toContain(`127.0.0.1:${port}`);
  expect(processesAbout(dir)).toEqual([]);
}, 30_000);

test("a state directory that another agent holds is refused, and that agent serves on", async () => {
  const { agent, said } = await start();
  const before = readFileSync(join(dir, "state", "state.json"), "utf8");
  const ended = await spillway(args());
  expect(ended.code).toBe(1);
  expect(onlyJson(ended)).toEqual(
    refusal(
      expect.stringContaining(
        `another agent works in this state directory: process ${agent.child.pid}, since 2`,
      ),
      join(dir, "state"),
      expect.stringContaining("a state directory of its own"),
    ),
  );
  expect(readFileSync(join(dir, "state", "state.json"), "utf8")).toBe(before);
  expect((await fetch(`${said.endpoint}/v1/health`)).status).toBe(200);
});

test("after kill -9 the next agent takes the directory up", async () => {
  const { agent } = await start();
  await agent.stop("SIGKILL");
  const { said } = await start();
  expect((await fetch(`${said.endpoint}/v1/health`)).status).toBe(200);
});
