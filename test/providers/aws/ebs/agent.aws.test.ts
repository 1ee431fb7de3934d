import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EbsService } from "../../../../providers/aws/ebs";
import { EbsSnapshotMaker } from "../../../../providers/aws/ebs/snapshot-maker";
import { startSite, type TestSite } from "../../../support/site";
import { TerraformFolder } from "../../../support/terraform-cli";
import { bytesOf, writeOld } from "../../../lib/image/support/images";
import { describeWithMoto, startMoto, type Moto } from "../../../support/aws/moto";
import { FaultProxy } from "./support/fault-proxy";
import { bytesIn, Home, openEbs, ours, written } from "./support/region";

const BLOCK = 512 * 1024;
let moto: Moto;
let proxy: FaultProxy;
let home: Home;
let ebs: EbsService;
let site: TestSite;
let folder: TerraformFolder;
const before = { ...process.env };

function configure(image: string, settings: object = {}): void {
  const { endpoint, tokenFile } = site;
  const replica = { site: "cloud", target: "ebs", source: image, ...settings };
  const config = {
    terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
    provider: { spillway: { sites: { cloud: { endpoint, token_file: tokenFile } } } },
    resource: { spillway_image_replica: { i: replica } },
    output: { snapshot: { value: "${spillway_image_replica.i.snapshot_id}" } },
  };
  writeFileSync(join(folder.folder, "main.tf.json"), JSON.stringify(config));
}
const apply = () => folder.must("apply", "-auto-approve", "-no-color", "-input=false");
const plan = () => folder.run(["plan", "-no-color", "-input=false", "-detailed-exitcode"]);
const snapshotId = async () => (await folder.must("output", "-raw", "snapshot")).trim();

describeWithMoto("a snapshot that an agent in the region makes", () => {
  beforeAll(async () => {
    moto = await startMoto();
  }, 40_000);
  afterAll(() => moto.stop());
  beforeEach(async () => {
    proxy = await FaultProxy.before(moto.endpoint);
    Object.assign(process.env, moto.environment, { AWS_ENDPOINT_URL: proxy.endpoint });
    home = new Home();
    ebs = await openEbs();
    site = await startSite({ site: "cloud", snapshots: new EbsSnapshotMaker({ region: "us-east-1" }) });
    mkdirSync(join(home.path, "tf"));
    // Terraform's side has no credentials: only the agent has.
    const none = { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "", AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
    folder = new TerraformFolder(join(home.path, "tf"), { XDG_CACHE_HOME: join(home.path, "xdg"), ...none });
  }, 40_000);
  afterEach(async () => {
    await site.close();
    ebs.close();
    home.remove();
    await proxy.close();
    process.env = { ...before };
  });

  it("is planned by what crosses the link, applied, followed by a delta, and destroyed", async () => {
    const image = Buffer.concat([bytesOf(1, 6 * BLOCK), Buffer.alloc(4 * BLOCK), bytesOf(2, 2 * BLOCK + 99)]);
    const path = writeOld(join(home.path, "shop.raw"), image);
    configure(path, { ebs: { tags: { team: "shop" } } });
    await folder.must("init", "-no-color");
    const planned = await plan();
    const sends = Number(/\+ send_bytes\s+= (\d+)/.exec(planned.stdout)?.[1]);
    // The agent is told of zeros; they do not cross the link.
    expect(sends).toBeLessThan(8.1 * BLOCK);
    await apply();
    expect((await plan()).stdout).toContain("No changes");
    const first = await snapshotId();
    expect((await bytesIn(ebs, first)).equals(image)).toBe(true);
    expect((await ebs.get(first, {}))?.tags).toMatchObject({ team: "shop", "spillway:lineage": "shop.raw" });
    // Zeros that nobody said were free are written, though they are holes in the agent's file.
    expect((await written(ebs, first)).length).toBe(13);

    bytesOf(3, 100).copy(image, 3 * BLOCK);
    writeOld(path, image);
    await apply();
    expect((await plan()).stdout).toContain("No changes");
    const second = await snapshotId();
    expect(await written(ebs, second)).toEqual([3]);
    expect((await bytesIn(ebs, second)).equals(image)).toBe(true);

    configure(path, { retain: false, ebs: { tags: { team: "till" } } });
    await apply();
    expect((await ebs.get(second, {}))?.tags).toMatchObject({ team: "till" });
    await folder.must("destroy", "-auto-approve", "-no-color");
    expect((await ours(ebs)).map(({ id }) => id)).toEqual([first]);
  }, 120_000);

  it("is made in spite of trouble at AWS, and what cannot be mended is told", async () => {
    const path = writeOld(join(home.path, "shop.raw"), bytesOf(4, 10 * BLOCK));
    configure(path);
    await folder.must("init", "-no-color");
    let puts = 0;
    proxy.fault = ({ name }) => {
      if (name !== "PutSnapshotBlock") return undefined;
      return ++puts % 3 === 0
        ? { status: 503, type: "ServiceUnavailable" }
        : puts > 4
          ? { status: 403, type: "ExpiredTokenException" }
          : undefined;
    };
    const failed = await folder.run(["apply", "-auto-approve", "-no-color", "-input=false"]);
    expect(failed.code).toBe(1);
    expect(failed.stderr.replace(/\s+/g, " ")).toMatch(/the AWS credentials have expired/i);
    proxy.fault = () => undefined;
    const taken = new Set(proxy.puts()).size;
    proxy.calls.length = 0;
    await apply();
    expect(proxy.count("StartSnapshot")).toBe(0);
    expect(proxy.puts().length).toBeLessThanOrEqual(10);
    expect(taken).toBeGreaterThan(0);
    expect(await written(ebs, await snapshotId())).toHaveLength(10);
  }, 120_000);

  it("is refused with a region of its own, and where the agent makes none", async () => {
    const path = join(home.path, "empty.raw");
    writeFileSync(path, "x");
    truncateSync(path, BLOCK);
    configure(path, { ebs: { region: "eu-central-1" } });
    await folder.must("init", "-no-color");
    expect((await plan()).stderr).toContain("`ebs.region` is given beside `site`");
    await site.close();
    site = await startSite({ site: "cloud" });
    configure(path);
    const { stderr } = await folder.run(["apply", "-auto-approve", "-no-color", "-input=false"]);
    expect(stderr.replace(/\s+/g, " ")).toMatch(/this site's agent makes no snapshots/i);
  }, 120_000);
});
