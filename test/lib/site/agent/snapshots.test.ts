import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SnapshotError } from "../../../../lib/image/snapshot";
import type { SnapshotRequest } from "../../../../lib/site/api";
import { SiteDirectory } from "../../../../lib/site/client";
import type { MadeSnapshot, SnapshotMaker } from "../../../../lib/site/ports";
import { snapshotAtSite } from "../../../../lib/steps";
import type { StepContext } from "../../../../lib/wait";
import { makeImage, push, startSite, type MadeImage, type TestSite } from "../../../support/site";
import { listening } from "../../image/support/images";

const MADE: MadeSnapshot = { snapshotId: "snap-1", sizeBytes: 5 };
const oops = (code: "slow" | "invalid" | "in-use") =>
  new SnapshotError(code, { place: "EBS", problem: `it is ${code}`, mend: "Wait." });

/** A cloud whose answers the test decides on. */
class Cloud implements SnapshotMaker {
  made: MadeSnapshot | undefined;
  asked: SnapshotRequest[] = [];
  trouble: Error | undefined;
  finish: ((how: "made" | Error) => void) | undefined;

  region = async () => "eu-test-1";

  make(_: object, request: SnapshotRequest, _directory: string, { signal, progress }: StepContext) {
    this.asked.push(request);
    progress({ step: "transfer", subject: "", message: "half of it is there", fraction: 0.5 });
    return new Promise<MadeSnapshot>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
      this.finish = (how) => {
        if (how !== "made") return reject(how);
        this.made = MADE;
        resolve(MADE);
      };
    });
  }

  async find() {
    if (this.trouble) throw this.trouble;
    return this.made;
  }

  async remove() {
    if (this.trouble) throw this.trouble;
    this.made = undefined;
  }
}

describe("an agent that makes snapshots", () => {
  let dir: string;
  let site: TestSite;
  let cloud: Cloud;
  let image: MadeImage;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "spillway-snapshots-"));
    cloud = new Cloud();
    site = await startSite({ site: "cloud", snapshots: cloud });
    image = await makeImage({ dir });
  });
  afterEach(async () => {
    await site.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("makes one of an image that is complete, once, and tells how far it is", async () => {
    const { client } = site;
    const { digest } = image;
    await expect(client.makeSnapshot(digest, {})).rejects.toMatchObject({ code: "image-missing" });
    await push(site, image);
    expect(await client.snapshot(digest)).toBeUndefined();
    expect(await client.makeSnapshot(digest, { encrypted: true })).toMatchObject({ state: "making" });
    expect(await client.makeSnapshot(digest, { encrypted: true })).toMatchObject({ fraction: 0.5 });
    expect(cloud.asked).toEqual([{ encrypted: true }]);
    cloud.finish?.("made");
    expect(await client.snapshot(digest)).toMatchObject({ state: "complete", region: "eu-test-1", ...MADE });
    await client.deleteSnapshot(digest, "snap-1");
    expect(await client.snapshot(digest)).toBeUndefined();
  });

  it("tells what failed, and tries again when it is asked again", async () => {
    await push(site, image);
    const { client } = site;
    await client.makeSnapshot(image.digest, {});
    cloud.finish?.(oops("invalid"));
    expect(await client.snapshot(image.digest)).toMatchObject({
      state: "failed",
      problem: { problem: "it is invalid", mend: "Wait." },
    });
    expect(await client.makeSnapshot(image.digest, {})).toMatchObject({ state: "making" });
    expect(cloud.asked).toHaveLength(2);
  });

  it("says that it cannot ask, and not that there is none, while its cloud is silent", async () => {
    cloud.trouble = oops("slow");
    const impatient = { retryBudgetMs: 0 };
    await expect(site.client.snapshot(image.digest, impatient)).rejects.toMatchObject({ isSilence: true });
    cloud.trouble = oops("in-use");
    await expect(site.client.deleteSnapshot(image.digest, "snap-1")).rejects.toMatchObject({
      code: "image-in-use",
    });
  });

  it("gives it up when it is stopped", async () => {
    await push(site, image);
    await site.client.makeSnapshot(image.digest, {});
    const from = Date.now();
    await site.close();
    expect(Date.now() - from).toBeLessThan(3_000);
  });

  it("is sent the image, asked, and waited for; what it failed with is told", async () => {
    const sites = new SiteDirectory({ cloud: { endpoint: site.endpoint, tokenFile: site.tokenFile } });
    const request = { site: "cloud", source: image.path, cacheDirectory: join(dir, "cache") };
    const context = listening();
    const making = snapshotAtSite(sites, request, { lineage: "shop.img" }, context, 20_000);
    while (cloud.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    setTimeout(() => cloud.finish?.("made"), 1_200);
    expect(await making).toMatchObject({ snapshotId: "snap-1", region: "eu-test-1", digest: image.digest });
    expect(cloud.asked).toEqual([{ lineage: "shop.img" }]);
    expect(context.said.map(({ message }) => message)).toContain("at the site: half of it is there");
    cloud.made = undefined;
    const failing = snapshotAtSite(sites, request, {}, listening(), 20_000);
    while (cloud.asked.length === 1) await new Promise((resolve) => setTimeout(resolve, 20));
    cloud.finish?.(oops("invalid"));
    await expect(failing).rejects.toThrow(/it is invalid .*site cloud, EBS/);
    sites.close();
  });
});
