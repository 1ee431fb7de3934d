import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createHash, randomBytes } from "node:crypto";
import type { BalancerPool } from "../../../../lib/site/ports";
import { freePort, memberOf, startBalancer, type TestBalancer } from "../support/balancer";
import { rawClient } from "../support/client";

interface Echo {
  readonly id: string;
  readonly port: number;
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

/** Speaks first, then echoes. */
async function startEcho(id: string, port = 0): Promise<Echo> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.write(`${id}:`);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    id,
    port: (server.address() as AddressInfo).port,
    sockets,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

let site: TestBalancer;
let one: Echo;
let two: Echo;

beforeAll(async () => {
  site = await startBalancer();
  [one, two] = [await startEcho("one"), await startEcho("two")];
});
afterAll(async () => {
  await site.end();
  await Promise.all([one.close(), two.close()]);
});

async function tcpPool(
  name: string,
  members: { id: string; port: number }[],
  extra: Partial<BalancerPool> = {},
) {
  const monitor = {
    type: "tcp",
    path: "/",
    expectStatus: 200,
    intervalMs: 100,
    timeoutMs: 500,
    rise: 1,
    fall: 2,
  } as const;
  const listen = { address: "127.0.0.1", port: await freePort(), mode: "tcp" } as const;
  return site.pool(
    name,
    members.map((member) => memberOf(member)),
    { monitor, listen, ...extra },
  );
}

test("bytes go both ways untouched, and the server may speak first", async () => {
  const { listen } = await tcpPool("echo", [one]);
  const client = await rawClient(listen.port);
  await client.expect(/^one:$/);
  client.send("\x00\xffnot http\r\n\r\n");
  await client.expect(/^one:\x00\xffnot http\r\n\r\n$/);
  client.socket.end();
  await client.closed;
});

test("a client that has said all still hears the rest", async () => {
  const { listen } = await tcpPool("half", [one]);
  const body = randomBytes(5_000_000);
  const client = await rawClient(listen.port);
  const hash = createHash("sha256");
  let bytes = 0;
  client.socket.removeAllListeners("data");
  client.socket.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  client.socket.end(body);
  await client.closed;
  expect(bytes).toBe(body.length + 4);
  expect(hash.digest("hex")).toBe(createHash("sha256").update("one:").update(body).digest("hex"));
});

test("connections go to the member with the fewest", async () => {
  const { listen } = await tcpPool("least", [one, two]);
  const clients = await Promise.all(Array.from({ length: 10 }, () => rawClient(listen.port)));
  await Promise.all(clients.map((client) => client.expect(/^(one|two):$/)));
  const { members } = await site.view("least");
  expect(members.map(({ inFlight }) => inFlight)).toEqual([5, 5]);
  clients.forEach((client) => client.socket.destroy());
});

test("a connection that only looks whether somebody is there is no user; one that speaks, or stays, is", async () => {
  const { listen } = await tcpPool("count", [one]);
  const probe = await rawClient(listen.port);
  probe.socket.end();
  await probe.closed;
  expect((await site.view("count")).traffic).toMatchObject({ sessions: 0, requestsTotal: 0 });
  const speaker = await rawClient(listen.port);
  speaker.send("hello");
  await site.until("count", ({ traffic }) => traffic.sessions === 1 && traffic.requestsTotal === 1);
  const listener = await rawClient(listen.port);
  await site.until("count", ({ traffic }) => traffic.sessions === 2);
  expect((await site.view("count")).traffic.quietMs).toBe(0);
  speaker.socket.destroy();
  listener.socket.destroy();
  await site.until("count", ({ traffic }) => traffic.sessions === 0 && traffic.inFlight === 0);
});

test("a member that refuses is passed over", async () => {
  const { listen, ...pool } = await tcpPool("refuse", [one, two], {
    monitor: {
      type: "tcp",
      path: "/",
      expectStatus: 200,
      intervalMs: 60_000,
      timeoutMs: 500,
      rise: 1,
      fall: 5,
    },
  });
  expect(pool.members).toHaveLength(2);
  const { port } = two;
  await two.close();
  const clients = await Promise.all(Array.from({ length: 6 }, () => rawClient(listen.port)));
  for (const client of clients) await client.expect(/^one:$/);
  clients.forEach((client) => client.socket.destroy());
  two = await startEcho("two", port);
});

test("a member that dies ends its connections, and only those", async () => {
  const third = await startEcho("third");
  const { listen } = await tcpPool("die", [one, third]);
  const clients = await Promise.all([rawClient(listen.port), rawClient(listen.port)]);
  await Promise.all(clients.map((client) => client.expect(/:$/)));
  await third.close();
  const dead = clients.find((client) => client.text() === "third:");
  const alive = clients.find((client) => client.text() === "one:");
  await dead?.closed;
  alive?.send("still here");
  await alive?.expect(/still here$/);
  alive?.socket.destroy();
});

test("quiesce leaves raw connections alone until they end", async () => {
  const pool = await tcpPool("quiesce", [one]);
  const client = await rawClient(pool.listen.port);
  client.send("a");
  await client.expect(/a$/);
  await site.put({ ...pool, quiesce: { share: 1, forMs: 0, idleCloseMs: 0 } });
  await new Promise((resolve) => setTimeout(resolve, 250));
  client.send("b");
  await client.expect(/ab$/);
  client.socket.end();
  await client.closed;
});

test("a connection that finds no member waits for one", async () => {
  const port = await freePort();
  const pool = await tcpPool("wait", []);
  await site.put({ ...pool, members: [memberOf({ id: "late", port })] });
  const client = await rawClient(pool.listen.port);
  client.send("early");
  await site.until("wait", ({ traffic }) => traffic.queued === 1);
  const late = await startEcho("late", port);
  await client.expect(/^late:early$/);
  client.socket.destroy();
  await late.close();
});
