import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { AbortedError } from "../../../../lib/errors";
import { SiteClient, SiteDirectory, SiteError } from "../../../../lib/site/client";
import { localhostCertificate } from "../../../../providers/terraform/plugin/serve/certificate";

/** Faults only: the real agent is used everywhere else. */
type Behave = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const TOKEN = "correct-horse-battery";
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "spillway-client-"));
const tokenFile = path.join(folder, "token");
const servers: http.Server[] = [];
const clients: SiteClient[] = [];

async function listen(behave: Behave, port = 0): Promise<number> {
  const server = http.createServer(behave);
  servers.push(server);
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(port, "127.0.0.1", resolve),
  );
  return (server.address() as AddressInfo).port;
}

function client(port: number, options: { timeoutMs?: number; retryBudgetMs?: number } = {}): SiteClient {
  const made = new SiteClient(
    "cloud",
    { endpoint: `http://127.0.0.1:${port}`, tokenFile },
    { retryBudgetMs: 300, ...options },
  );
  clients.push(made);
  return made;
}

async function failure(promise: Promise<unknown>): Promise<SiteError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SiteError);
  expect(String((error as SiteError).message)).not.toContain(TOKEN);
  return error as SiteError;
}

const health = JSON.stringify({ site: "cloud", version: "1", uptimeMs: 1 });

beforeEach(() => fs.writeFileSync(tokenFile, `${TOKEN}\n`));
afterEach(() => {
  for (const one of clients.splice(0)) one.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

test("a call carries the token, and a token that was changed is taken up at once", async () => {
  const seen: (string | undefined)[] = [];
  let right = TOKEN;
  const port = await listen((request, response) => {
    seen.push(request.headers.authorization);
    if (request.headers.authorization === `Bearer ${right}`)
      return response.end(JSON.stringify({ events: [], last: 0 }));
    response.statusCode = 401;
    response.end(JSON.stringify({ code: "unauthorized", place: "-", problem: "-", mend: "-" }));
  });
  const site = client(port);
  await site.events();
  right = "a-new-one";
  fs.writeFileSync(tokenFile, right);
  await site.events();
  expect(seen).toEqual([`Bearer ${TOKEN}`, `Bearer ${TOKEN}`, "Bearer a-new-one"]);
});

test("health needs no token and sends none", async () => {
  const seen: (string | undefined)[] = [];
  const port = await listen((request, response) => {
    seen.push(request.headers.authorization);
    response.end(health);
  });
  fs.rmSync(tokenFile);
  expect((await client(port).health()).site).toBe("cloud");
  expect(seen).toEqual([undefined]);
});

test("an agent that is down is named with its endpoint and with what to start", async () => {
  const port = await listen(() => undefined);
  servers.pop()?.close();
  const error = await failure(client(port, { retryBudgetMs: 0 }).context());
  expect(error.code).toBe("unreachable");
  expect(error.isSilence).toBe(true);
  expect(error.report.problem).toBe(
    `the agent of site "cloud" cannot be reached at http://127.0.0.1:${port}: nothing listens there`,
  );
  expect(error.report.mend).toMatch(/`spillway agent`.*`spillway doctor`/);
});

test("an agent that is being restarted is waited for", async () => {
  const port = await listen(() => undefined);
  const first = servers.pop();
  await new Promise((resolve) => first?.close(resolve));
  const answer = client(port, { retryBudgetMs: 5_000 }).health();
  await new Promise((resolve) => setTimeout(resolve, 400));
  await listen((_, response) => response.end(health), port);
  expect((await answer).site).toBe("cloud");
});

test("a connection that breaks in mid-answer is tried again", async () => {
  let calls = 0;
  const port = await listen((request, response) => {
    calls += 1;
    if (calls === 1) request.socket.destroy();
    else response.end(health);
  });
  expect((await client(port, { retryBudgetMs: 2_000 }).health()).site).toBe("cloud");
  expect(calls).toBe(2);
});

test("408, 502, 503 and 504 are tried again, 500 is not", async () => {
  const statuses = [408, 502, 503, 504, 500];
  let calls = 0;
  const port = await listen((_, response) => {
    response.statusCode = statuses[calls++] ?? 200;
    response.end(
      JSON.stringify({ code: "internal", place: "the store", problem: "it broke", mend: "Look." }),
    );
  });
  const error = await failure(client(port, { retryBudgetMs: 5_000 }).context());
  expect(calls).toBe(5);
  expect(error.code).toBe("internal");
  expect(error.report).toMatchObject({ place: "site cloud, the store", problem: "it broke", mend: "Look." });
});

test("an agent that takes a request and does not answer is slow, not down, and is asked once", async () => {
  let calls = 0;
  const port = await listen(() => void (calls += 1));
  const error = await failure(client(port, { timeoutMs: 150, retryBudgetMs: 5_000 }).context());
  expect(error.code).toBe("slow");
  expect(error.report.problem).toBe(
    'the agent of site "cloud" took GET /v1/context but did not answer it within 150 ms',
  );
  expect(calls).toBe(1);
});

test("a wrong token is an error of its own that names where the token came from", async () => {
  const port = await listen((_, response) => {
    response.statusCode = 401;
    response.end(JSON.stringify({ code: "unauthorized", place: "-", problem: "-", mend: "-" }));
  });
  const error = await failure(client(port).context());
  expect(error.code).toBe("unauthorized");
  expect(error.report.problem).toBe(`the agent of site "cloud" refused the token from file ${tokenFile}`);
});

test("a token file that is missing, empty or not one line is refused before anything is sent", async () => {
  let calls = 0;
  const port = await listen((_, response) => {
    calls += 1;
    response.end(health);
  });
  fs.rmSync(tokenFile);
  expect((await failure(client(port).context())).report.problem).toMatch(/cannot be read: .*ENOENT/);
  fs.writeFileSync(tokenFile, " \n");
  expect((await failure(client(port).context())).report.problem).toMatch(/is empty$/);
  fs.writeFileSync(tokenFile, "one\ntwo\n");
  expect((await failure(client(port).context())).report.problem).toMatch(/not one line/);
  expect(calls).toBe(0);
});

test("without a file the site's own variable comes before the common one", async () => {
  const seen: (string | undefined)[] = [];
  const port = await listen((request, response) => {
    seen.push(request.headers.authorization);
    response.end(JSON.stringify({ events: [], last: 0 }));
  });
  const bare = new SiteClient("eu-west", { endpoint: `http://127.0.0.1:${port}` }, { retryBudgetMs: 0 });
  clients.push(bare);
  expect((await failure(bare.events())).report.problem).toBe(
    'there is no token for site "eu-west": SPILLWAY_TOKEN_EU_WEST and SPILLWAY_TOKEN are not set',
  );
  process.env["SPILLWAY_TOKEN"] = "common";
  try {
    await bare.events();
    process.env["SPILLWAY_TOKEN_EU_WEST"] = "own";
    await bare.events();
  } finally {
    delete process.env["SPILLWAY_TOKEN"];
    delete process.env["SPILLWAY_TOKEN_EU_WEST"];
  }
  expect(seen).toEqual(["Bearer common", "Bearer own"]);
});

test("something else that listens on the port is told apart from an agent", async () => {
  const port = await listen((_, response) => response.end("<html>hello"));
  expect((await failure(client(port).context())).code).toBe("not-an-agent");
  const other = await listen((_, response) => {
    response.statusCode = 404;
    response.end('{"message":"no"}');
  });
  expect((await failure(client(other).context())).report.problem).toContain("GET /v1/context got status 404");
});

test("what is not there is undefined, and deleting it is no error", async () => {
  const port = await listen((_, response) => {
    response.statusCode = 404;
    response.end(JSON.stringify({ code: "not-found", place: "-", problem: "-", mend: "-" }));
  });
  const site = client(port);
  expect(await site.pool("shop")).toBeUndefined();
  expect(await site.record("shop.example.test")).toBeUndefined();
  await site.deleteImage("sha256:00");
  await site.deleteRecord("shop.example.test", "me");
});

test("an abort ends a call and a wait between two tries at once", async () => {
  const port = await listen(() => undefined);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  await expect(client(port).context({ signal: stop.signal })).rejects.toBeInstanceOf(AbortedError);
  const again = new AbortController();
  setTimeout(() => again.abort(), 150);
  const started = Date.now();
  await expect(client(1, { retryBudgetMs: 60_000 }).health({ signal: again.signal })).rejects.toBeInstanceOf(
    AbortedError,
  );
  expect(Date.now() - started).toBeLessThan(2_000);
});

test("a token is never sent in the clear over a network", () => {
  expect(() => new SiteClient("cloud", { endpoint: "http://10.0.0.1:7501" })).toThrow(/unencrypted/);
  expect(() => new SiteClient("cloud", { endpoint: "http://localhost.example.org" })).toThrow(/unencrypted/);
  expect(() => new SiteClient("cloud", { endpoint: "10.0.0.1:7501" })).toThrow(
    /not an http:\/\/ or https:\/\/ address/,
  );
  expect(() => new SiteClient("cloud", { endpoint: "http://127.0.2.1:7501" })).not.toThrow();
});

test("plain http where tls is expected is told as such", async () => {
  const port = await listen((_, response) => response.end(health));
  const tls = new SiteClient(
    "cloud",
    { endpoint: `https://127.0.0.1:${port}`, tokenFile },
    { retryBudgetMs: 200 },
  );
  clients.push(tls);
  expect((await failure(tls.health())).code).toBe("not-an-agent");
});

test("an agent with a certificate of one's own authority is trusted by that authority's file alone", async () => {
  const { pem, keyPem } = localhostCertificate();
  const server = https.createServer({ cert: pem, key: keyPem }, (_, response) => response.end(health));
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const endpoint = `https://localhost:${(server.address() as AddressInfo).port}`;
  const caFile = path.join(folder, "ca.pem");
  fs.writeFileSync(caFile, pem);
  const trusting = new SiteClient("cloud", { endpoint, tokenFile, caFile }, { retryBudgetMs: 0 });
  const wary = new SiteClient("cloud", { endpoint, tokenFile }, { retryBudgetMs: 0 });
  const lost = new SiteClient(
    "cloud",
    { endpoint, tokenFile, caFile: `${caFile}.gone` },
    { retryBudgetMs: 0 },
  );
  clients.push(trusting, wary, lost);
  try {
    expect((await trusting.health()).site).toBe("cloud");
    expect((await failure(wary.health())).report.problem).toMatch(
      /is not the agent of site "cloud": .*certificate/,
    );
    await expect(lost.health()).rejects.toThrow(
      /the authority file ".*ca\.pem\.gone" of site "cloud" cannot be read/,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("an unknown site is refused with the names that are known", () => {
  const sites = new SiteDirectory({
    onprem: { endpoint: "http://127.0.0.1:1" },
    cloud: { endpoint: "http://127.0.0.1:2" },
  });
  expect(sites.get("cloud")).toBe(sites.get("cloud"));
  expect(() => sites.get("clout")).toThrow(/no site "clout" is configured; known sites: "cloud", "onprem"/);
  expect(() => sites.get("constructor")).toThrow(/no site "constructor"/);
  expect(() => new SiteDirectory({}).get("cloud")).toThrow(/known sites: none/);
});
