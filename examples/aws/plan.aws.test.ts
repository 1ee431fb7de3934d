import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { priceBook } from "../../cli/prices";
import { readParameters } from "../../lib/desired";
import { parsePlan, renderMarkdown } from "../../lib/review";
import { costOf } from "../../lib/review/cost";
import { AwsTerraform, describeWithAws, makeGround, startAws, type AwsWorld } from "../../test/support/aws";

const REGION = "eu-central-1";
const ROOT = join(__dirname, "..", "..");
const QUIET = readParameters(join(__dirname, "desired", "shop.tfvars.json"))["shop"]!;
const OUT = {
  ...QUIET,
  burst: true,
  cloud_members: 3,
  weights: { onprem: 60, aws: 40 },
  reason: "by hand",
};

describeWithAws("the example, by AWS's own provider", () => {
  let folder: string;
  let world: AwsWorld;
  let terraform: AwsTerraform;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "spillway-example-aws-"));
    world = await startAws();
    const { vpcId, subnetIds, zoneId } = await makeGround(world.direct, { region: REGION });
    const environment = {
      ...world.environment,
      AWS_REGION: REGION,
      XDG_CACHE_HOME: join(folder, "cache"),
    };
    await synthesise({
      ...environment,
      SHOP_VPC: vpcId,
      SHOP_MEMBER_SUBNETS: subnetIds.join(","),
      SHOP_PUBLIC_SUBNETS: subnetIds.join(","),
      SHOP_ZONE: zoneId,
      SHOP_IMAGE: "images/shop.raw",
    });
    writeImage(join(folder, "images", "shop.raw"));
    terraform = new AwsTerraform(environment, join(folder, "cdktf.out", "stacks", "shop"));
    await terraform.must("init", "-input=false", "-no-color");
  });
  afterAll(async () => {
    await world?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const synthesise = (environment: NodeJS.ProcessEnv) =>
    promisify(execFile)(
      process.execPath,
      [join(ROOT, "node_modules", "ts-node", "dist", "bin.js"), "--swc", join(__dirname, "main.ts")],
      { cwd: folder, env: { ...process.env, ...environment } },
    );

  it("is valid, settles when it is quiet, and its README shows what a burst would do and cost", async () => {
    expect(await terraform.must("validate", "-no-color")).toContain("Success!");
    await terraform.apply({ shop: QUIET });
    // AWS fills in what nobody wrote: the second apply has that in the state too.
    await terraform.apply({ shop: QUIET });
    expect(await terraform.settled({ shop: QUIET })).toBe("nothing");

    const plan = await terraform.must(
      ...["plan", "-no-color", "-input=false", "-out=out.tfplan", `-var=shop=${JSON.stringify(OUT)}`],
    );
    const model = parsePlan(await terraform.must("show", "-json", "out.tfplan"));
    const cost = costOf(model, priceBook(undefined));
    const review = renderMarkdown(model, { now: Date.now(), cost });
    keepReadme({
      "plan out": fenced("text", inShort(readable(plan))),
      "review out": fenced("markdown", readable(review)),
    });
  });
});

/** A disk of 8 GiB, of which 3 MiB were ever written. */
function writeImage(path: string): void {
  mkdirSync(dirname(path));
  writeFileSync(path, Buffer.alloc(3 << 20, "a shop"));
  truncateSync(path, 8 * 2 ** 30);
}

/** README shows what the program plans. Run with UPDATE_EXAMPLES=1 to write what that is now. */
function keepReadme(blocks: Readonly<Record<string, string>>): void {
  const file = join(__dirname, "README.md");
  const text = readFileSync(file, "utf8");
  const now = Object.entries(blocks).reduce(
    (all, [name, block]) =>
      all.replace(
        new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- / -->)`),
        (_, open, close) => open + block + close,
      ),
    text,
  );
  if (process.env["UPDATE_EXAMPLES"] === "1") writeFileSync(file, now);
  else expect(text).toBe(now);
}

const fenced = (language: string, body: string) => `\n\`\`\`${language}\n${body.trim()}\n\`\`\`\n\n`;

/** Without what differs from run to run. */
function readable(text: string): string {
  const from = text.indexOf("Terraform will perform");
  const to = text.indexOf("\n\n─");
  return (from === -1 ? text : text.slice(from, to === -1 ? undefined : to))
    .replace(/sha256:[0-9a-f]{64}/g, "sha256:2ea7…")
    .replace(/\b(subnet|sg|vpc)-[0-9a-f]{8,}/g, "$1-…")
    .replace(/(targetgroup\/[\w-]+\/)[0-9a-f]+/g, "$1…")
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "…")
    .replace(/\b[A-Z0-9]{20,24}(?=\b|_)/g, "Z…");
}

/** What will only be known after the apply is left out, but for what ties the resources together. */
function inShort(plan: string): string {
  const ties = /^\s+\+ (image_id|load_balancer_arn|launch_template_id|snapshot_id|root_snapshot_id|version) /;
  return plan
    .split("\n")
    .filter((line) => !line.endsWith("(known after apply)") || ties.test(line))
    .filter((line, index, all) => line !== "" || all[index - 1] !== "")
    .join("\n");
}
