import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { startLink, type Link, type LinkQuality } from "../../../providers/local/link";

let echo: Server;
let link: Link;
const sockets = new Set<Socket>();

async function lineTo(quality: LinkQuality): Promise<void> {
  link = await startLink({
    listen: { host: "127.0.0.1", port: 0 },
    target: { host: "127.0.0.1", port: (echo.address() as AddressInfo).port },
    ...quality,
  });
}

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  await link.close();
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((resolve) => echo.close(() => resolve()));
});

/** Sends it, reads it back to the end. */
async function thereAndBack(body: Buffer): Promise<{ hash: string; ms: number }> {
  const started = performance.now();
  const socket = connect({ port: link.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end(body);
  const hash = createHash("sha256");
  for await (const chunk of socket) hash.update(chunk as Buffer);
  return { hash: hash.digest("hex"), ms: performance.now() - started };
}

test("it is as fast as told in each direction, and loses nothing", async () => {
  await lineTo({ rateBitsPerSecond: 20_000_000, delayMs: 0 });
  const body = randomBytes(2_500_000);
  const { hash, ms } = await thereAndBack(body);
  expect(hash).toBe(createHash("sha256").update(body).digest("hex"));
  // 20 Mbit take 1 s; there and back overlap.
  expect(ms).toBeGreaterThan(930);
  expect(ms).toBeLessThan(2_500);
  expect(link.bytes).toEqual({ toTarget: body.length, fromTarget: body.length });
});

test("two connections share its rate", async () => {
  await lineTo({ rateBitsPerSecond: 40_000_000, delayMs: 0 });
  const body = randomBytes(1_500_000);
  const both = await Promise.all([thereAndBack(body), thereAndBack(body)]);
  for (const { ms } of both) expect(ms).toBeGreaterThan(450);
});

test("a byte takes the delay each way", async () => {
  await lineTo({ rateBitsPerSecond: 1_000_000_000, delayMs: 60 });
  const socket = connect(link.port, "127.0.0.1");
  await once(socket, "connect");
  const started = performance.now();
  socket.write("x");
  await once(socket, "data");
  const ms = performance.now() - started;
  expect(ms).toBeGreaterThan(118);
  expect(ms).toBeLessThan(600);
  socket.destroy();
});

test("delay does not lower the rate", async () => {
  await lineTo({ rateBitsPerSecond: 80_000_000, delayMs: 100 });
  const { ms } = await thereAndBack(randomBytes(4_000_000));
  expect(ms).toBeGreaterThan(550);
  expect(ms).toBeLessThan(2_500);
});

test("cut, nothing passes and nothing is closed; restored, it goes on where it was", async () => {
  await lineTo({ rateBitsPerSecond: 1_000_000_000, delayMs: 5 });
  const socket = connect(link.port, "127.0.0.1");
  let got = "";
  let closed = false;
  socket.on("data", (chunk: Buffer) => (got += chunk.toString()));
  socket.on("close", () => (closed = true));
  socket.write("before ");
  await once(socket, "data");
  link.set({ cut: true });
  socket.write("during");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([got, closed]).toEqual(["before ", false]);
  link.set({ cut: false });
  await once(socket, "data");
  expect(got).toBe("before during");
  socket.destroy();
});

test("another rate holds for what is under way", async () => {
  await lineTo({ rateBitsPerSecond: 1_000_000, delayMs: 0 });
  const running = thereAndBack(randomBytes(1_000_000));
  await new Promise((resolve) => setTimeout(resolve, 200));
  link.set({ rateBitsPerSecond: 1_000_000_000 });
  expect((await running).ms).toBeLessThan(4_000);
});

test("a target that is not there ends the connection", async () => {
  await lineTo({ rateBitsPerSecond: 1_000_000, delayMs: 1 });
  await new Promise<void>((resolve) => echo.close(() => resolve()));
  const socket = connect(link.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "close");
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
});

test("one side that breaks off breaks the other", async () => {
  await lineTo({ rateBitsPerSecond: 1_000_000_000, delayMs: 1 });
  const client = connect(link.port, "127.0.0.1");
  client.on("error", () => undefined);
  client.write("x");
  await once(client, "data");
  for (const socket of sockets) socket.resetAndDestroy();
  await once(client, "close");
});

test("a slow reader holds the sender back", async () => {
  await lineTo({ rateBitsPerSecond: 8_000_000_000, delayMs: 0 });
  const socket = connect(link.port, "127.0.0.1");
  socket.pause();
  const chunk = Buffer.alloc(1_000_000);
  let sent = 0;
  for (const end = Date.now() + 700; Date.now() < end;) {
    if (socket.write(chunk)) sent += chunk.length;
    else {
      sent += chunk.length;
      const drained = await Promise.race([
        once(socket, "drain").then(() => true),
        new Promise((resolve) => setTimeout(() => resolve(false), 300)),
      ]);
      if (drained !== true) break;
    }
  }
  expect(sent).toBeLessThan(60_000_000);
  socket.destroy();
});
