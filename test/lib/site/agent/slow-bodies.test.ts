import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import * as http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Router, type Route } from "../../../../lib/site/agent/router";
import { AgentServer } from "../../../../lib/site/agent/server";
import { TokenCheck } from "../../../../lib/site/agent/token";
import { sleep } from "../../../../lib/wait";
import { transferId } from "../../image/far/support/segments";
import { type TestSite, makeImage, push, startSite } from "../../../support/site";

const MIB = 2 ** 20;
const TOKEN = "t".repeat(32);

/** A body that says it is large, and comes byte by byte. */
class Trickle {
  readonly ended: Promise<string>;
  private isEnded = false;
  private readonly request: http.ClientRequest;
  private readonly timer: NodeJS.Timeout;

  constructor(url: string, token: string, bytes: number, everyMs = 50, stepBytes = 1) {
    this.request = http.request(url, {
      method: "PUT",
      agent: false,
      headers: { authorization: `Bearer ${token}`, "content-length": bytes },
    });
    this.ended = new Promise<string>((resolve) => {
      this.request.once("response", (response) => resolve(String(response.statusCode)));
      this.request.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    }).finally(() => this.stop());
    let left = bytes;
    this.timer = setInterval(() => {
      const step = Math.min(stepBytes, left);
      if (step > 0) this.request.write(Buffer.alloc(step));
      left -= step;
    }, everyMs);
  }

  get isAlive(): boolean {
    return !this.isEnded;
  }

  stop(): void {
    this.isEnded = true;
    clearInterval(this.timer);
    this.request.destroy();
  }
}

const trickles: Trickle[] = [];
const stopAll = () => trickles.splice(0).forEach((one) => one.stop());
afterEach(stopAll);

function trickle(...args: ConstructorParameters<typeof Trickle>): Trickle {
  const one = new Trickle(...args);
  trickles.push(one);
  return one;
}

const segmentUrl = (endpoint: string, transfer: number, number: number) =>
  `${endpoint}/v1/transfers/${transferId(transfer)}/segments/${String(number).padStart(32, "0")}`;

describe("an agent to which one transfer sends bodies that hardly come", () => {
  let dir: string;
  let site: TestSite;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "spillway-slow-"));
    site = await startSite();
  });
  afterAll(async () => {
    await site?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("takes another's image meanwhile, and answers questions", async () => {
    const { endpoint, token } = site;
    for (let i = 0; i < 48; i++) trickle(segmentUrl(endpoint, 1, i), token, 2 * MIB);
    for (let i = 48; i < 96; i++) trickle(segmentUrl(endpoint, 1, i), token, MIB / 4);
    await sleep(500);
    const startedAt = performance.now();
    expect((await site.client.context({ timeoutMs: 3_000 })).site).toBe("cloud");
    const image = await makeImage({ dir, bytes: 12 * MIB });
    await push(site, image);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(await site.client.image(image.digest)).toMatchObject({ complete: true });
    expect(trickles.filter((one) => one.isAlive)).toHaveLength(96);
  }, 30_000);
});

describe("a server to which many transfers send bodies that hardly come", () => {
  let server: AgentServer;
  let log: string[];

  beforeEach(async () => {
    log = [];
    const route: Route = {
      method: "PUT",
      path: "/v1/transfers/{id}/segments/{segmentId}",
      takes: { maxBytes: 12 * MIB },
      party: "id",
      handle: ({ bytes }) => ({ status: 200, body: { bytes: bytes.length } }),
    };
    server = await AgentServer.listen({
      listen: { host: "127.0.0.1", port: 0 },
      token: new TokenCheck(TOKEN),
      router: new Router([route]),
      log: (line) => log.push(line),
      slowBodyMs: 1_000,
    });
  });
  afterEach(() => {
    stopAll();
    return server.close();
  });

  const put = (transfer: number, bytes: number) =>
    fetch(segmentUrl(server.endpoint, transfer, 0), {
      method: "PUT",
      headers: { authorization: `Bearer ${TOKEN}` },
      body: new Uint8Array(randomBytes(bytes)),
      signal: AbortSignal.timeout(15_000),
    }).then((answer) => answer.json());

  it("gives up as many as it takes to let another's in, and says so", async () => {
    for (let i = 1; i <= 30; i++) trickle(segmentUrl(server.endpoint, i, 0), TOKEN, 4 * MIB);
    await sleep(300);
    const startedAt = performance.now();
    expect(await put(99, 2 * MIB)).toEqual({ bytes: 2 * MIB });
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    expect(log.length).toBeGreaterThanOrEqual(1);
    expect(log[0]).toMatch(
      /^PUT \/v1\/transfers\/a+[0-9a-f]+\/segments\/0+: given up, for \d+ B of 4.19 MB came/,
    );
    expect(log.join()).not.toContain(TOKEN);
  }, 30_000);

  it("lets bodies of a slow link through, though others wait all the time", async () => {
    // 1 MiB at 256 KiB/s in four seconds, where 64 KiB/s are asked for.
    const slow = trickle(segmentUrl(server.endpoint, 1, 0), TOKEN, MIB, 50, 13_108);
    for (let i = 2; i <= 40; i++) trickle(segmentUrl(server.endpoint, i, 0), TOKEN, 4 * MIB);
    expect(await slow.ended).toBe("200");
    expect(log.length).toBeGreaterThan(0);
  }, 30_000);

  it("gives up none while nobody waits", async () => {
    for (let i = 1; i <= 5; i++) trickle(segmentUrl(server.endpoint, i, 0), TOKEN, 4 * MIB);
    await sleep(2_500);
    expect(trickles.filter((one) => one.isAlive)).toHaveLength(5);
  });
});
