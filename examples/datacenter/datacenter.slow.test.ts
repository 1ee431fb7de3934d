import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildShopImage } from "../../cli/demo/image";
import { startLoad, type LoadOptions, type RunningLoad } from "../../cli/demo/load";
import { readParameters, writeParameters } from "../../lib/desired";
import { findTerraform } from "../../lib/hook";
import { sleep } from "../../lib/wait";
import { PROVIDER_MIRROR } from "../../test/support/terraform-cli";
import { layOut, missingParts, missingRights, type Datacenter, type RunResult } from "./lab";

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

/** At a desk with root and all packages; in CI wherever the machine allows it: a package that is missing there is a failure. */
function describeInLab(title: string, body: () => void): void {
  const missing = process.env.CI ? missingRights() : missingParts();
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  const why = `not run: ${missing.map(({ problem }) => problem).join("; ")}`;
  process.stderr.write(`${title}: ${why}\n`);
  describe.skip(`${title} (${why})`, body);
}

describeInLab("two data centers over a WAN", () => {
  let dir: string;
  let lab: Datacenter;
  let terraform: string;
  let load: RunningLoad | undefined;
  const parameters = () => join(dir, "desired", "shop.tfvars.json");

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "spillway-two-sites-"));
    await buildShopImage({ path: join(dir, "images", "shop.tar"), version: "v1", sizeBytes: 12_000_000 });
    lab = await layOut({ dir: join(dir, ".spillway", "datacenter") });
    const tsNode = join(ROOT, "node_modules", "ts-node", "dist", "bin.js");
    await promisify(execFile)(process.execPath, [tsNode, "--swc", join(HERE, "main.ts")], { cwd: dir });
    // A provider that is built anew meanwhile would not fit the lock file any more.
    cpSync(PROVIDER_MIRROR, join(dir, "mirror"), { recursive: true });
    writeFileSync(
      join(dir, "terraform.rc"),
      `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(join(dir, "mirror"))}\n  }\n}\n`,
    );
    mkdirSync(join(dir, "desired"));
    terraform = (await findTerraform()).binary;
    await must("init", "-no-color");
    await apply(QUIET);
  }, 120_000);
  afterEach(async () => {
    await load?.stop().catch(() => undefined);
    load = undefined;
    await lab?.close();
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  /** From on premises, as an operator would. */
  const run = (...args: readonly string[]): Promise<RunResult> =>
    lab.run("onprem", [terraform, ...args], {
      cwd: join(dir, "cdktf.out", "stacks", "datacenter"),
      env: { TF_CLI_CONFIG_FILE: join(dir, "terraform.rc"), TF_IN_AUTOMATION: "1", CHECKPOINT_DISABLE: "1" },
    });
  const must = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await run(...args);
    if (code !== 0) throw new Error(`terraform ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  };
  const apply = (shop: typeof QUIET) => {
    writeParameters(parameters(), { shop });
    return must("apply", "-no-color", "-auto-approve", `-var-file=${parameters()}`);
  };
  const planned = async (shop: typeof QUIET) => {
    writeParameters(parameters(), { shop });
    const { code, stdout, stderr } = await run(
      ...["plan", "-no-color", "-detailed-exitcode", `-var-file=${parameters()}`],
    );
    if (code === 1) throw new Error(stdout + stderr);
    return { changes: code === 2, text: stdout };
  };
  const usersCome = (habits: Partial<LoadOptions> = {}) =>
    startLoad(
      {
        name: "shop.example.test",
        nameServer: `${lab.nameServer.host}:${lab.nameServer.port}`,
        port: lab.port,
        sites: { onprem: lab.addresses.onprem, cloud: lab.addresses.cloud },
        curve: { stepMs: 1_000, rps: [60, 60] },
        users: 20,
        ownAddresses: false,
        ttlIgnoringFactor: 2,
        ...habits,
      },
      {},
      ["ip", "netns", "exec", lab.namespaces.clients],
    );
  /** What Prometheus says: value by job and site. */
  const scraped = async (query: string): Promise<Record<string, string>> => {
    const { stdout } = await lab.run("onprem", [
      ...["curl", "-sG", `${lab.prometheus?.endpoint}/api/v1/query`, "--data-urlencode", `query=${query}`],
    ]);
    const { data } = JSON.parse(stdout) as {
      data: { result: { metric: { job: string; site: string }; value: [number, string] }[] };
    };
    return Object.fromEntries(
      data.result.map(({ metric, value }) => [`${metric.job} ${metric.site}`, value[1]]),
    );
  };
  const dig = async (name: string) =>
    (await lab.run("clients", ["dig", "+short", name])).stdout.trim().split("\n").filter(Boolean);
  const answers = async (times: number) => {
    const seen = new Set<string>();
    for (let time = 0; time < times; time++)
      for (const answer of await dig("shop.example.test")) seen.add(answer);
    return [...seen].sort();
  };

  test("one apply goes out over the WAN and one comes home, and nobody loses a request", async () => {
    const plans: Record<string, string> = {};
    expect(await planned(QUIET)).toMatchObject({ changes: false });
    load = await usersCome();

    plans["out"] = (await planned(OUT)).text;
    await apply(OUT);
    expect(await planned(OUT)).toMatchObject({ changes: false });
    expect(await answers(40)).toEqual([lab.addresses.onprem, lab.addresses.cloud]);
    await sleep(6_000);

    plans["home"] = (await planned(QUIET)).text;
    const began = Date.now();
    await apply(QUIET);
    const tookMs = Date.now() - began;
    expect(await planned(QUIET)).toMatchObject({ changes: false });
    expect(await answers(10)).toEqual([lab.addresses.onprem]);

    const totals = await load.stop();
    load = undefined;
    expect(totals.firstFailures).toEqual([]);
    expect(totals).toMatchObject({ failed: 0, heldBack: 0 });
    expect(totals.bySite["cloud"]).toBeGreaterThan(0);
    // PowerDNS goes on to probe a site for a minute after its last answer: that keeps no gate open.
    expect(tookMs).toBeLessThan(45_000);
    expect(await scraped("up")).toMatchObject({
      "haproxy onprem": "1",
      "haproxy cloud": "1",
      "node cloud": "1",
    });
    // What was in the zone before is as it was.
    expect(await dig("office.example.test")).toEqual([lab.addresses.onprem]);
    expect((await dig("www.example.test"))[0]).toBe("shop.example.test.");
    keepReadme(plans);

    await must("destroy", "-no-color", "-auto-approve", `-var-file=${parameters()}`);
    expect(await dig("shop.example.test")).toEqual([]);
    await lab.close();
    expect(existsSync(lab.dir)).toBe(false);
    expect(readdirSync("/run/netns").filter((name) => Object.values(lab.namespaces).includes(name))).toEqual(
      [],
    );
  }, 300_000);

  test("a site that is cut off is answered no more, those at the other are served, and it converges when it is back", async () => {
    await apply(OUT);
    expect(await answers(40)).toEqual([lab.addresses.onprem, lab.addresses.cloud]);
    lab.cut("cloud");
    // Health checks: one a second, two seconds of patience.
    await sleep(6_000);
    expect(await answers(30)).toEqual([lab.addresses.onprem]);
    // Whoever comes now knows nothing of before.
    load = await usersCome({ ttlIgnoringShare: 0 });
    await sleep(5_000);
    const during = await load.stop();
    load = undefined;
    expect(during.firstFailures).toEqual([]);
    expect(during.failed).toBe(0);
    expect(during.requests).toBeGreaterThan(200);
    expect(Object.keys(during.bySite)).toEqual(["onprem"]);

    // A site that does not answer keeps nobody from planning: it is how a dead one is taken out of the record.
    const blind = (await planned(QUIET)).text;
    expect(blind.replace(/[│\s]+/g, " ")).toContain(
      'Site "cloud" cannot be asked: what the state says of it is kept',
    );

    lab.heal("cloud");
    await sleep(4_000);
    expect(await answers(40)).toEqual([lab.addresses.onprem, lab.addresses.cloud]);
    await apply(OUT);
    expect(await planned(OUT)).toMatchObject({ changes: false });
    load = await usersCome();
    await sleep(2_000);
    await apply(QUIET);
    const after = await load.stop();
    load = undefined;
    expect(after.firstFailures).toEqual([]);
    expect(await planned(QUIET)).toMatchObject({ changes: false });
  }, 300_000);

  test("users of a resolver that never asks again are served until they leave, and only then the site goes", async () => {
    await apply(OUT);
    const { cloud } = lab.addresses;
    const served: string[] = [];
    let staying = true;
    const user = (async () => {
      while (staying) {
        const { stdout } = await lab.run("clients", [
          ...["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5"],
          ...["--resolve", `shop.example.test:${lab.port}:${cloud}`, `http://shop.example.test:${lab.port}/`],
        ]);
        served.push(stdout);
        await sleep(500);
      }
    })();
    let isHome = false;
    const home = apply(QUIET).then(() => (isHome = true));
    // Three times what TTL and quiet period add up to.
    await sleep(24_000);
    expect({ isHome, answers: await answers(10) }).toEqual({
      isHome: false,
      answers: [lab.addresses.onprem],
    });
    staying = false;
    await user;
    await home;
    expect(served.length).toBeGreaterThan(20);
    expect(served.filter((status) => status !== "200")).toEqual([]);
  }, 300_000);
});

/** README shows the program and the plans that it makes. Run with UPDATE_EXAMPLES=1 to write what they are now. */
function keepReadme(plans: Readonly<Record<string, string>>): void {
  const file = join(HERE, "README.md");
  const text = readFileSync(file, "utf8");
  const blocks: Record<string, string> = {
    "main.ts": fenced("ts", readFileSync(join(HERE, "main.ts"), "utf8")),
    "plan out": fenced("text", readable(plans["out"]!)),
    "plan home": fenced("text", readable(plans["home"]!)),
  };
  const now = Object.entries(blocks).reduce(
    (all, [name, block]) =>
      all.replace(
        new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- / -->)`),
        (_, open: string, close: string) => open + block + close,
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
    .replace(/(eta\s+= )".*"/g, '$1"…"')
    .replace(/((?:present_bytes|send_bytes|ratio|rate_mbps)\s+= )[\d.]+/g, "$1…");
}
