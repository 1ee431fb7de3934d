import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildShopImage } from "../../cli/demo/image";
import { startLoad } from "../../cli/demo/load";
import type { RunningLoad } from "../../cli/demo/load";
import { readParameters, writeParameters } from "../../lib/desired";
import { sleep } from "../../lib/wait";
import { freePort, startSite } from "../../test/support/site";
import type { TestSite } from "../../test/support/site";
import { TerraformFolder } from "../../test/support/terraform-cli";

const HERE = __dirname;
const ROOT = join(HERE, "..", "..");
const QUIET = readParameters(join(HERE, "desired", "shop.tfvars.json"))["shop"]!;
const OUT = {
  ...QUIET,
  burst: true,
  cloud_members: 2,
  weights: { onprem: 50, cloud: 50 },
  reason: "by hand",
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-shop-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const stackDir = () => join(dir, "cdktf.out", "stacks", "shop");

/** Runs the program in `dir`, as `npx ts-node --swc main.ts` does. */
async function synthesise(env: NodeJS.ProcessEnv = {}): Promise<Record<string, unknown>> {
  const tsNode = join(ROOT, "node_modules", "ts-node", "dist", "bin.js");
  await promisify(execFile)(process.execPath, [tsNode, "--swc", join(HERE, "main.ts")], {
    cwd: dir,
    env: { ...process.env, ...env },
  });
  return JSON.parse(readFileSync(join(stackDir(), "cdk.tf.json"), "utf8")) as Record<string, unknown>;
}

test("the program makes these resources", async () => {
  const { provider, resource, output } = await synthesise();
  const text = JSON.stringify(
    { provider, resource, output },
    (key, value: unknown) => (key === "//" ? undefined : value),
    2,
  );
  expect(text).toMatchSnapshot();
});

test("what it makes is valid, and sound without a lab", async () => {
  await synthesise();
  const terraform = new TerraformFolder(stackDir());
  await terraform.must("init");
  expect(await terraform.must("validate", "-no-color")).toContain("Success!");
});

describe("between two sites", () => {
  let onprem: TestSite;
  let cloud: TestSite;
  let terraform: TerraformFolder;
  let port: number;
  let load: RunningLoad | undefined;
  const parameters = () => join(dir, "desired", "shop.tfvars.json");

  beforeEach(async () => {
    port = await freePort("127.0.1.1");
    [onprem, cloud] = await Promise.all([
      startSite({ site: "onprem", address: "127.0.1.1", nameServer: true }),
      startSite({ site: "cloud", address: "127.0.2.1" }),
    ]);
    const image = join(dir, "images", "shop.tar");
    await buildShopImage({ path: image, version: "v1", sizeBytes: 2_000_000 });
    mkdirSync(join(dir, ".spillway"));
    const sites = Object.fromEntries(
      [onprem, cloud].map(({ site, endpoint, address, tokenFile }) => [
        site,
        { endpoint, address, tokenFile },
      ]),
    );
    writeFileSync(
      join(dir, ".spillway", "lab.json"),
      JSON.stringify({ sites, port, image: { path: "images/shop.tar" } }),
    );
    await synthesise();
    terraform = new TerraformFolder(stackDir());
    await terraform.must("init");
    writeParameters(parameters(), { shop: QUIET });
  }, 60_000);
  afterEach(async () => {
    await load?.stop();
    await Promise.all([onprem?.close(), cloud?.close()]);
  }, 60_000);

  const apply = () => terraform.must("apply", "-no-color", "-auto-approve", `-var-file=${parameters()}`);
  const planned = async () => {
    const { code, stdout, stderr } = await terraform.run([
      ...["plan", "-no-color", "-detailed-exitcode", `-var-file=${parameters()}`],
    ]);
    if (code === 1) throw new Error(stdout + stderr);
    return { changes: code === 2, text: stdout };
  };
  /** What both sites did since, in order, as `site kind`. */
  const eventsSince = async (since: number) => {
    const all = await Promise.all(
      [onprem, cloud].map(async ({ site, client }) => {
        const { events } = await client.events(0);
        return events.map((event) => ({ at: event.at, text: `${site} ${event.kind} ${event.detail}` }));
      }),
    );
    return all
      .flat()
      .filter(({ at }) => at >= since)
      .sort((a, b) => a.at - b.at)
      .map(({ text }) => text);
  };

  test("one apply goes out and one comes home, in order, and nobody loses a request", async () => {
    const plans: Record<string, string> = {};
    await apply();
    expect(await planned()).toMatchObject({ changes: false });
    load = await startLoad({
      name: "shop.example.test",
      nameServer: onprem.nameServer!,
      port,
      sites: { onprem: onprem.address, cloud: cloud.address },
      curve: { stepMs: 1_000, rps: [60] },
      users: 20,
    });

    let since = Date.now();
    writeParameters(parameters(), { shop: OUT });
    plans["out"] = (await planned()).text;
    await apply();
    expect(await planned()).toMatchObject({ changes: false });
    expectOrder(await eventsSince(since), [
      /^cloud image-complete/,
      /^cloud pool-created/,
      /^cloud member-launched/,
      /^cloud member-up/,
      /^cloud gate-opened/,
      /^onprem record-changed onprem 50, cloud 50/,
    ]);
    await usersIn(cloud);

    since = Date.now();
    writeParameters(parameters(), { shop: QUIET });
    plans["home"] = (await planned()).text;
    await apply();
    expect(await planned()).toMatchObject({ changes: false });
    const home = await eventsSince(since);
    expectOrder(home, [
      /^onprem record-changed onprem 100,/,
      /^cloud quiesce-changed moving all kept-alive users away/,
      /^cloud member-draining/,
      /^cloud member-ended/,
      /^cloud pool-gone/,
    ]);
    expect(home.filter((text) => text.startsWith("cloud member-draining"))).toEqual([
      "cloud member-draining 0 sessions",
      "cloud member-draining 0 sessions",
    ]);

    const totals = await load.stop();
    expect(totals.firstFailures).toEqual([]);
    expect(totals).toMatchObject({ failed: 0, heldBack: 0 });
    expect(totals.bySite["cloud"]).toBeGreaterThan(0);
    keepReadme(plans);

    since = Date.now();
    await terraform.must("destroy", "-no-color", "-auto-approve", `-var-file=${parameters()}`);
    expectOrder(await eventsSince(since), [
      /^onprem record-removed/,
      /^onprem member-ended/,
      /^onprem pool-gone/,
    ]);
  }, 120_000);
});

/** Users ask for the name again when its TTL is over. */
async function usersIn({ client }: TestSite): Promise<void> {
  for (let look = 0; look < 100; look += 1) {
    if (((await client.traffic("shop"))?.sessions ?? 0) > 0) return;
    await sleep(100);
  }
  throw new Error("no user came to the cloud within 10 s");
}

/** Each pattern's first match comes after the first match of the one before. */
function expectOrder(events: readonly string[], patterns: readonly RegExp[]): void {
  const positions = patterns.map((pattern) => events.findIndex((event) => pattern.test(event)));
  const told = events.join("\n");
  expect({ told, positions }).toEqual({ told, positions: positions.toSorted((a, b) => a - b) });
  expect({ told, missing: patterns.filter((_, i) => positions[i] === -1) }).toEqual({ told, missing: [] });
}

/**
 * README shows the program and the plans that it makes. Run with UPDATE_EXAMPLES=1 to write what they are now.
 */
function keepReadme(plans: Readonly<Record<string, string>>): void {
  const file = join(HERE, "README.md");
  const text = readFileSync(file, "utf8");
  const blocks: Record<string, string> = {
    "main.ts": fenced("ts", readFileSync(join(HERE, "main.ts"), "utf8")),
    "plan out": fenced("text", readable(plans["out"]!)),
    "plan home": fenced("text", inShort(readable(plans["home"]!))),
  };
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

/** A plan without what differs from run to run. */
function readable(plan: string): string {
  return plan
    .slice(plan.indexOf("Terraform will perform"), plan.indexOf("\n\n─"))
    .replace(/sha256:[0-9a-f]{64}/g, "sha256:0c5e…")
    .replace(/#[0-9a-f]{8}-[0-9a-f-]{27}/g, "#7d1f…")
    .replace(/(port\s+= |127\.0\.\d\.1:)\d+/g, "$18080");
}

/** Only what happens to each resource, and the record and the output in full. */
function inShort(plan: string): string {
  return plan
    .split(/\n(?= {2}# spillway_|\nPlan:|\nChanges to Outputs:)/)
    .map((part) => (/^ {2}# .* will be destroyed/.test(part) ? `${part.split("\n")[0]}\n` : part))
    .join("\n");
}
