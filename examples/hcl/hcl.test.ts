import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadManifest } from "../../lib/hook";
import { freePort, makeImage, startSite, type TestSite } from "../../test/support/site";
import { TerraformFolder } from "../../test/support/terraform-cli";

let dir: string;
let home: TestSite | undefined;
let cloud: TestSite | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-hcl-"));
  for (const name of ["main.tf", "burst.tftest.hcl", "spillway.json", "desired"]) {
    cpSync(join(__dirname, name), join(dir, name), { recursive: true });
  }
});

afterEach(async () => {
  await Promise.all([home?.close(), cloud?.close()]);
  rmSync(dir, { recursive: true, force: true });
});

test("it is valid, formatted, and sound without a site", async () => {
  const terraform = new TerraformFolder(dir);
  await terraform.must("init");
  expect(await terraform.must("validate", "-no-color")).toContain("Success!");
  await terraform.must("fmt", "-check", "-recursive");
}, 60_000);

test("the hook finds the burst, and its parameters are the quiet state", () => {
  const { manifest, directories } = loadManifest(dir);
  expect(manifest.name).toBe("shop");
  expect(directories.project).toBe(dir);
});

test("terraform test takes it out, home again and down, with the provider installed from the mirror", async () => {
  home = await startSite({ site: "onprem", address: "127.0.1.1", nameServer: true });
  cloud = await startSite({ site: "cloud", address: "127.0.2.1" });
  const image = await makeImage({ dir: join(dir, "images") });
  const siteInfo = ({ endpoint, address, tokenFile }: TestSite) => ({ endpoint, address, tokenFile });
  const lab = {
    sites: { onprem: siteInfo(home), cloud: siteInfo(cloud) },
    image: { path: image.path },
    port: await freePort("127.0.2.1"),
  };
  mkdirSync(join(dir, ".spillway"));
  writeFileSync(join(dir, ".spillway", "lab.json"), JSON.stringify(lab));
  const terraform = new TerraformFolder(dir);
  await terraform.must("init");
  const said = await terraform.must("test", "-no-color");
  expect(said).toContain("Success! 3 passed, 0 failed.");
  expect(await cloud.client.pool("shop")).toBeUndefined();
  expect(await home.client.pool("shop")).toBeUndefined();
  expect(await home.client.record("shop.example.test")).toBeUndefined();
}, 120_000);
