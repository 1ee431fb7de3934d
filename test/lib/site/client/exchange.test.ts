import * as fs from "node:fs";
import * as http from "node:http";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { AbortedError } from "../../../../lib/errors";
import { Pace } from "../../../../lib/image/bandwidth";
import { SiteClient, type TransportOptions } from "../../../../lib/site/client";
import { exchange, type ExchangeOptions } from "../../../../lib/site/client/exchange";
import { findQueue, type SendQueue, SendQueues } from "../../../../lib/site/client/send-queue";
import { sleep } from "../../../../lib/wait";
import { fetchedIndex } from "../../image/support/fetched-index";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "spillway-exchange-"));
const tokenFile = path.join(folder, "token");
const closing: (() => void)[] = [];
const id = "a".repeat(64);
const answer = JSON.stringify({ presentBytes: 1 });

beforeAll(() => fs.writeFileSync(tokenFile, "correct-horse-battery\n"));
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

async function listen(server: http.Server | Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function site(behave: http.RequestListener): Promise<number> {
  const server = http.createServer(behave);
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return listen(server);
}

function client(port: number, options: TransportOptions = {}): SiteClient {
  const endpoint = `http://127.0.0.1:${port}`;
  const made = new SiteClient("cloud", { endpoint, tokenFile }, { retryBudgetMs: 0, ...options });
  closing.push(() => made.close());
  return made;
}

const takeAll: http.RequestListener = (request, response) => {
  request.resume().on("end", () => response.end(answer));
};

describe("a paced body", () => {
  test("of many requests takes its turns from one pace, and all of them move", async () => {
    const arrived = new Map<string, number>();
    const port = await site((request, response) => {
      request.on("data", (part: Buffer) =>
        arrived.set(request.url ?? "", (arrived.get(request.url ?? "") ?? 0) + part.length),
      );
      request.on("end", () => response.end(answer));
    });
    const target = client(port);
    const pace = new Pace(8 * 1_000_000);
    const started = performance.now();
    const sending = Promise.all(
      Array.from({ length: 16 }, (_, n) =>
        target.putSegment(id, `${n}`.padStart(32, "0"), Buffer.alloc(100_000), { pace }),
      ),
    );
    await sleep(800);
    expect(arrived.size).toBe(16);
    const half = [...arrived.values()];
    expect(half.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1_200_000);
    expect(Math.min(...half)).toBeGreaterThan(Math.max(...half) / 4);
    await sending;
    expect(performance.now() - started).toBeGreaterThan(1_300);
  });

  test("waits for hours without a connection, and is stopped at once", async () => {
    let connections = 0;
    const port = await site((_, response) => response.end(answer));
    const server = createServer(() => connections++);
    closing.push(() => server.close());
    const paused = new Pace(0);
    const stop = new AbortController();
    const target = client(port, { stallMs: 100 });
    const sending = target.putSegment(id, "0", Buffer.alloc(1_000), { pace: paused, signal: stop.signal });
    setTimeout(() => stop.abort(), 400);
    await expect(sending).rejects.toBeInstanceOf(AbortedError);
    expect(connections).toBe(0);
  });

  test("that is slower than the limit on silence is no silence", async () => {
    const port = await site(takeAll);
    const pace = new Pace(8 * 4_000);
    const target = client(port, { stallMs: 120 });
    expect(await target.putSegment(id, "0", Buffer.alloc(4_000), { pace })).toEqual({ presentBytes: 1 });
  });
});

describe("a link that is cut", () => {
  const cut = { bytes: 500, isHeldBack: false };

  async function failed(port: number, queue: SendQueue, changes: Partial<ExchangeOptions> = {}) {
    const agent = new http.Agent({ keepAlive: true });
    closing.push(() => agent.destroy());
    const started = performance.now();
    const error: unknown = await exchange({
      ...{ url: new URL(`http://127.0.0.1:${port}/`), method: "PUT", headers: {}, agent },
      ...{ timeoutMs: 2_000, connectMs: 1_000, stallMs: 400, maxAnswerBytes: 1_000 },
      queues: { of: () => queue },
      ...changes,
    }).catch((thrown: unknown) => thrown);
    return { error, afterMs: performance.now() - started };
  }

  test.each([
    ["none of a request is acknowledged", undefined],
    ["the end of a body is not acknowledged", Buffer.alloc(1_000)],
    ["the body does not even leave this machine", Buffer.alloc(30_000_000)],
  ])("is given up when %s for so long", async (_, body) => {
    const port = await site(() => undefined);
    const { error, afterMs } = await failed(port, cut, { body });
    expect(error).toMatchObject({ kind: "stalled", connected: true });
    expect(afterMs).toBeLessThan(1_200);
  });

  test("is given up in mid-answer", async () => {
    const port = await site((_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("the beginning");
    });
    const { error, afterMs } = await failed(port, { bytes: 0, isHeldBack: false });
    expect(error).toMatchObject({ kind: "stalled" });
    expect(afterMs).toBeLessThan(1_200);
  });

  test("is not one that is slow: as long as the queue gets shorter it is waited for", async () => {
    const port = await site((request, response) => {
      request.resume().on("end", () => setTimeout(() => response.end("{}"), 1_200));
    });
    let bytes = 1_000_000;
    const answer = await exchange({
      ...{ url: new URL(`http://127.0.0.1:${port}/`), method: "PUT", headers: {} },
      ...{ agent: new http.Agent(), body: Buffer.alloc(1_000), maxAnswerBytes: 1_000 },
      ...{ timeoutMs: 2_000, connectMs: 1_000, stallMs: 400 },
      queues: { of: () => ({ bytes: (bytes -= 1_000), isHeldBack: false }) },
    });
    expect(answer.status).toBe(200);
  });

  test("takes its idle connections with it", async () => {
    const sockets = new Set<unknown>();
    let isSilent = false;
    const port = await site((request, response) => {
      sockets.add(request.socket);
      if (!isSilent) takeAll(request, response);
    });
    const target = client(port, { stallMs: 600 });
    const three = ["0", "1", "2"].map((n) => target.putSegment(id, n, Buffer.alloc(10)));
    await Promise.all(three);
    isSilent = true;
    const stuck = target.putSegment(id, "3", Buffer.alloc(10), { timeoutMs: 900 });
    await expect(stuck).rejects.toThrow("did not answer it within 900 ms");
    isSilent = false;
    await target.putSegment(id, "4", Buffer.alloc(10));
    expect(sockets.size).toBe(4);
  });
});

describe("a site that takes its time", () => {
  test("for a body that waits there unread is waited for: it is there, and answers for its silence", async () => {
    const port = await site((request, response) => {
      setTimeout(() => request.resume().on("end", () => response.end(answer)), 1_500);
    });
    const target = client(port, { stallMs: 400 });
    expect(await target.putSegment(id, "0", Buffer.alloc(12_000_000))).toEqual({ presentBytes: 1 });
  });

  test("and never reads it is given up as slow, not as away", async () => {
    const port = await site(() => undefined);
    const target = client(port, { stallMs: 800 });
    const sent = target.putSegment(id, "0", Buffer.alloc(12_000_000), { timeoutMs: 1_500 });
    await expect(sent).rejects.toMatchObject({ code: "slow" });
  });

  test("for its answer is waited for longer than for a cut link", async () => {
    const port = await site((request, response) => {
      request.resume().on("end", () => setTimeout(() => response.end(answer), 900));
    });
    const target = client(port, { stallMs: 200 });
    expect(await target.putSegment(id, "0", Buffer.alloc(1_000))).toEqual({ presentBytes: 1 });
  });
});

describe("a body that is refused unread", () => {
  test("is answered with the refusal, and its connection is not kept", async () => {
    const sockets = new Set<unknown>();
    const port = await site((request, response) => {
      sockets.add(request.socket);
      response.statusCode = 413;
      response.setHeader("connection", "close");
      response.end(JSON.stringify({ code: "too-large", place: "-", problem: "-", mend: "-" }));
    });
    const target = client(port);
    for (const n of ["0", "1"]) {
      const sent = target.putSegment(id, n, Buffer.alloc(12_000_000));
      await expect(sent).rejects.toMatchObject({ code: expect.stringMatching(/too-large|unreachable/) });
    }
    expect(sockets.size).toBe(2);
  });
});

test("an index comes as bytes, whole or not at all, and is undefined where there is none", async () => {
  const index = Buffer.alloc(3_000_000, 7);
  let calls = 0;
  const port = await site((_, response) => {
    calls++;
    if (calls === 1) {
      response.writeHead(200, { "content-length": index.length });
      response.write(index.subarray(0, 1_000));
      setTimeout(() => response.destroy(), 50);
    } else if (calls === 2) {
      response.writeHead(200, { "content-length": index.length });
      response.end(index);
    } else {
      response.writeHead(404);
      response.end(JSON.stringify({ code: "not-found", place: "-", problem: "-", mend: "-" }));
    }
  });
  const target = client(port);
  const digest = `sha256:${"b".repeat(64)}`;
  await expect(fetchedIndex(target, digest)).rejects.toMatchObject({ code: "unreachable" });
  expect((await fetchedIndex(target, digest))?.equals(index)).toBe(true);
  expect(await fetchedIndex(target, digest)).toBeUndefined();
});

describe("an index that is given piece by piece", () => {
  const digest = `sha256:${"b".repeat(64)}`;

  test("is not read faster than it is taken", async () => {
    let written = 0;
    const all = 96 * 2 ** 20;
    const port = await site((_, response) => {
      response.writeHead(200, { "content-length": all });
      const more = () => {
        while (written < all) {
          written += 2 ** 18;
          if (!response.write(Buffer.alloc(2 ** 18))) return;
        }
        response.end();
      };
      response.on("drain", more);
      more();
    });
    let goOn = () => {};
    const turn = new Promise<void>((resolve) => (goOn = resolve));
    let [taken, pieces, largest] = [0, 0, 0];
    const fetching = client(port).fetchIndex(digest, async (piece) => {
      if (++pieces === 2) await turn;
      taken += piece.length;
      largest = Math.max(largest, piece.length);
    });
    await sleep(700);
    expect(pieces).toBe(2);
    // What the system's own queues hold, and not the whole.
    expect(written).toBeLessThan(all / 3);
    goOn();
    expect(await fetching).toBe(true);
    expect(taken).toBe(all);
    expect(largest).toBeLessThanOrEqual(2 ** 18);
  });

  test("is not begun anew when a part of it was given", async () => {
    let calls = 0;
    const port = await site((_, response) => {
      calls++;
      response.writeHead(200, { "content-length": 100_000 });
      response.write(Buffer.alloc(1_000));
      setTimeout(() => response.destroy(), 50);
    });
    let taken = 0;
    const fetching = client(port, { retryBudgetMs: 2_000 }).fetchIndex(digest, async ({ length }) => {
      taken += length;
    });
    await expect(fetching).rejects.toMatchObject({ code: "unreachable" });
    expect({ calls, taken }).toEqual({ calls: 1, taken: 1_000 });
  });

  test("is asked for again as long as nothing was given", async () => {
    let calls = 0;
    const port = await site((_, response) => {
      if (++calls < 3) response.destroy();
      else response.end("whole");
    });
    const found = await fetchedIndex(client(port, { retryBudgetMs: 5_000 }), digest);
    expect(String(found)).toBe("whole");
  });

  test("ends when who takes it has had enough, and so does its connection", async () => {
    const ended = new Promise<void>((resolve) => {
      void site((_, response) => {
        response.once("close", resolve);
        const more = () => void (response.destroyed || response.write(Buffer.alloc(2 ** 18)));
        response.on("drain", more);
        more();
      }).then((port) => {
        const fetching = client(port).fetchIndex(digest, () => Promise.reject(new Error("enough")));
        fetching.catch((error: Error) => (thrown = error));
      });
    });
    let thrown: Error | undefined;
    await ended;
    await sleep(20);
    expect(thrown?.message).toContain("enough");
  });

  test("is stopped in the middle by its signal", async () => {
    const port = await site((_, response) => {
      response.writeHead(200, { "content-length": 100_000 });
      response.write(Buffer.alloc(1_000));
    });
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 150);
    const fetching = client(port).fetchIndex(digest, async () => undefined, { signal: stop.signal });
    await expect(fetching).rejects.toBeInstanceOf(AbortedError);
  });
});

test("a refusal that asks for no copies says so", async () => {
  const problem = { code: "image-corrupt", place: "-", problem: "-", mend: "-", withoutCopies: true };
  const port = await site((request, response) => {
    request.resume().on("end", () => {
      response.statusCode = 422;
      response.end(JSON.stringify(problem));
    });
  });
  await expect(client(port).putSegment(id, "0", Buffer.alloc(10))).rejects.toMatchObject({
    code: "image-corrupt",
    withoutCopies: true,
  });
});

describe("the queue of a connection", () => {
  const LINES = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1D4D 0100007F:C350 01 00000010:00000000 01:00000014 00000000     0        0 1 2",
    "   1: 0100007F:C350 0100007F:1D4D 01 0000ABCD:00000000 04:00000014 00000000     0        1 1 2",
    "   2: 0100007F:C351 0100007F:1D4D 01 0000ABCD:00000000 04:00000014 00000000     0        9 1 2",
    "   3: 0100007F:C352 0100007F:1D4D 01 00000001:00000000 01:00000014 00000000     0        0 1 2",
  ];

  test.each([
    [0xc350, { bytes: 0xabcd, isHeldBack: true }],
    [0xc351, { bytes: 0xabcd, isHeldBack: false }],
    [0xc352, { bytes: 1, isHeldBack: false }],
    [0xc353, undefined],
  ])("is read for port %i", (port, queue) => {
    expect(findQueue(LINES, port, 0x1d4d)).toEqual(queue);
  });

  test("is that of the very connection", async () => {
    const server = createServer((socket) => socket.pause());
    closing.push(() => server.close());
    const socket = connect(await listen(server), "127.0.0.1");
    closing.push(() => socket.destroy());
    await new Promise((resolve) => socket.once("connect", resolve));
    expect(new SendQueues().of(socket)?.bytes).toBe(0);
    socket.write(Buffer.alloc(20_000_000));
    await sleep(300);
    expect(new SendQueues().of(socket)?.bytes).toBeGreaterThan(0);
  });
});
