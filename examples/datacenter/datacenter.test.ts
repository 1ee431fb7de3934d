import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { TerraformFolder } from "../../test/support/terraform-cli";

const HERE = __dirname;
const ROOT = join(HERE, "..", "..");

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-datacenter-test-"));
  const tsNode = join(ROOT, "node_modules", "ts-node", "dist", "bin.js");
  await promisify(execFile)(process.execPath, [tsNode, "--swc", join(HERE, "main.ts")], { cwd: dir });
}, 60_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const stackDir = () => join(dir, "cdktf.out", "stacks", "datacenter");

test("the program makes a stack that Terraform takes, without a lab", async () => {
  const terraform = new TerraformFolder(stackDir());
  await terraform.must("init");
  expect(await terraform.must("validate", "-no-color")).toContain("Success!");
});

test("users who come by the older name count at both sites", () => {
  const { resource } = JSON.parse(readFileSync(join(stackDir(), "cdk.tf.json"), "utf8")) as {
    resource: { spillway_pool: Record<string, { hosts: string[] }> };
  };
  const pools = Object.values(resource.spillway_pool);
  expect(pools.map(({ hosts }) => hosts)).toEqual([
    ["shop.example.test", "www.example.test"],
    ["shop.example.test", "www.example.test"],
  ]);
});

test("the page beside it shows the program as it is", () => {
  const readme = readFileSync(join(HERE, "README.md"), "utf8");
  expect(readme).toContain(`\`\`\`ts\n${readFileSync(join(HERE, "main.ts"), "utf8").trim()}\n\`\`\``);
});
