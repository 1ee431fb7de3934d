import { createSocket } from "node:dgram";
import { promises as dns } from "node:dns";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { decode, encode, type DecodedPacket } from "dns-packet";
import type { RecordSpec } from "../../../../lib/site/api";
import { SpillwayError } from "../../../../lib/errors";
import { LocalNameServer } from "../../../../providers/local/nameserver";
import { freePort, temporaryFolder } from "../support/balancer";

let stateDir: string;
let server: LocalNameServer;

beforeEach(async () => {
  stateDir = temporaryFolder();
  server = new LocalNameServer({ stateDir, address: "127.0.0.1", port: 0 });
  await server.start();
});
afterEach(async () => {
  await server.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

const spec = (weights: Record<string, number>, ttlSeconds = 30): RecordSpec => ({
  owner: "test",
  ttlSeconds,
  answers: Object.entries(weights).map(([address, weight]) => ({ site: `site-${address}`, address, weight })),
});

function resolver(endpoint = server.endpoint): dns.Resolver {
  const made = new dns.Resolver({ timeout: 1_000, tries: 1 });
  made.setServers([endpoint]);
  return made;
}

const portOf = (endpoint: string) => Number(endpoint.split(":").at(-1));

async function udp(message: Buffer, port = portOf(server.endpoint)): Promise<DecodedPacket> {
  const socket = createSocket("udp4");
  try {
    socket.send(message, port, "127.0.0.1");
    const [answer] = (await once(socket, "message", { signal: AbortSignal.timeout(2_000) })) as [Buffer];
    return decode(answer);
  } finally {
    socket.close();
  }
}

const query = (name: string, id = 1) => encode({ type: "query", id, questions: [{ type: "A", name }] });

async function refusal(work: Promise<unknown>): Promise<SpillwayError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SpillwayError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error;
}

describe("answers", () => {
  test("a system's resolver gets them by weight, and hears of a change at once", async () => {
    const shop = resolver();
    await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    expect(await shop.resolve4("shop.example.test", { ttl: true })).toEqual([
      { address: "127.0.1.1", ttl: 30 },
    ]);
    await server.put("shop.example.test", spec({ "127.0.1.1": 50, "127.0.2.1": 50 }));
    const seen = new Set<string>();
    for (let index = 0; index < 60; index += 1) seen.add((await shop.resolve4("shop.example.test"))[0]);
    expect(seen).toEqual(new Set(["127.0.1.1", "127.0.2.1"]));
    await server.put("shop.example.test", spec({ "127.0.2.1": 100 }));
    for (let index = 0; index < 30; index += 1)
      expect(await shop.resolve4("shop.example.test")).toEqual(["127.0.2.1"]);
    await server.remove("shop.example.test");
    await expect(shop.resolve4("shop.example.test")).rejects.toThrow(/EREFUSED/);
  });

  test("IPv6 and aliases resolve too", async () => {
    await server.put("six.example.test", spec({ "2001:db8::7": 100 }));
    await server.put("www.alias.test", spec({ "lb.cloud.test": 100 }));
    expect(await resolver().resolve6("six.example.test")).toEqual(["2001:db8::7"]);
    expect(await resolver().resolveCname("www.alias.test")).toEqual(["lb.cloud.test"]);
    await expect(resolver().resolve4("six.example.test")).rejects.toThrow(/ENODATA/);
  });
});

describe("TCP", () => {
  test("takes many queries on one connection, cut up as they come, and answers in order", async () => {
    await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    const socket = connect(portOf(server.endpoint), "127.0.0.1");
    const frames = Buffer.concat(
      Array.from({ length: 50 }, (_, id) => {
        const message = query("shop.example.test", id);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(message.length);
        return Buffer.concat([length, message]);
      }),
    );
    for (let offset = 0; offset < frames.length; offset += 100) {
      socket.write(frames.subarray(offset, offset + 100));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    socket.end();
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const all = Buffer.concat(chunks);
    const ids: number[] = [];
    for (let offset = 0; offset < all.length; offset += 2 + all.readUInt16BE(offset))
      ids.push(all.readUInt16BE(offset + 2));
    expect(ids).toEqual(Array.from({ length: 50 }, (_, id) => id));
  });

  test("whoever speaks something else is cut off, and others are not", async () => {
    await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    const stranger = connect(portOf(server.endpoint), "127.0.0.1");
    stranger.on("error", () => undefined);
    stranger.write(Buffer.from([0, 3, 1, 2, 3]));
    await once(stranger, "close");
    expect((await udp(query("shop.example.test"))).answers).toHaveLength(1);
  });
});

describe("rubbish", () => {
  test("thousands of broken packets do not stop it", async () => {
    await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    const socket = createSocket("udp4");
    const good = query("shop.example.test");
    for (let round = 0; round < 3_000; round += 1) {
      const bytes = Buffer.from(good);
      for (let flips = round % 7; flips >= 0; flips -= 1)
        bytes[(round * 31 + flips * 17) % bytes.length] = (round * 7 + flips) & 255;
      socket.send(bytes.subarray(0, round % (bytes.length + 1)), portOf(server.endpoint), "127.0.0.1");
      if (round % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.close();
    expect((await udp(good)).answers).toHaveLength(1);
  });
});

describe("records", () => {
  test("the serial grows with each change, and the same again is none", async () => {
    const first = await server.put("Shop.Example.Test.", spec({ "127.0.1.1": 100 }));
    expect(first).toMatchObject({ name: "shop.example.test", spec: { owner: "test" } });
    expect(Math.abs(Date.now() - first.changedAt)).toBeLessThan(2_000);
    expect(await server.put("shop.example.test", spec({ "127.0.1.1": 100 }))).toEqual(first);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const second = await server.put("shop.example.test", spec({ "127.0.1.1": 60, "127.0.2.1": 40 }));
    expect(second.serial).toBeGreaterThan(first.serial);
    expect(second.changedAt).toBeGreaterThan(first.changedAt);
    await server.remove("shop.example.test");
    await server.remove("shop.example.test");
    expect(await server.get("shop.example.test")).toBeUndefined();
    const third = await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    expect(third.serial).toBeGreaterThan(second.serial);
    expect(await server.list()).toEqual([third]);
  });

  test("another owner of the same answers is no change of the answers", async () => {
    const first = await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const second = await server.put("shop.example.test", { ...spec({ "127.0.1.1": 100 }), owner: "other" });
    expect(second.changedAt).toBe(first.changedAt);
    expect(second.spec.owner).toBe("other");
  });

  test("all that is wrong with a record is said at once, and nothing changes", async () => {
    const before = await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    const { report, cause } = await refusal(
      server.put("shop.example.test", {
        owner: "test",
        ttlSeconds: -1,
        answers: [
          { site: "a", address: "127.0.1.1", weight: 0 },
          { site: "b", address: "lb.cloud.test", weight: 50 },
          { site: "c", address: "127.0.1", weight: 50 },
        ],
      }),
    );
    expect(cause).toMatchObject({ code: "invalid" });
    for (const part of [/ttlSeconds.*-1/, /weight of a.*0/, /127\.0\.1`/, /A and CNAME/])
      expect(report.problem).toMatch(part);
    expect(await server.get("shop.example.test")).toEqual(before);
    expect((await refusal(server.put("no good", spec({ "127.0.1.1": 1 })))).report.problem).toMatch(
      /no good/,
    );
    expect(
      (await refusal(server.put("shop.example.test", { ...spec({}), answers: [] }))).report.problem,
    ).toMatch(/at least one/);
  });
});

describe("its process", () => {
  test("killed, it is started again by the next question, on its port, with its records and serial", async () => {
    const { endpoint } = server;
    const before = await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    const { pid } = await server.health();
    process.kill(pid, "SIGKILL");
    expect(await server.get("shop.example.test")).toEqual(before);
    expect((await server.health()).pid).not.toBe(pid);
    expect(await resolver(endpoint).resolve4("shop.example.test")).toEqual(["127.0.1.1"]);
    const other = new LocalNameServer({ stateDir, address: "127.0.0.1", port: 0 });
    await other.start();
    expect(other.endpoint).toBe(endpoint);
  });

  test("when it hangs it is replaced within 5 s of the first look", async () => {
    const { endpoint } = server;
    const before = await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    const { pid } = await server.health();
    process.kill(pid, "SIGSTOP");
    const stopped = Date.now();
    expect(await server.list()).toEqual([before]);
    expect(await resolver(endpoint).resolve4("shop.example.test")).toEqual(["127.0.1.1"]);
    expect(Date.now() - stopped).toBeLessThan(5_500);
    expect((await server.health()).pid).not.toBe(pid);
  }, 20_000);

  test("another agent adopts it; with another port it moves", async () => {
    await server.put("shop.example.test", spec({ "127.0.1.1": 100 }));
    const port = await freePort();
    const other = new LocalNameServer({ stateDir, address: "127.0.0.1", port });
    await other.start();
    expect((await other.health()).pid).toBe((await server.health()).pid);
    expect(other.endpoint).toBe(`127.0.0.1:${port}`);
    expect(await resolver(other.endpoint).resolve4("shop.example.test")).toEqual(["127.0.1.1"]);
    await expect(resolver(server.endpoint).resolve4("shop.example.test")).rejects.toThrow(
      /ECONNREFUSED|ETIMEOUT/,
    );
  });

  test("a port that is taken, over UDP or TCP, is refused with its code", async () => {
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
    const { port } = tcp.address() as { port: number };
    const dir = temporaryFolder();
    const other = new LocalNameServer({ stateDir: dir, address: "127.0.0.1", port });
    const { cause, report } = await refusal(other.start());
    expect(cause).toMatchObject({ code: "port-taken" });
    expect(report.place).toBe(`127.0.0.1:${port}`);
    await new Promise<void>((resolve) => tcp.close(() => resolve()));
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(port, "127.0.0.1", resolve));
    expect((await refusal(other.start())).cause).toMatchObject({ code: "port-taken" });
    await new Promise<void>((resolve) => socket.close(resolve));
    await other.start();
    expect(other.endpoint).toBe(`127.0.0.1:${port}`);
    await other.stop();
    rmSync(dir, { recursive: true });
  });
});
