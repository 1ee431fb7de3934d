import { startApp, type App } from "../support/app";
import { memberOf, startBalancer, type TestBalancer } from "../support/balancer";
import { rawClient } from "../support/client";

let site: TestBalancer;
let app: App;
let port: number;

beforeAll(async () => {
  site = await startBalancer();
  app = await startApp("one");
  port = (await site.pool("slow", [memberOf(app)])).listen.port;
});
afterAll(async () => {
  await site.end();
  await app.close();
});

test("a client that takes for ever over its headers is cut off, and never seen by a member", async () => {
  const client = await rawClient(port);
  client.send("GET /id HTTP/1.1\r\nHost: a\r\n");
  const drip = setInterval(() => client.send("X-Drip: 1\r\n"), 500);
  const started = Date.now();
  await client.closed;
  clearInterval(drip);
  expect(Date.now() - started).toBeLessThan(20_000);
  expect(app.seen).toHaveLength(0);
}, 30_000);

test("a client that owes a body and does not send it is cut off after a minute; one whose member thinks longer is not", async () => {
  const thinking = await rawClient(port);
  thinking.send("GET /id?ms=65000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const owing = await rawClient(port);
  owing.send("POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  const started = Date.now();
  await owing.closed;
  expect(Date.now() - started).toBeGreaterThan(55_000);
  await thinking.closed;
  expect(thinking.text()).toContain('{"id":"one"}');
}, 90_000);
