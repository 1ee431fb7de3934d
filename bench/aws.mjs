/**
 * What AWS's bindings cost: the type-check of a small program, and the synth of many bursts into AWS.
 * `node bench/aws.mjs [--bursts=100] [--runs=3] [--json]`, after `npm run build` (the type-check needs the declarations).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const option = (name, otherwise) =>
  Number(process.argv.find((each) => each.startsWith(`--${name}=`))?.split("=")[1] ?? otherwise);
const bursts = option("bursts", 100);
const runs = option("runs", 3);
const GOALS = { typeCheckMs: 2_000, typeCheckMb: 250, synthMs: 3_000 };

const SYNTH = `
const started = performance.now();
const { AwsProvider } = require("@cdktf/provider-aws/lib/provider");
const { App, LocalBackend, TerraformStack } = require("cdktf");
const { Burst, Image, OnPremPool, Site } = require("spillway");
const { AwsCloud, AwsVpc, HostedZone, Route53Record } = require("spillway/aws");
const loaded = performance.now();
const app = new App({ outdir: process.env.OUT });
const stack = new TerraformStack(app, "shops");
new LocalBackend(stack, { path: "x" });
new AwsProvider(stack, "aws", { region: "eu-central-1" });
const vpc = AwsVpc.fromAttributes({ vpcId: "vpc-1", memberSubnetIds: ["subnet-1", "subnet-2"] });
const zone = HostedZone.fromAttributes({ zoneId: "Z1", zoneName: "example.com" });
for (let i = 0; i < ${bursts}; i++) {
  const site = new Site("onprem" + i, { endpoint: "https://a:1", address: "198.51.100." + i });
  new Burst(stack, "shop-" + i, {
    image: new Image({ source: "/images/shop.raw" }),
    onPrem: { pool: OnPremPool.fromAttributes(stack, "home-" + i, { site, poolName: "shop", port: 443, members: 8 }), memberCapacityRps: 200 },
    cloud: new AwsCloud({ vpc, instanceTypes: ["m6i.large", "m5.large"], tls: "none", allowFrom: ["0.0.0.0/0"] }),
    record: new Route53Record({ zone, name: "shop-" + i + ".example.com" }),
  });
}
const built = performance.now();
app.synth();
const done = performance.now();
console.log(JSON.stringify({ loadMs: loaded - started, buildMs: built - loaded, writeMs: done - built, synthMs: done - started, synthMb: process.resourceUsage().maxRSS / 1024 }));
`;

const PROGRAM = `
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, TerraformStack } from "cdktf";
import { AwsVpc } from "spillway/aws";
const stack = new TerraformStack(new App(), "shop");
new AwsProvider(stack, "aws", { region: "eu-central-1" });
export const vpc = AwsVpc.fromAttributes({ vpcId: "vpc-1", memberSubnetIds: ["subnet-1"] });
`;

const dir = mkdtempSync(join(tmpdir(), "spillway-bench-aws-"));
try {
  const results = Array.from({ length: runs }, () => ({ ...synth(), ...typeCheck() }));
  const best = Object.fromEntries(
    Object.keys(results[0]).map((key) => [key, Math.round(Math.min(...results.map((each) => each[key])))]),
  );
  if (process.argv.includes("--json")) console.log(JSON.stringify({ bursts, runs, goals: GOALS, ...best }));
  else {
    console.log(`the best of ${runs} runs, ${bursts} bursts`);
    for (const [name, value] of Object.entries(best))
      console.log(
        `${name.padEnd(14)}${String(value).padStart(8)}${name in GOALS ? `   goal ${GOALS[name]}` : ""}`,
      );
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}

function synth() {
  const env = { ...process.env, OUT: join(dir, "out") };
  return JSON.parse(must(process.execPath, ["-e", SYNTH], { cwd: root, env }));
}

function typeCheck() {
  const require = createRequire(import.meta.url);
  const file = join(root, `.bench-aws-${process.pid}.ts`);
  writeFileSync(file, PROGRAM);
  try {
    const measured = `const { spawnSync } = require("child_process"); const s = performance.now();
      const r = spawnSync(process.execPath, ${JSON.stringify([
        ...[require.resolve("typescript/bin/tsc"), "--noEmit", "--strict", "--skipLibCheck"],
        ...["--module", "node16", "--target", "es2022", "--types", "node", "--extendedDiagnostics", file],
      ])}, { encoding: "utf8" });
      if (r.status !== 0) { console.error(r.stdout); process.exit(1); }
      console.log(JSON.stringify({ typeCheckMs: performance.now() - s, typeCheckMb: Number(/Memory used: +(\\d+)K/.exec(r.stdout)[1]) / 1024 }));`;
    return JSON.parse(must(process.execPath, ["-e", measured], { cwd: root }));
  } finally {
    rmSync(file, { force: true });
  }
}

function must(command, args, options) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", ...options });
  if (status !== 0) throw new Error(stderr || stdout);
  return stdout;
}
