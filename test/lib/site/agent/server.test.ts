import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as http from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApiProblem } from "../../../../lib/site/api";
import { type AgentOptions, startAgent } from "../../../../lib/site/agent";
import { Router, type Route } from "../../../../lib/site/agent/router";
import { AgentServer } from "../../../../lib/site/agent/server";
import { TokenCheck } from "../../../../lib/site/agent/token";
import { sleep } from "../../../../lib/wait";
import { SiteClient } from "../../../../lib/site/client";
import { clearSite, localPorts } from "../../../../providers/local";
import { type TestSite, startSite } from "../../../support/site";

let dir: string;
let site: TestSite;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-server-"));
  site = await startSite({ site: "cloud" });
});

afterAll(async () => {
  await site?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function ask(
  method: string,
  path: string,
  options: { token?: string | null; body?: string | Uint8Array } = {},
) {
  const { token = site.token, body } = options;
  const answer = await fetch(`${site.endpoint}${path}`, {
    method,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    body: typeof body === "string" ? body : body && new Uint8Array(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: (text && JSON.parse(text)) as ApiProblem };
}

describe("who is let in", () => {
  test("health is told to anyone", async () => {
    expect(await ask("GET", "/v1/health", { token: null })).toMatchObject({
      status: 200,
      body: { site: "cloud" },
    });
  });

  test.each([
    ["no token", null],
    ["another token", "f".repeat(48)],
    ["a part of the token", "part"],
    ["nothing after Bearer", ""],
  ])("%s is refused, whatever is asked for, and the token is not told", async (_, token) => {
    const sent = token === "part" ? site.token.slice(0, -1) : token;
    for (const path of ["/v1/context", "/v1/pools/shop", "/v1/nothing-here", "/"]) {
      const { status, body, headers } = await ask("GET", path, { token: sent });
      expect({ path, status, code: body.code }).toEqual({ path, status: 401, code: "unauthorized" });
      expect(headers.get("www-authenticate")).toBe("Bearer");
      expect(JSON.stringify(body)).not.toContain(site.token.slice(0, 8));
    }
  });

  test("the scheme is Bearer, in any case", async () => {
    for (const [scheme, status] of [
      ["bearer", 200],
      ["BEARER", 200],
      ["Basic", 401],
      ["", 401],
    ] as const) {
      const headers = { authorization: `${scheme} ${site.token}`.trim() };
      expect((await fetch(`${site.endpoint}/v1/images`, { headers })).status).toBe(status);
    }
  });
});

describe("what is asked for wrongly", () => {
  test("an unknown path is 404, a method that a path does not take 405 with those it takes", async () => {
    expect(await ask("GET", "/v2/pools/shop")).toMatchObject({ status: 404, body: { code: "not-found" } });
    expect(await ask("GET", "/v1/pools/")).toMatchObject({ status: 404 });
    const { status, body } = await ask("POST", "/v1/pools/shop");
    expect({ status, mend: body.mend }).toEqual({ status: 405, mend: "It takes PUT, GET, DELETE." });
    expect(await ask("GET", "/v1/pools/%zz")).toMatchObject({ status: 400, body: { code: "invalid" } });
  });

  test("a body that is no JSON is told so", async () => {
    for (const [body, told] of [
      ["{", /not JSON/],
      ["", /must be JSON, got none/],
      ["\u0000", /not JSON/],
    ] as const) {
      const answer = await ask("PUT", "/v1/pools/shop", { body });
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid" } });
      expect(answer.body.problem).toMatch(told);
    }
    expect((await ask("PUT", "/v1/pools/shop", { body: Buffer.from([0x22, 0xff, 0x22]) })).status).toBe(400);
  });

  test("everything that is wrong with a pool is told at once, with the values received", async () => {
    const body = JSON.stringify({
      owner: "",
      image: "sha256:12",
      members: 0,
      listen: { address: "onprem.example", port: 70_000, mode: "udp" },
      monitor: {
        type: "http",
        path: "no-slash",
        expectStatus: 200,
        intervalMs: 1,
        timeoutMs: 1000,
        rise: 0,
        fall: 3,
      },
      affinity: "sticky",
      maxConnections: -1,
      sessionIdleMs: "30s",
      environment: { "A B": "x", PORT: "1", GOOD: 5 },
      launchTimeoutMs: 1000,
      hosts: ["Shop.example", "shop.example:80"],
      colour: "red",
    });
    const { status, body: told } = await ask("PUT", "/v1/pools/shop", { body });
    expect({ status, code: told.code, place: told.place }).toEqual({
      status: 400,
      code: "invalid",
      place: "pool shop",
    });
    for (const expected of [
      "`colour` is not known here",
      '`owner` must be the name of who declares it, got ""',
      "`image` must be sha256:",
      "`members` must be a whole number from 1 to 1000, got 0",
      '`listen.address` must be an IP address of this site, got "onprem.example"',
      "`listen.port` must be a whole number from 1 to 65535, got 70000",
      '`listen.mode` must be "http" or "tcp", got "udp"',
      '`monitor.path` must be a path that begins with a slash, without blanks, got "no-slash"',
      "`monitor.intervalMs` must be a whole number from 10",
      "`monitor.rise`",
      "`affinity`",
      "`maxConnections`",
      '`sessionIdleMs` must be a whole number from 0 to 2592000000, got "30s"',
      "`environment.A B` is no name of a variable",
      "`environment.PORT` is set by the launcher",
      "`environment.GOOD` must be a string, got 5",
      "`drainTimeoutMs`",
      '`hosts[0]` must be a lower-case host name such as shop.example.org, without a port, got "Shop.example"',
      "`hosts[1]`",
    ]) {
      expect(told.problem).toContain(expected);
    }
  });

  test("a single finding names its attribute", async () => {
    const { body } = await ask("POST", "/v1/pools/shop/quiesce", {
      body: '{"share":2,"forMs":0,"idleCloseMs":0}',
    });
    expect(body).toMatchObject({
      code: "invalid",
      attribute: ["share"],
      problem: "`share` must be a number from 0 to 1, got 2",
    });
  });

  test("a body that is too large is refused before it is read", async () => {
    const { hostname, port } = new URL(site.endpoint);
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request({
        host: hostname,
        port,
        method: "PUT",
        path: "/v1/pools/shop",
        headers: { authorization: `Bearer ${site.token}`, "content-length": 10_000_000_000 },
      });
      request.once("response", resolve);
      request.once("error", reject);
      request.flushHeaders();
    });
    expect(answer.statusCode).toBe(413);
    expect(answer.headers.connection).toBe("close");
    answer.destroy();
  });

  test("a body without a length is cut off where it becomes too large", async () => {
    const big = "x".repeat(400_000);
    const answer = await new Promise<number | string>((resolve) => {
      const request = http.request(`${site.endpoint}/v1/pools/shop`, {
        method: "PUT",
        headers: { authorization: `Bearer ${site.token}`, "transfer-encoding": "chunked" },
      });
      request.once("response", (response) => resolve(response.statusCode ?? 0));
      request.once("error", (error) => resolve(error.message));
      request.end(big);
    });
    expect(answer).toBe(413);
  });

  test("garbage instead of HTTP does not harm the agent", async () => {
    const { hostname, port } = new URL(site.endpoint);
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () =>
        socket.end("\u0016\u0003\u0001 no HTTP at all\r\n\r\n"),
      );
      socket.on("data", () => undefined);
      socket.once("close", () => resolve());
      socket.once("error", () => resolve());
    });
    expect((await ask("GET", "/v1/health")).status).toBe(200);
  });

  test("segments that come all at once are all answered", async () => {
    const body = new Uint8Array(1_000_000);
    const segments = `/v1/transfers/${"5".repeat(64)}/segments`;
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, n) =>
        ask("PUT", `${segments}/${String(n).padStart(32, "0")}`, { body }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([422]));
  });
});

describe("patience", () => {
  async function serverOf(handle: () => Promise<void>) {
    const route: Route = {
      method: "PUT",
      path: "/v1/slow",
      takes: { maxBytes: 1_000_000 },
      handle: () => handle().then(() => ({ status: 200, body: {} })),
    };
    return AgentServer.listen({
      listen: { host: "127.0.0.1", port: 0 },
      token: new TokenCheck("t".repeat(32)),
      router: new Router([route]),
      log: () => undefined,
      silenceMs: 200,
    });
  }

  function put(endpoint: string, bytes: number) {
    return http.request(`${endpoint}/v1/slow`, {
      method: "PUT",
      headers: { authorization: `Bearer ${"t".repeat(32)}`, "content-length": bytes },
    });
  }

  test("work that answers nothing for long is waited for", async () => {
    const server = await serverOf(() => sleep(700));
    const status = await new Promise((resolve) => {
      const request = put(server.endpoint, 3);
      request.once("response", (response) => resolve(response.statusCode));
      request.once("error", resolve);
      request.end("abc");
    });
    expect(status).toBe(200);
    await server.close();
  });

  test("a body that stops coming is given up, and takes no place from others", async () => {
    const server = await serverOf(async () => undefined);
    const stuck = Array.from({ length: 20 }, () => {
      const request = put(server.endpoint, 100_000);
      request.write("only the beginning");
      return new Promise((resolve) => request.once("error", resolve).once("response", resolve));
    });
    const status = await new Promise((resolve) => {
      const request = put(server.endpoint, 3);
      request.once("response", (response) => resolve(response.statusCode));
      request.once("error", resolve);
      request.end("abc");
    });
    expect(status).toBe(200);
    await Promise.all(stuck);
    await server.close();
  });
});

describe("bodies that come all at once", () => {
  const MB = 2 ** 20;

  /** @param expected how much is there at once, and not more a while later */
  async function received(bytes: number, count: number, expected: number) {
    let [present, most, answered] = [0, 0, 0];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const handle: Route["handle"] = async ({ bytes: body }) => {
      most = Math.max(most, (present += body.length));
      await gate;
      present -= body.length;
      return { status: 200, body: { sum: body.reduce((sum, byte) => sum + byte, 0) } };
    };
    const server = await AgentServer.listen({
      listen: { host: "127.0.0.1", port: 0 },
      token: new TokenCheck("t".repeat(32)),
      router: new Router([
        { method: "PUT", path: "/v1/segments/{id}", takes: { maxBytes: 16 * MB }, party: "id", handle },
        { method: "GET", path: "/v1/now", takes: "nothing", handle: () => ({ status: 200, body: {} }) },
      ]),
      log: () => undefined,
    });
    const headers = { authorization: `Bearer ${"t".repeat(32)}` };
    const sent = Promise.all(
      Array.from({ length: count }, async (_, n) => {
        const body = new Uint8Array(bytes).fill(n);
        const answer = await fetch(`${server.endpoint}/v1/segments/${n}`, { method: "PUT", headers, body });
        answered++;
        return { n, sum: ((await answer.json()) as { sum: number }).sum };
      }),
    );
    for (const deadline = Date.now() + 15_000; most < expected && Date.now() < deadline;) await sleep(50);
    await sleep(800);
    const waited = answered;
    const now = await fetch(`${server.endpoint}/v1/now`, { headers });
    release();
    const sums = await sent;
    await server.close();
    return { most, waited, status: now.status, sums };
  }

  test("take bounded memory, each is the one that was sent, and a question in between is answered", async () => {
    const { most, waited, status, sums } = await received(4 * MB, 20, 48 * MB);
    expect(most).toBe(48 * MB);
    expect({ waited, status }).toEqual({ waited: 0, status: 200 });
    expect(sums.every(({ n, sum }) => sum === n * 4 * MB)).toBe(true);
  });

  test("are all received at once where they are small", async () => {
    const { most, sums } = await received(MB / 2, 64, 32 * MB);
    expect(most).toBe(32 * MB);
    expect(sums).toHaveLength(64);
  });
});

describe("a site without a name server", () => {
  test("says so", async () => {
    const body = JSON.stringify({
      owner: "t",
      ttlSeconds: 5,
      answers: [{ site: "a", address: "192.0.2.1", weight: 100 }],
    });
    expect(await ask("PUT", "/v1/records/shop.test", { body })).toMatchObject({
      status: 409,
      body: { code: "no-name-server" },
    });
    expect(await ask("GET", "/v1/records/shop.test")).toMatchObject({
      status: 404,
      body: { code: "no-name-server" },
    });
    expect((await site.client.context()).nameServer).toBeUndefined();
    expect(await site.client.records()).toEqual([]);
  });
});

describe("an agent that cannot start", () => {
  const attempt = (changes: Partial<AgentOptions>) => {
    const stateDir = mkdtempSync(join(dir, "state-"));
    const ports = localPorts({ stateDir });
    const listen = { host: "127.0.0.1", port: 0 };
    return startAgent({ site: "cloud", stateDir, listen, token: "t".repeat(32), ports, ...changes }).then(
      async (agent) => {
        await agent.close();
        await clearSite(stateDir);
        return "started";
      },
      async (error: Error) => {
        await clearSite(stateDir);
        return error.message;
      },
    );
  };

  test.each([
    ["a short token", { token: "short" }, /the token has 5 characters, fewer than 16/],
    ["a token of two words", { token: "two words of some length" }, /not one word of printable ASCII/],
    [
      "no token file",
      { token: undefined, tokenFile: "/nowhere/token" },
      /\/nowhere\/token.*the token file cannot be read|the token file cannot be read.*\/nowhere\/token/s,
    ],
    ["no token at all", { token: undefined }, /given no token/],
    [
      "a network address without TLS",
      { listen: { host: "0.0.0.0", port: 0 } },
      /would send its token unencrypted.*certificate/s,
    ],
    [
      "a host name without TLS",
      { listen: { host: "example.org", port: 0 } },
      /would send its token unencrypted/,
    ],
    ["an odd name", { site: "Cloud 1" }, /site's name.*"Cloud 1"/],
    [
      "a certificate that is not there",
      { tls: { certFile: "/nowhere/cert", keyFile: "/nowhere/key" } },
      /certificate cannot be read/,
    ],
  ] as [string, Partial<AgentOptions>, RegExp][])("because of %s says why", async (_, changes, expected) => {
    const told = await attempt(changes);
    expect(told).toMatch(expected);
    expect(told).not.toContain("two words of some length");
  });

  test("because its port is taken says so, and leaves no lock behind", async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as AddressInfo;
    expect(await attempt({ listen: { host: "127.0.0.1", port } })).toMatch(
      new RegExp(`another process listens at 127.0.0.1:${port} already`),
    );
    await new Promise((resolve) => holder.close(resolve));
    expect(await attempt({ listen: { host: "127.0.0.1", port } })).toBe("started");
  });
});

test("with a certificate the agent speaks https on any address", async () => {
  const [keyFile, certFile] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      "-keyout",
      keyFile,
      "-out",
      certFile,
      ...subject,
    ],
    { stdio: "ignore" },
  );
  const stateDir = join(dir, "tls-state");
  const tokenFile = join(dir, "tls-token");
  writeFileSync(tokenFile, `${"t".repeat(32)}\n`);
  const agent = await startAgent({
    site: "cloud",
    stateDir,
    listen: { host: "0.0.0.0", port: 0 },
    tokenFile,
    tls: { certFile, keyFile },
    ports: localPorts({ stateDir }),
  });
  try {
    expect(agent.endpoint).toMatch(/^https:\/\/0\.0\.0\.0:\d+$/);
    const endpoint = agent.endpoint.replace("0.0.0.0", "127.0.0.1");
    const client = new SiteClient("cloud", { endpoint, tokenFile, caFile: certFile });
    expect((await client.context()).site).toBe("cloud");
    client.close();
    const plain = fetch(endpoint.replace("https", "http"));
    await expect(plain).rejects.toThrow();
  } finally {
    await agent.close();
    await clearSite(stateDir);
  }
});
