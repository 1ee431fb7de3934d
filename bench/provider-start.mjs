/**
 * What the Terraform provider adds: to the start of a command (against a bare Node), and to the CPU of a plan that changes nothing
 * (1,000 pools against 1,000 `terraform_data`). `--json` prints JSON.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main, start } from "./support/run.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const built = createRequire(join(root, "dist", "package.json"));

const STARTS = 15;
const PLANS = 4;
const RESOURCES = 1_000;
const DIGEST = `sha256:${"5".repeat(64)}`;

/** @returns {Promise<{title: string, rows: {name: string, value: number, unit: string, goal?: string, met?: boolean}[]}>} */
export async function run() {
  const starts = await measureStarts();
  const plans = await measurePlans();
  return { title: "Terraform provider: start and plan", rows: [...starts, ...plans] };
}

const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];
const round = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits;

// ------------------------------------------------------------------ start

async function measureStarts() {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const provider = join(
    root,
    `dist/mirror/registry.terraform.io/spillway/spillway/${version}`,
    `${process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`,
    `terraform-provider-spillway_v${version}`,
  );
  const environment = {
    ...process.env,
    TF_PLUGIN_MAGIC_COOKIE: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
    PLUGIN_PROTOCOL_VERSIONS: "5,6",
    PLUGIN_CLIENT_CERT: clientCertificate(),
  };
  const bare = [];
  const ready = [];
  // By turns: what else runs on this machine disturbs both alike.
  for (let turn = 0; turn < STARTS; turn += 1) {
    bare.push(await timeUntil(process.execPath, ["-e", "0"], process.env, "exit"));
    ready.push(await timeUntil(provider, [], environment, "line"));
  }
  const more = median(ready) - median(bare);
  const row = (name, value) => ({ name, value: Math.round(value), unit: "ms" });
  return [
    row(`bare node -e 0, median of ${STARTS}`, median(bare)),
    row(`provider ready, median of ${STARTS}`, median(ready)),
    row("provider ready, fastest", Math.min(...ready)),
    { ...row("provider ready, more than a bare node", more), goal: "<= 100", met: more <= 100 },
  ];
}

/** Terraform's own certificate has another curve; its provider does not mind. */
function clientCertificate() {
  return built("./providers/terraform/plugin/serve/certificate").localhostCertificate().pem;
}

function timeUntil(command, args, env, event) {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "ignore"] });
    const done = () => resolve(Number(process.hrtime.bigint() - started) / 1e6);
    child.once("error", reject);
    if (event === "exit") child.once("exit", done);
    else {
      child.stdout.once("data", (line) => {
        if (!/^1\|6\|/.test(line)) reject(new Error(`the provider said: ${line}`));
        done();
        child.kill("SIGTERM");
      });
    }
  });
}

// ------------------------------------------------------------------- plan

async function measurePlans() {
  const folder = mkdtempSync(join(tmpdir(), "spillway-bench-plan-"));
  const { child, lines } = start("site-responder.mjs", JSON.stringify(POOL_SPEC), "cloud");
  try {
    const { value: port } = await lines.next();
    const environment = {
      PATH: process.env.PATH,
      HOME: folder,
      CHECKPOINT_DISABLE: "1",
      SPILLWAY_TOKEN: "bench",
      TF_CLI_CONFIG_FILE: cliConfig(folder),
    };
    const workspaces = Object.entries(kinds(port)).map(([name, { config, state }]) => {
      const directory = join(folder, name);
      mkdirSync(directory);
      writeFileSync(join(directory, "main.tf"), config);
      terraform(directory, environment, "init");
      writeFileSync(join(directory, "terraform.tfstate"), JSON.stringify(state));
      return { name, directory, cpuMs: [] };
    });
    for (let turn = 0; turn < PLANS; turn += 1) {
      for (const { directory, cpuMs } of workspaces) {
        const before = childrenCpuMs();
        terraform(directory, environment, "plan", "-detailed-exitcode");
        cpuMs.push(childrenCpuMs() - before);
      }
    }
    const [pools, same, word] = workspaces.map(({ cpuMs }) => median(cpuMs) / 1_000);
    const row = (name, value, unit) => ({ name, value: round(value, 2), unit });
    return [
      row(`no-op plan of ${RESOURCES} spillway_pool, CPU`, pools, "s"),
      row(`no-op plan of ${RESOURCES} terraform_data with the same values, CPU`, same, "s"),
      { ...row("pools against those", pools / same, "times"), goal: "<= 3", met: pools / same <= 3 },
      row(`no-op plan of ${RESOURCES} terraform_data of one word, CPU`, word, "s"),
      { ...row("pools against those", pools / word, "times"), goal: "<= 3", met: pools / word <= 3 },
    ];
  } finally {
    child.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A mirror of its own: a build that goes on meanwhile would change the one in dist. */
function cliConfig(folder) {
  const mirror = join(folder, "mirror");
  cpSync(join(root, "dist", "mirror"), mirror, { recursive: true });
  return built("./providers/terraform/cli-config").writeCliConfig({
    file: join(folder, "terraform.rc"),
    mirror,
  });
}

const POOL = {
  id: "cloud/p0",
  site: "cloud",
  name: "p0",
  owner: "terraform",
  image_digest: DIGEST,
  members: 3,
  listen: { address: "127.0.2.1", port: 8080, mode: "http" },
  monitor: {
    type: "http",
    path: "/",
    expect_status: 200,
    interval: "2s",
    timeout: "1s",
    rise: 2,
    fall: 3,
  },
  affinity: "cookie",
  max_connections: 0,
  session_idle: "30s",
  environment: null,
  launch_timeout: "2m",
  drain_timeout: "10m",
  timeouts: null,
  address: "127.0.2.1:8080",
  status: "ready",
};

/** The same as the site's agent tells it. */
const POOL_SPEC = {
  owner: "terraform",
  image: DIGEST,
  members: 3,
  listen: POOL.listen,
  monitor: {
    type: "http",
    path: "/",
    expectStatus: 200,
    intervalMs: 2_000,
    timeoutMs: 1_000,
    rise: 2,
    fall: 3,
  },
  affinity: "cookie",
  maxConnections: 0,
  sessionIdleMs: 30_000,
  environment: {},
  launchTimeoutMs: 120_000,
  drainTimeoutMs: 600_000,
};

function kinds(port) {
  const data = "terraform.io/builtin/terraform";
  const copy = (index) => JSON.parse(JSON.stringify(POOL).replaceAll("p0", `p${index}`));
  const same = `jsondecode(replace(${JSON.stringify(JSON.stringify(POOL))}, "p0", "p\${count.index}"))`;
  const dataOf = (input, type) => ({
    input: { value: input, type },
    output: { value: input, type },
    triggers_replace: null,
    id: "2a6ba1ec-4b15-3a8d-0000-000000000000",
  });
  return {
    pools: {
      config: `
        terraform {
          required_providers {
            spillway = { source = "spillway/spillway" }
          }
        }
        provider "spillway" {
          sites = { cloud = { endpoint = "http://127.0.0.1:${port}" } }
        }
        resource "spillway_pool" "it" {
          count        = ${RESOURCES}
          site         = "cloud"
          name         = "p\${count.index}"
          image_digest = "${DIGEST}"
          members      = 3
          listen       = { address = "127.0.2.1", port = 8080 }
        }`,
      state: stateOf("spillway_pool", "registry.terraform.io/spillway/spillway", copy),
    },
    same: {
      config: `resource "terraform_data" "it" {\n  count = ${RESOURCES}\n  input = ${same}\n}`,
      state: stateOf("terraform_data", data, (index) => dataOf(copy(index), typeOf(POOL))),
    },
    word: {
      config: `resource "terraform_data" "it" {\n  count = ${RESOURCES}\n  input = "word"\n}`,
      state: stateOf("terraform_data", data, () => dataOf("word", "string")),
    },
  };
}

function stateOf(type, provider, attributesOf) {
  const instances = Array.from({ length: RESOURCES }, (_, index) => ({
    index_key: index,
    schema_version: 0,
    attributes: attributesOf(index),
    sensitive_attributes: [],
  }));
  const resource = { mode: "managed", type, name: "it", provider: `provider["${provider}"]`, instances };
  return {
    version: 4,
    terraform_version: "1.5.0",
    serial: 1,
    lineage: "bench",
    outputs: {},
    resources: [resource],
  };
}

/** A value's type, as Terraform writes it. */
function typeOf(value) {
  if (value === null) return "dynamic";
  if (typeof value === "boolean") return "bool";
  if (typeof value !== "object") return typeof value;
  return ["object", Object.fromEntries(Object.entries(value).map(([name, part]) => [name, typeOf(part)]))];
}

function terraform(cwd, env, ...args) {
  const { status, stdout, stderr, error } = spawnSync("terraform", [...args, "-no-color"], {
    cwd,
    env,
    encoding: "utf8",
  });
  if (error) throw error;
  // 2 would be a plan that is not empty.
  if (status !== 0)
    throw new Error(`terraform ${args[0]} ended with ${status}:\n${stdout.slice(0, 2_000)}${stderr}`);
}

/** CPU of this process's ended children, and of theirs: Terraform and its plugins. Linux counts it in ticks of 10 ms. */
function childrenCpuMs() {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

await main(import.meta.url, run);
