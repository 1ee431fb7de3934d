import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EbsService } from "../../../../providers/aws/ebs";
import { TerraformFolder } from "../../../support/terraform-cli";
import { bytesOf, writeOld } from "../../../lib/image/support/images";
import { describeWithMoto, SECRET, startMoto, type Moto } from "../../../support/aws/moto";
import { bytesIn, Home, openEbs, ours, written } from "./support/region";

const BLOCK = 512 * 1024;
let moto: Moto;
let home: Home;
let ebs: EbsService;
let folder: TerraformFolder;
const before = { ...process.env };

function configure(image: string, settings: object = {}): void {
  const replica = { target: "ebs", source: image, ...settings };
  const config = {
    terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
    provider: { spillway: {} },
    resource: { spillway_image_replica: { i: replica } },
    output: { snapshot: { value: "${spillway_image_replica.i.snapshot_id}" } },
  };
  writeFileSync(join(folder.folder, "main.tf.json"), JSON.stringify(config));
}
const apply = () => folder.must("apply", "-auto-approve", "-no-color", "-input=false");
const plan = () => folder.run(["plan", "-no-color", "-input=false", "-detailed-exitcode"]);
const snapshotId = async () => (await folder.must("output", "-raw", "snapshot")).trim();

describeWithMoto("spillway_image_replica with target ebs", () => {
  beforeEach(async () => {
    moto = await startMoto();
    Object.assign(process.env, moto.environment);
    home = new Home();
    ebs = await openEbs();
    mkdirSync(join(home.path, "tf"));
    folder = new TerraformFolder(join(home.path, "tf"), { XDG_CACHE_HOME: join(home.path, "xdg") });
  }, 40_000);
  afterEach(async () => {
    ebs.close();
    home.remove();
    await moto.stop();
    process.env = { ...before };
  });

  it("is planned, applied, changed and destroyed; a plan after each apply is empty", async () => {
    const image = bytesOf(1, 10 * BLOCK + 1_000);
    const path = writeOld(join(home.path, "shop.raw"), image);
    configure(path, { ebs: { tags: { team: "shop" } } });
    await folder.must("init", "-no-color");
    const planned = await plan();
    expect(planned.stdout).toMatch(/\+ send_bytes\s+= 5767168/);
    expect(planned.stdout).toMatch(/\+ id\s+= "ebs\/us-east-1\/sha256:/);
    await apply();
    expect((await plan()).stdout).toContain("No changes");
    const first = await snapshotId();
    expect((await bytesIn(ebs, first)).equals(image)).toBe(true);
    expect((await ebs.get(first, {}))?.tags).toMatchObject({ team: "shop", "spillway:complete": "true" });

    configure(path, { ebs: { tags: { team: "till", stage: "test" } } });
    expect((await plan()).stdout).toMatch(/0 to add, 1 to change, 0 to destroy/);
    await apply();
    expect((await ebs.get(first, {}))?.tags).toMatchObject({ team: "till", stage: "test" });

    bytesOf(2, 100).copy(image, 4 * BLOCK);
    writeOld(path, image);
    const next = await plan();
    expect(next.stdout).toMatch(/digest .*# forces replacement/);
    await apply();
    expect((await plan()).stdout).toContain("No changes");
    const second = await snapshotId();
    expect(await written(ebs, second)).toEqual([4]);
    expect((await bytesIn(ebs, second)).equals(image)).toBe(true);
    expect(await ours(ebs)).toHaveLength(2);

    configure(path, { retain: false, ebs: { tags: { team: "till", stage: "test" } } });
    await apply();
    await folder.must("destroy", "-auto-approve", "-no-color");
    expect((await ours(ebs)).map(({ id }) => id)).toEqual([first]);
    expect(readFileSync(join(folder.folder, "terraform.tfstate.backup"), "utf8")).not.toContain(SECRET);
  }, 120_000);

  it("that was deleted is planned again, and is imported by its snapshot or its digest", async () => {
    const path = writeOld(join(home.path, "shop.raw"), bytesOf(3, 3 * BLOCK));
    configure(path);
    await folder.must("init", "-no-color");
    await apply();
    const first = await snapshotId();
    await ebs.delete(first, {});
    expect((await plan()).stdout).toContain("spillway_image_replica.i will be created");
    await apply();
    const second = await snapshotId();
    expect(second).not.toBe(first);
    for (const id of [second, (await ebs.get(second, {}))!.tags["spillway:image"]]) {
      await folder.must("state", "rm", "spillway_image_replica.i");
      await folder.must("import", "-no-color", "spillway_image_replica.i", `ebs/us-east-1/${id}`);
      expect(await snapshotId().catch(() => second)).toBe(second);
    }
    const { code, stderr } = await folder.run(["import", "-no-color", "spillway_image_replica.i", "ebs/x"]);
    expect([code, existsSync(path)]).toEqual([1, true]);
    expect(stderr).not.toContain(SECRET);
  }, 120_000);

  it("is kept through silence, and told without a region, with wrong settings", async () => {
    const path = writeOld(join(home.path, "shop.raw"), bytesOf(4, 2 * BLOCK));
    configure(path, {
      site: null,
      ebs: { parent_snapshot_id: "snap-1", encrypted: true, tags: { "spillway:x": "y" } },
    });
    await folder.must("init", "-no-color");
    const wrong = await plan();
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain("cannot be given together with `encrypted`");
    expect(wrong.stderr).toContain('the tag "spillway:x" is not free');
    configure(path, { ebs: { parent_snapshot_id: "snap-0123456789abcdef0" } });
    expect((await plan()).stderr).toMatch(/there is no snapshot snap-0123456789abcdef0/i);
    configure(path);
    delete process.env.AWS_REGION;
    expect((await plan()).stderr).toMatch(/no AWS region is set/i);
    process.env.AWS_REGION = "us-east-1";
    await apply();
    const endpoint = process.env.AWS_ENDPOINT_URL;
    process.env.AWS_ENDPOINT_URL = "http://127.0.0.1:9";
    const silent = await plan();
    process.env.AWS_ENDPOINT_URL = endpoint;
    expect(silent.stdout).toContain("No changes");
    expect(silent.stdout).toContain("cannot be asked: what the state says of the snapshot is kept");
  }, 120_000);
});
