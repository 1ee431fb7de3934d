import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pushImage } from "../../../../lib/image/near";
import { SiteClient } from "../../../../lib/site/client";
import { sleep } from "../../../../lib/wait";
import { startLink, type Link } from "../../../../providers/local/link";
import { startSiteProcess, type TestSiteProcess } from "../../../support/site";
import { bytesOf, listening, scratch, writeOld } from "../support/images";

const IMAGE_BYTES = 40_000_000;
const RATE = { rateBitsPerSecond: 40_000_000, delayMs: 25 };
/** What can be on its way when a link is cut: a segment for each stream. */
const ON_ITS_WAY_BYTES = 8 * 5 * 2 ** 20;

describe("a push over a link that fails", () => {
  let home: ReturnType<typeof scratch>;
  let site: TestSiteProcess;
  let link: Link;

  beforeEach(async () => {
    home = scratch();
    site = await startSiteProcess();
    const { hostname, port } = new URL(site.endpoint);
    link = await startLink({
      ...RATE,
      listen: { host: "127.0.0.1", port: 0 },
      target: { host: hostname, port: Number(port) },
    });
  });
  afterEach(async () => {
    await link.close();
    await site.close();
    home.remove();
  });

  const push = (source: string, said = listening()) => {
    const endpoint = `http://127.0.0.1:${link.port}`;
    const client = new SiteClient(site.site, { endpoint, tokenFile: site.tokenFile });
    return pushImage({
      ...{ source, target: client, context: said },
      cacheDirectory: join(home.path, "cache"),
    }).finally(() => client.close());
  };
  const imageAt = (digest: string) =>
    readFileSync(join(site.stateDir, "images", `${digest.slice("sha256:".length)}.img`));
  const passed = async (bytes: number) => {
    while (link.bytes.toTarget < bytes) await sleep(50);
  };

  it("survives an outage of 30 s, and goes on within seconds of its end", async () => {
    const image = bytesOf(1, IMAGE_BYTES);
    const pushing = push(writeOld(join(home.path, "one.img"), image));
    await passed(IMAGE_BYTES / 3);
    link.set({ cut: true });
    await sleep(30_000);
    const before = link.bytes.toTarget;
    link.set({ cut: false });
    const healedAt = Date.now();
    await passed(before + 500_000);
    expect(Date.now() - healedAt).toBeLessThan(10_000);
    const { digest } = await pushing;
    expect(imageAt(digest).equals(image)).toBe(true);
    expect(link.bytes.toTarget).toBeLessThan(IMAGE_BYTES * 1.02 + ON_ITS_WAY_BYTES);
  });

  it("goes on when the agent is killed and started again, and sends little twice", async () => {
    const image = bytesOf(2, IMAGE_BYTES);
    const pushing = push(writeOld(join(home.path, "one.img"), image));
    for (const share of [0.25, 0.5, 0.75]) {
      await passed(IMAGE_BYTES * share);
      await site.kill();
      await sleep(500);
      await site.restart();
    }
    const { digest } = await pushing;
    expect(imageAt(digest).equals(image)).toBe(true);
    expect(link.bytes.toTarget).toBeLessThan(IMAGE_BYTES * 1.02 + 3 * ON_ITS_WAY_BYTES);
  });

  it("is stopped at once while nothing passes", async () => {
    const source = writeOld(join(home.path, "one.img"), bytesOf(3, IMAGE_BYTES));
    const stop = new AbortController();
    const pushing = push(source, listening(stop.signal));
    await passed(IMAGE_BYTES / 4);
    link.set({ cut: true });
    await sleep(2_000);
    stop.abort();
    const abortedAt = Date.now();
    await expect(pushing).rejects.toThrow(/stopped/);
    expect(Date.now() - abortedAt).toBeLessThan(3_000);
  });
});
