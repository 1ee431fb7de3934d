import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildShopImage, type ShopImage } from "../../../../cli/demo/image";
import { startLoad, type LoadBucket, type RunningLoad } from "../../../../cli/demo/load";
import type { QuiesceSpec } from "../../../../lib/site/api";
import type { BalancerPool, MemberHandle } from "../../../../lib/site/ports";
import { sleep } from "../../../../lib/wait";
import { LocalBalancer } from "../../../../providers/local/balancer";
import { LocalLauncher } from "../../../../providers/local/launcher";
import { LocalNameServer } from "../../../../providers/local/nameserver";
import { ADDRESSES } from "../support/site";

const NAME = "shop.example.test";
const TTL_S = 1;
const NOBODY: QuiesceSpec = { share: 0, forMs: 0, idleCloseMs: 0 };

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, ADDRESSES.onprem);
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A site of real parts: two members of the shop's image behind the embedded balancer. */
class Site {
  readonly balancer: LocalBalancer;
  private readonly launcher: LocalLauncher;
  private handles: MemberHandle[] = [];

  constructor(
    readonly name: "onprem" | "cloud",
    private readonly port: number,
    private readonly image: ShopImage,
    folder: string,
  ) {
    this.balancer = new LocalBalancer({ stateDir: join(folder, name) });
    this.launcher = new LocalLauncher({ stateDir: join(folder, name) });
  }

  async start(): Promise<void> {
    await this.balancer.start();
    for (const number of [1, 2]) {
      const request = {
        id: `${this.name}-${number}`,
        pool: "shop",
        site: this.name,
        digest: this.image.digest,
        imagePath: this.image.path,
        address: ADDRESSES[this.name],
        environment: { START_DELAY_MS: "0" },
      };
      this.handles.push(await this.launcher.launch(request, new AbortController().signal));
    }
    await this.put(NOBODY);
    while ((await this.traffic()).membersUp < 2) await sleep(50);
  }

  put(quiesce: QuiesceSpec): Promise<void> {
    const pool: BalancerPool = {
      name: "shop",
      listen: { address: ADDRESSES[this.name], port: this.port, mode: "http" },
      monitor: {
        type: "http",
        path: "/healthz",
        expectStatus: 200,
        intervalMs: 250,
        timeoutMs: 1_000,
        rise: 2,
        fall: 3,
      },
      affinity: "cookie",
      maxConnections: 0,
      sessionIdleMs: 2_000,
      members: this.handles.map(({ id, address, port }) => ({ id, address, port, draining: false })),
      quiesce,
    };
    return this.balancer.put(pool);
  }

  async traffic() {
    const view = await this.balancer.view("shop");
    if (!view) throw new Error(`${this.name} has no pool`);
    return view.traffic;
  }

  async takeDown(): Promise<void> {
    await this.balancer.remove("shop");
    await this.endMembers();
  }

  async stop(): Promise<void> {
    await this.balancer.stop();
    await this.endMembers();
  }

  private async endMembers(): Promise<void> {
    for (const handle of this.handles) await this.launcher.end(handle, 2_000);
    this.handles = [];
  }
}

describe("users of two sites with the embedded balancer, name server and launcher", () => {
  let folder: string;
  let onprem: Site;
  let cloud: Site;
  let names: LocalNameServer;
  let load: RunningLoad | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "spillway-two-sites-"));
    const image = await buildShopImage({ path: join(folder, "shop.tar"), version: "v1", sizeBytes: 200_000 });
    const port = await freePort();
    onprem = new Site("onprem", port, image, folder);
    cloud = new Site("cloud", port, image, folder);
    names = new LocalNameServer({ stateDir: join(folder, "names"), address: ADDRESSES.onprem, port: 0 });
    await Promise.all([onprem.start(), cloud.start(), names.start()]);
    await direct(100, 0);
    load = await startLoad(
      {
        name: NAME,
        nameServer: names.endpoint,
        port,
        sites: ADDRESSES,
        curve: { stepMs: 1_000, rps: [300, 300] },
        users: 80,
        ttlIgnoringFactor: 3,
        maxMs: 60_000,
      },
      { onBucket: (bucket) => buckets.push(bucket) },
    );
  }, 30_000);
  afterAll(async () => {
    await load?.stop().catch(() => undefined);
    await Promise.all([onprem?.stop(), cloud?.stop(), names?.stop()]);
    await rm(folder, { recursive: true, force: true });
  }, 30_000);

  const buckets: LoadBucket[] = [];
  async function direct(home: number, away: number): Promise<void> {
    const answers = [
      { site: "onprem", address: ADDRESSES.onprem, weight: home },
      { site: "cloud", address: ADDRESSES.cloud, weight: away },
    ].filter(({ weight }) => weight > 0);
    await names.put(NAME, { owner: "test", ttlSeconds: TTL_S, answers });
  }
  const shareOfCloud = (lastMs: number) => {
    const part = buckets.slice(-lastMs / 250);
    const sum = (read: (bucket: LoadBucket) => number) =>
      part.reduce((total, bucket) => total + read(bucket), 0);
    return sum((bucket) => bucket.bySite.cloud ?? 0) / sum((bucket) => bucket.ok);
  };

  it("are moved out and home at 300 requests a second, and not one request fails", async () => {
    await sleep(3_000);
    expect(shareOfCloud(2_000)).toBe(0);

    await direct(50, 50);
    await onprem.put({ share: 0.5, forMs: 5_000, idleCloseMs: 1_000 });
    await sleep(7_000);
    await onprem.put(NOBODY);
    expect(shareOfCloud(1_500)).toBeGreaterThan(0.3);
    expect(shareOfCloud(1_500)).toBeLessThan(0.7);

    await direct(100, 0);
    await sleep(TTL_S * 1_000);
    await cloud.put({ share: 1, forMs: 0, idleCloseMs: 1_000 });
    const deadline = Date.now() + 15_000;
    for (;;) {
      const { sessions, quietMs } = await cloud.traffic();
      if (sessions === 0 && quietMs > 1_500) break;
      if (Date.now() > deadline) throw new Error(`${sessions} sessions are still in the cloud`);
      await sleep(100);
    }
    // What the balancer says, the users must bear out.
    expect(buckets.at(-1)!.connectionsBySite.cloud ?? 0).toBe(0);
    await cloud.takeDown();
    await sleep(4_000);

    expect(shareOfCloud(2_000)).toBe(0);
    const totals = await load!.stop();
    expect(totals.firstFailures).toEqual([]);
    expect(totals).toMatchObject({ failed: 0, heldBack: 0 });
    expect(totals.ok).toBe(totals.requests);
    expect(totals.requests).toBeGreaterThan(4_500);
    expect(totals.bySite.cloud).toBeGreaterThan(500);
  }, 60_000);
});
