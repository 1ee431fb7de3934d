import { startReplay, type Replay } from "../../../../cli/demo/load/replay";
import type { LoadBucket, LoadOptions } from "../../../../cli/demo/load/options";
import { sleep } from "../../../../lib/wait";
import { TestNameServer } from "../support/name-server";
import { ADDRESSES, startTwoSites, TestSite } from "../support/site";

const NAME = "shop.example.test";

describe("a load run", () => {
  let names: TestNameServer;
  let onprem: TestSite;
  let cloud: TestSite;
  let port: number;
  let replay: Replay | undefined;
  let buckets: LoadBucket[];

  beforeEach(async () => {
    ({ onprem, cloud, port } = await startTwoSites());
    names = await TestNameServer.start(NAME, { [ADDRESSES.onprem]: 100 });
    buckets = [];
  });
  afterEach(async () => {
    await replay?.stop();
    replay = undefined;
    await Promise.all([names.stop(), onprem.stop(), cloud.stop()]);
  });

  async function start(options: Partial<LoadOptions> & { rps: number }): Promise<Replay> {
    const { rps, ...others } = options;
    replay = await startReplay(
      {
        name: NAME,
        nameServer: names.endpoint,
        port,
        sites: ADDRESSES,
        curve: { stepMs: 1_000, rps: [rps, rps] },
        users: 40,
        ...others,
      },
      { onBucket: (bucket) => buckets.push(bucket) },
    );
    return replay;
  }

  it("offers what the curve says, whatever the answers, and accounts for every request", async () => {
    const run = await start({ rps: 0, curve: { stepMs: 1_000, rps: [100, 300] } });
    await sleep(1_500);
    const totals = await run.stop();
    // 1 s of a rise from 100 to 300 is 200 requests, then half a second of 300 is 150.
    expect(totals.requests).toBeGreaterThanOrEqual(330);
    expect(totals.requests).toBeLessThanOrEqual(370 + 0.3 * (totals.durationMs - 1_500));
    expect(totals).toMatchObject({ failed: 0, heldBack: 0, retried: 0, ok: totals.requests });
    expect(totals.bySite).toEqual({ onprem: totals.requests });
    expect(buckets.reduce((sum, bucket) => sum + bucket.offered, 0)).toBe(totals.requests);
    expect(buckets.reduce((sum, bucket) => sum + bucket.ok, 0)).toBe(totals.ok);
    expect(totals.latencyMs.p50).toBeGreaterThanOrEqual(2);
    expect(totals.latencyMs.p99).toBeGreaterThanOrEqual(totals.latencyMs.p50);
  });

  it("half the users keep connections and cookies, half open one connection for each request", async () => {
    const run = await start({ rps: 200 });
    await sleep(1_000);
    const open = buckets.at(-1)!.connectionsBySite;
    expect(open.onprem).toBeGreaterThanOrEqual(15);
    expect(open.onprem).toBeLessThanOrEqual(40);
    expect(onprem.openConnections).toBeGreaterThanOrEqual(15);
    expect(onprem.cookiesSeen).toEqual(new Set(["SRV=m1"]));
    await run.stop();
    await sleep(50);
    expect(onprem.openConnections).toBe(0);
  });

  it("users come from addresses of their own", async () => {
    const run = await start({ rps: 200, ownAddresses: true });
    await sleep(800);
    await run.stop();
    expect(onprem.clients.size).toBeGreaterThan(30);
    expect([...onprem.clients].every((address) => /^(::ffff:)?127\.1\.0\.\d+$/.test(address))).toBe(true);
  });

  it("after a weights flip only users without kept connections follow; the others stay until told to close", async () => {
    names.ttlSeconds = 1;
    const run = await start({ rps: 200, ttlIgnoringShare: 0, connectionsPerUser: 1 });
    await sleep(800);
    names.weights = { [ADDRESSES.cloud]: 100 };
    await sleep(1_600);
    const kept = buckets.at(-1)!;
    expect(kept.connectionsBySite.onprem).toBeGreaterThanOrEqual(15);
    expect(kept.connectionsBySite.cloud ?? 0).toBe(0);
    expect(kept.bySite.onprem).toBeGreaterThan(0);
    expect(kept.bySite.cloud).toBeGreaterThan(0);

    onprem.closing = true;
    await sleep(1_000);
    onprem.closeIdleConnections();
    await sleep(600);
    const moved = buckets.at(-1)!;
    expect(moved.bySite).toEqual({ cloud: moved.ok });
    expect(moved.connectionsBySite.onprem ?? 0).toBe(0);
    expect(await run.stop()).toMatchObject({ failed: 0 });
  });

  it("a tenth of the users keep an answer ten times as long as they may", async () => {
    names.ttlSeconds = 1;
    const run = await start({ rps: 200, keepAliveShare: 0, users: 50 });
    await sleep(1_000);
    names.weights = { [ADDRESSES.cloud]: 100 };
    await sleep(2_000);
    const stale = buckets.at(-1)!;
    expect(stale.usersBySite.onprem).toBe(5);
    expect(stale.usersBySite.cloud).toBe(45);
    await run.stop();
  });

  it("sends a request again, once, when a kept connection closes before any byte of the answer", async () => {
    const run = await start({ rps: 100, keepAliveShare: 1, users: 10 });
    await sleep(600);
    onprem.closeUnanswered = 3;
    await sleep(500);
    const totals = await run.stop();
    expect(totals).toMatchObject({ retried: 3, failed: 0, ok: totals.requests });
  });

  it("fails a request whose second try meets the same", async () => {
    const run = await start({ rps: 100, keepAliveShare: 1, users: 10 });
    await sleep(600);
    onprem.misbehave = (request) => request.socket.destroy();
    await sleep(200);
    const totals = await run.stop();
    expect(totals.retried).toBeGreaterThanOrEqual(5);
    expect(totals.failures.reset).toBe(totals.failed);
    expect(totals.failed).toBeGreaterThanOrEqual(totals.retried);
  });

  it("does not send again on a connection of its own, nor when a part of the answer had come", async () => {
    const run = await start({ rps: 100, users: 20 });
    await sleep(400);
    onprem.misbehave = (request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("half");
      setTimeout(() => request.socket.destroy(), 5);
    };
    await sleep(300);
    const totals = await run.stop();
    expect(totals.retried).toBe(0);
    expect(totals.failures["cut-off"]).toBeGreaterThan(10);
    expect(totals.failures["cut-off"]).toBe(totals.failed);
  });

  it("counts 5xx answers, refused connections and time-outs as failed, each under its name", async () => {
    const run = await start({ rps: 100, users: 20, timeoutMs: 300 });
    await sleep(300);
    onprem.misbehave = (_, response) => void response.writeHead(503).end("no member");
    await sleep(300);
    onprem.misbehave = () => undefined;
    await sleep(600);
    await onprem.stop();
    await sleep(300);
    const totals = await run.stop();
    onprem = await TestSite.start("onprem", ADDRESSES.onprem);
    expect(totals.failures["server-error"]).toBeGreaterThan(10);
    expect(totals.failures["timed-out"]).toBeGreaterThan(10);
    expect(totals.failures["refused"]).toBeGreaterThan(5);
    expect(totals.ok + totals.failed).toBe(totals.requests);
    expect(totals.firstFailures[0]).toMatchObject({ reason: "server-error", site: "onprem" });
    expect(totals.firstFailures[0].detail).toContain("503: no member");
  });

  it("asks a deaf name server again, and fails a request only when the third try is unanswered too", async () => {
    names.deaf = 2;
    const run = await start({ rps: 5, users: 1, keepAliveShare: 0 });
    await sleep(3_000);
    const totals = await run.stop();
    expect(totals).toMatchObject({ failed: 0 });
    expect(totals.ok).toBeGreaterThan(10);
    expect(totals.latencyMs.max).toBeGreaterThan(1_900);
  });

  it("fails requests of a name that does not exist", async () => {
    const run = await start({ rps: 50, name: "other.example.test" });
    await sleep(300);
    const totals = await run.stop();
    expect(totals.ok).toBe(0);
    expect(totals.failures).toEqual({ "no-name": totals.requests });
    expect(totals.firstFailures[0].detail).toContain("NXDOMAIN");
  });

  it("never has more under way than its cap, and says how many it held back", async () => {
    onprem.misbehave = () => undefined;
    const run = await start({ rps: 400, users: 40, maxInFlight: 30, timeoutMs: 1_000 });
    await sleep(800);
    expect(Math.max(...buckets.map((bucket) => bucket.inFlight))).toBe(30);
    const totals = await run.stop();
    expect(totals.heldBack).toBeGreaterThan(200);
    expect(totals.requests).toBeLessThanOrEqual(60);
  });

  it("ends by itself at its longest time", async () => {
    const run = await start({ rps: 50, maxMs: 500 });
    const totals = await run.ended;
    expect(totals.durationMs).toBeGreaterThanOrEqual(500);
    expect(totals.durationMs).toBeLessThan(1_500);
  });
});
