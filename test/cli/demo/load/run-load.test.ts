import { spawn } from "node:child_process";
import { join } from "node:path";
import { startLoad, type LoadBucket, type LoadOptions } from "../../../../cli/demo/load";
import { SpillwayError } from "../../../../lib/errors";
import { sleep } from "../../../../lib/wait";
import { TestNameServer } from "../support/name-server";
import { ADDRESSES, startTwoSites, type TestSite } from "../support/site";

describe("the load's own process", () => {
  let names: TestNameServer;
  let sites: { onprem: TestSite; cloud: TestSite; port: number };
  let options: LoadOptions;

  beforeEach(async () => {
    sites = await startTwoSites();
    names = await TestNameServer.start("shop.example.test", {
      [ADDRESSES.onprem]: 50,
      [ADDRESSES.cloud]: 50,
    });
    options = {
      name: "shop.example.test",
      nameServer: names.endpoint,
      port: sites.port,
      sites: ADDRESSES,
      curve: { stepMs: 1_000, rps: [200, 200] },
      users: 40,
    };
  });
  afterEach(() => Promise.all([names.stop(), sites.onprem.stop(), sites.cloud.stop()]));

  const isThere = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  it("tells buckets as they come and totals at the end, and is gone then", async () => {
    const buckets: LoadBucket[] = [];
    const load = await startLoad(options, { onBucket: (bucket) => buckets.push(bucket) });
    expect(Math.abs(load.startedAt - Date.now())).toBeLessThan(1_000);
    await sleep(1_500);
    expect(buckets.length).toBeGreaterThanOrEqual(4);
    const totals = await load.stop();
    expect(totals.failed).toBe(0);
    expect(totals.ok).toBe(sites.onprem.requests + sites.cloud.requests);
    expect(buckets.reduce((sum, bucket) => sum + bucket.ok, 0)).toBe(totals.ok);
    expect(totals.bySite.onprem / totals.ok).toBeGreaterThan(0.25);
    expect(totals.bySite.cloud / totals.ok).toBeGreaterThan(0.25);
    expect(await load.stop()).toBe(totals);
    await sleep(300);
    expect(isThere(load.pid)).toBe(false);
  });

  it("tells failures as they happen", async () => {
    const reasons: string[] = [];
    const load = await startLoad(options, { onFailure: ({ reason }) => reasons.push(reason) });
    await sleep(300);
    sites.onprem.misbehave = (_, response) => void response.writeHead(502).end("{}");
    await sleep(500);
    expect(reasons).toContain("server-error");
    const totals = await load.stop();
    expect(totals.failures["server-error"]).toBe(totals.failed);
  });

  it("is an error with a place and a mend when the process dies", async () => {
    const load = await startLoad(options);
    process.kill(load.pid, "SIGKILL");
    await expect(load.ended).rejects.toThrow(SpillwayError);
    await expect(load.stop()).rejects.toThrow(/ended early \(SIGKILL\)/);
  });

  it("ends when the process that started it is killed", async () => {
    const root = join(__dirname, "..", "..", "..", "..");
    const program = `require(${JSON.stringify(join(root, "dist/cli/demo/load"))})
      .startLoad(${JSON.stringify(options)}).then((load) => console.log(load.pid))`;
    const parent = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    const pid = await new Promise<number>((resolve) =>
      parent.stdout.once("data", (data: Buffer) => resolve(Number(data.toString()))),
    );
    expect(isThere(pid)).toBe(true);
    parent.kill("SIGKILL");
    for (let waited = 0; isThere(pid) && waited < 3_000; waited += 50) await sleep(50);
    expect(isThere(pid)).toBe(false);
  });

  it("refuses to start without a name server to ask", async () => {
    await expect(startLoad({ ...options, nameServer: "127.0.0.1:99999" })).rejects.toThrow(
      /got "127.0.0.1:99999"/,
    );
  });
});
