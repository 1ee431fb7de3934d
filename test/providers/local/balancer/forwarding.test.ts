import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";
import type { BalancerPool } from "../../../../lib/site/ports";
import { startApp, type App } from "../support/app";
import { memberOf, startBalancer, type TestBalancer } from "../support/balancer";
import { ask, rawClient } from "../support/client";

let site: TestBalancer;
let app: App;
let pool: BalancerPool;
let port: number;

beforeAll(async () => {
  site = await startBalancer();
  app = await startApp("one");
  pool = await site.pool("forward", [memberOf(app)]);
  port = pool.listen.port;
});
afterAll(async () => {
  await site.end();
  await app.close();
});

const GET = "GET /id HTTP/1.1\r\nHost: a\r\n";

/** Header names and values as the member got them. */
async function headersAtMember(lines: string, method = "GET"): Promise<string[]> {
  const client = await rawClient(port);
  client.send(`${method} /headers HTTP/1.1\r\nHost: shop.example.test\r\n${lines}Connection: close\r\n\r\n`);
  await client.closed;
  const body = client.text().split("\r\n\r\n")[1];
  return (JSON.parse(body) as { raw: string[] }).raw;
}

function valuesOf(raw: readonly string[], name: string): string[] {
  return raw.filter((_, index) => index % 2 === 1 && raw[index - 1].toLowerCase() === name);
}

describe("what a member gets", () => {
  test("the client's host and headers come through, in their own spelling", async () => {
    const raw = await headersAtMember("X-Strange-Case: Yes\r\n");
    expect(valuesOf(raw, "host")).toEqual(["shop.example.test"]);
    expect(raw).toContain("X-Strange-Case");
  });

  test("the client's address is added to X-Forwarded-For, behind those that were there", async () => {
    const raw = await headersAtMember("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.8\r\n");
    expect(valuesOf(raw, "x-forwarded-for")).toEqual(["192.0.2.7, 192.0.2.8, 127.0.0.1"]);
    expect(valuesOf(raw, "x-forwarded-proto")).toEqual(["http"]);
  });

  test("a protocol noted by a TLS terminator in front is left as it is", async () => {
    expect(valuesOf(await headersAtMember("X-Forwarded-Proto: https\r\n"), "x-forwarded-proto")).toEqual([
      "https",
    ]);
  });

  test("headers of the client's own connection stay behind, those it names in Connection too", async () => {
    const client = await rawClient(port);
    client.send(
      "GET /headers HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine, Host, Cookie\r\nX-Mine: 1\r\nCookie: a=b\r\n" +
        "TE: trailers\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\n\r\n",
    );
    await client.closed;
    const raw = (JSON.parse(client.text().split("\r\n\r\n")[1]) as { raw: string[] }).raw;
    for (const name of ["x-mine", "te", "keep-alive", "proxy-connection"])
      expect(valuesOf(raw, name)).toEqual([]);
    // A client must not be able to take away what the member relies on.
    expect(valuesOf(raw, "host")).toEqual(["a"]);
    expect(valuesOf(raw, "cookie")).toEqual(["a=b"]);
  });

  test("the member's own connection headers do not reach the client", async () => {
    const answer = await ask(port, "/hop", { headers: { connection: "keep-alive" } });
    expect(answer.headers["x-private"]).toBeUndefined();
    expect(answer.headers["x-public"]).toBe("1");
    expect(answer.headers.connection).toBe("keep-alive");
    expect(answer.body).toBe("hop");
  });
});

describe("bodies", () => {
  test.each(["POST", "PUT", "PATCH", "DELETE"])("a %s body of known length arrives whole", async (method) => {
    const body = randomBytes(300_000);
    const answer = await ask(port, "/digest", { method, body, headers: { "content-length": body.length } });
    expect(answer.json()).toMatchObject({
      bytes: 300_000,
      digest: createHash("sha256").update(body).digest("hex"),
    });
  });

  test("a chunked body arrives whole, and its trailers do no harm", async () => {
    const client = await rawClient(port);
    client.send(
      "POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n" +
        "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n",
    );
    await client.closed;
    expect(client.text()).toContain(createHash("sha256").update("hello world").digest("hex"));
  });

  test("an answer with trailers arrives", async () => {
    expect((await ask(port, "/trailers")).body).toBe("body");
  });

  test("HEAD has the headers and no body, and the connection goes on", async () => {
    const client = await rawClient(port);
    client.send("HEAD /id HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.expect(/content-length: 12\r\n[^]*\r\n\r\n$/i);
    client.send(`${GET}Connection: close\r\n\r\n`);
    await client.closed;
    expect(client.text().match(/"id":"one"/g)).toHaveLength(1);
  });

  test("204 has no body and no framing", async () => {
    const client = await rawClient(port);
    client.send("GET /no-content HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await client.closed;
    expect(client.text()).toMatch(/^HTTP\/1\.1 204 /);
    expect(client.text()).not.toMatch(/transfer-encoding|content-length/i);
  });

  test("an HTTP/1.0 client gets a body that ends with the connection", async () => {
    const client = await rawClient(port);
    client.send("GET /bytes?count=100000 HTTP/1.0\r\nHost: a\r\n\r\n");
    await client.closed;
    expect(client.text()).not.toMatch(/transfer-encoding/i);
    expect(client.text().split("\r\n\r\n")[1]).toHaveLength(100_000);
  });

  test("the head of an event stream does not wait for its first event", async () => {
    const client = await rawClient(port);
    client.send("GET /events?ms=1500 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await client.expect(/^HTTP\/1\.1 200 [^]*\r\n\r\n/, 1_300);
    expect(client.text()).not.toContain("data: one");
    await client.expect(/data: one/);
  });

  test("pipelined requests are answered in their order", async () => {
    const client = await rawClient(port);
    client.send(
      `GET /id?ms=80 HTTP/1.1\r\nHost: a\r\n\r\nGET /headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    await client.closed;
    expect(client.text()).toMatch(/\{"id":"one"\}[^]*"method":"GET"/);
  });
});

describe("100-continue", () => {
  test("a client that waits is told to go on by the member, and its body arrives", async () => {
    const client = await rawClient(port);
    client.send(
      "POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
    );
    await client.expect(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    client.send("hello");
    await client.closed;
    expect(client.text()).toContain('"bytes":5');
  });
});

describe("large streams", () => {
  const rssMegabytes = async () => (await site.balancer.health()).rssBytes / 1_000_000;

  test("a client that stops reading holds the member back, not the balancer's memory", async () => {
    const before = await rssMegabytes();
    const bytes = 400_000_000;
    const client = await rawClient(port);
    client.socket.removeAllListeners("data");
    let got = 0;
    client.send(`GET /bytes?count=${bytes}&length=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    client.socket.on("data", (chunk: Buffer) => (got += chunk.length));
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(got).toBeLessThan(bytes);
    expect((await rssMegabytes()) - before).toBeLessThan(40);
    client.socket.resume();
    await client.closed;
    expect(got).toBeGreaterThan(bytes);
    expect((await rssMegabytes()) - before).toBeLessThan(60);
  });

  test("an upload goes through as it comes", async () => {
    const chunk = randomBytes(1_000_000);
    const hash = createHash("sha256");
    const digest = await new Promise<string>((resolve, reject) => {
      const asked = request(
        { host: "127.0.0.1", port, path: "/digest", method: "PUT", agent: false },
        (answer) => {
          let text = "";
          answer.on("data", (part: Buffer) => (text += part.toString()));
          answer.on("end", () => resolve((JSON.parse(text) as { digest: string }).digest));
        },
      );
      asked.on("error", reject);
      let left = 60;
      const pump = () => {
        while (left > 0) {
          left -= 1;
          hash.update(chunk);
          if (!asked.write(chunk)) return void asked.once("drain", pump);
        }
        asked.end();
      };
      pump();
    });
    expect(digest).toBe(hash.digest("hex"));
  });

  test("an answer before the end of the upload reaches the client, and the connection stays good", async () => {
    const client = await rawClient(port);
    const body = "x".repeat(1_000_000);
    client.send(`POST /refuse-body HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
    await client.expect(/"refused":true/);
    client.send(body);
    client.send(`${GET}Connection: close\r\n\r\n`);
    await client.closed;
    expect(client.text()).toContain('{"id":"one"}');
  });
});

describe("broken connections", () => {
  test("a client that goes away ends its request at the member", async () => {
    const client = await rawClient(port);
    client.send("GET /id?ms=10000 HTTP/1.1\r\nHost: a\r\n\r\n");
    await site.until("forward", ({ traffic }) => traffic.inFlight === 1);
    const atMember = app.seen[app.seen.length - 1];
    const gone = new Promise<void>((resolve) => atMember.socket.on("close", () => resolve()));
    client.socket.destroy();
    await gone;
    await site.until(
      "forward",
      ({ traffic, members }) => traffic.inFlight === 0 && members[0].inFlight === 0,
    );
  });

  test("an answer that breaks off is seen to be broken, and counted", async () => {
    const { failedTotal } = (await site.view("forward")).traffic;
    await expect(ask(port, "/cut")).rejects.toThrow(/aborted|hang up/);
    expect((await site.view("forward")).traffic.failedTotal).toBe(failedTotal + 1);
  });

  test("a request that resets every member is given up, not sent for ever", async () => {
    const seen = app.seen.length;
    expect((await ask(port, "/reset")).status).toBe(502);
    expect(app.seen.length - seen).toBeLessThanOrEqual(3);
  });

  test("a member that upgrades without being asked is a member that failed", async () => {
    expect((await ask(port, "/rogue", { method: "POST", body: "x" })).status).toBe(502);
    expect((await ask(port, "/rogue")).status).toBe(502);
    await site.until(
      "forward",
      ({ traffic, members }) => traffic.inFlight === 0 && members[0].inFlight === 0,
    );
  });

  test("a request that is not idempotent is not sent twice", async () => {
    const seen = app.seen.length;
    expect((await ask(port, "/reset", { method: "POST", body: "buy" })).status).toBe(502);
    expect(app.seen.length - seen).toBe(1);
  });
});

describe("requests that mean two things are refused", () => {
  test.each([
    ["length and chunked", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["two lengths", "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"],
    ["a length with a sign", "Content-Length: +4\r\n\r\nabcd"],
    ["chunked that is not last", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"],
    ["a folded header", "X-A: 1\r\n folded: 2\r\nTransfer-Encoding : chunked\r\n\r\n"],
    ["a chunk size with rubbish", "Transfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n"],
    ["a bare line feed", "X-A: 1\nContent-Length: 4\n\nabcd"],
    ["two hosts", "Host: b\r\nContent-Length: 0\r\n\r\n"],
  ])("%s", async (_, rest) => {
    const seen = app.seen.length;
    const client = await rawClient(port);
    client.send(`POST /id HTTP/1.1\r\nHost: a\r\n${rest}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.expect(/^HTTP\/1\.1 (400|502|501)/);
    expect(app.seen.slice(seen).map((request) => request.url)).not.toContain("/smuggled");
    client.socket.destroy();
  });

  test("a request without a host is refused", async () => {
    const client = await rawClient(port);
    client.send("GET /id HTTP/1.1\r\n\r\n");
    await client.expect(/^HTTP\/1\.1 400 /);
    client.socket.destroy();
  });

  test("a tunnel to anywhere is refused", async () => {
    const client = await rawClient(port);
    client.send("CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n");
    await client.expect(/^HTTP\/1\.1 405 /);
    await client.closed;
  });
});

describe("upgrades", () => {
  const upgrade = (path: string, protocol = "websocket") =>
    `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;

  test("a WebSocket goes through both ways, and counts as a user while it is open", async () => {
    const client = await rawClient(port);
    client.send(upgrade("/chat"));
    await client.expect(/^HTTP\/1\.1 101 [^]*upgrade: websocket[^]*one:$/i);
    client.send("hello");
    await client.expect(/HELLO$/);
    const { traffic, members } = await site.view("forward");
    expect(traffic).toMatchObject({ inFlight: 1, sessions: 1, quietMs: 0 });
    expect(members[0].inFlight).toBe(1);
    client.socket.end();
    await client.closed;
    await site.until("forward", (view) => view.traffic.inFlight === 0 && view.traffic.sessions === 0);
  });

  test("a member that refuses the upgrade is heard, and the connection ends", async () => {
    const client = await rawClient(port);
    client.send(upgrade("/no-upgrade"));
    await client.closed;
    expect(client.text()).toMatch(/^HTTP\/1\.1 426 [^]*Connection: close\r\n\r\nno$/);
  });

  test("a client that offers HTTP/2 is answered in HTTP/1.1, body and all", async () => {
    const client = await rawClient(port);
    client.send(
      "POST /digest HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n" +
        "Content-Length: 5\r\n\r\nhel",
    );
    await new Promise((resolve) => setTimeout(resolve, 30));
    client.send("lo");
    await client.closed;
    expect(client.text()).toMatch(/^HTTP\/1\.1 200 /);
    expect(client.text()).toContain('"bytes":5');
  });
});
