import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Burst, OnPremPool, parseParameters, quietParameters } from "../../../lib";
import { TerraformFolder } from "../../support/terraform-cli";
import { DIGEST, cloud, image, newStack, onprem, problemsOf, synth } from "./support";

const QUIET = quietParameters({ onPremSite: "onprem" });
const OUT = { ...QUIET, burst: true, cloud_members: 3, weights: { onprem: 60, cloud: 40 }, reason: "peak" };
const SHAPE = { variable: "shop", onPrem: { site: "onprem" }, cloud: { site: "cloud" } };

let folder: string;
let terraform: TerraformFolder;

/** The burst's variable and output as Terraform gets them, and nothing else: this needs no site. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "spillway-variable-"));
  const stack = newStack();
  new Burst(stack, "shop", {
    image,
    onPrem: {
      pool: OnPremPool.fromAttributes(stack, "home", {
        site: onprem,
        poolName: "shop",
        port: 80,
        members: 2,
      }),
      memberCapacityRps: 40,
    },
    cloud: { site: cloud },
    record: { name: "shop.example.test", nameServer: onprem },
  });
  const { variable, output } = synth(stack);
  writeFileSync(join(folder, "main.tf.json"), JSON.stringify({ variable, output }));
  terraform = new TerraformFolder(folder);
  await terraform.must("init");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function plan(value?: unknown) {
  const args = ["plan", "-no-color", "-out=saved"];
  if (value !== undefined) {
    writeFileSync(join(folder, "given.tfvars.json"), JSON.stringify({ shop: value }));
    args.push("-var-file=given.tfvars.json");
  }
  const { code, stdout, stderr } = await terraform.run(args);
  return { code, text: `${stdout}${stderr}`.replace(/[│\s]+/g, " ") };
}

test("without a parameters file it is quiet, and every plan says why", async () => {
  const { code, text } = await plan();
  expect(code).toBe(0);
  expect(text).toContain(
    '+ shop_decision = { + burst = false + reason = "quiet" + weights = { + onprem = 100 } }',
  );
});

test.each([
  ["out", OUT],
  ["out with an image of its own", { ...OUT, image_digest: DIGEST }],
  ["all in the cloud", { ...OUT, weights: { cloud: 100 } }],
  ["launched but not yet directed to", { ...OUT, weights: { onprem: 100 } }],
  ["without digest and reason", { burst: true, cloud_members: 1, weights: { onprem: 60, cloud: 40 } }],
])("takes a state that is sound: %s", async (_, value) => {
  expect(await plan(value)).toMatchObject({ code: 0 });
  expect(problemsOf(() => parseParameters(JSON.stringify({ shop: value }), "f", [SHAPE]))).toEqual([]);
});

test.each([
  [{ ...OUT, cloud_members: 0 }, "`shop.cloud_members` must be a whole number of at least 1, got 0."],
  [{ ...OUT, cloud_members: 1.5 }, "`shop.cloud_members` must be a whole number of at least 1, got 1.5."],
  [{ ...OUT, weights: { onprem: 60, cloud: 30 } }, "`shop.weights` must add up to 100, got 90."],
  [{ ...OUT, weights: {} }, "`shop.weights` must add up to 100, got 0."],
  [
    { ...OUT, weights: { onprem: 100, cloud: 0 } },
    '`shop.weights` must be whole numbers from 1 to 100, got {"cloud":0,"onprem":100}.',
  ],
  [
    { ...OUT, weights: { onprem: 60, moon: 40 } },
    "names a site that the burst does not have, got moon, onprem.",
  ],
  [{ ...OUT, burst: false }, "`shop.weights` sends users to cloud while `burst` is false."],
  [{ ...OUT, image_digest: "latest" }, "`shop.image_digest` must be null or sha256:"],
])("refuses, in the plan and in the parameters file alike, %j", async (value, message) => {
  const { code, text } = await plan(value);
  expect(code).toBe(1);
  expect(text).toContain(message);
  expect(text).toContain("Mend it in desired/shop.tfvars.json:");
  expect(problemsOf(() => parseParameters(JSON.stringify({ shop: value }), "f", [SHAPE]))).toHaveLength(1);
});
