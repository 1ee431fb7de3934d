/**
 * How long from the hook's decision to the start of work, and how large the hook grows. Real parts: two site agents with members,
 * balancer and name server; `spillway run` as a process of its own, with its provider attached; real Terraform; real requests.
 */
import { execFileSync, spawn } from "node:child_process";
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { pack } from "tar-stream";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const built = createRequire(join(root, "dist", "package.json"));
const { startAgent } = built("./lib/site/agent");
const { clearSite, localPorts } = built("./providers/local");
const { writeCliConfig } = built("./providers/terraform/cli-config");

const ROUNDS = 5;
const MEMBER_RPS = 30;
const QUIET = {
  burst: false,
  cloud_members: 1,
  weights: { onprem: 100 },
  image_digest: null,
  reason: "quiet",
};
const POLICY = {
  burstAbove: 0.8,
  homeBelow: 0.5,
  confirmations: 2,
  homeAfterMs: 1_500,
  minimumStayMs: 1_000,
  targetUtilisation: 0.7,
  minCloudMembers: 1,
  maxCloudMembers: 1,
  launchEstimateMs: 1_000,
  intervalMs: 200,
};

/** @returns {Promise<{title: string, rows: {name: string, value: number, unit: string, goal: string, met: boolean}[]}>} */
export async function run() {
  const folder = mkdtempSync(join(tmpdir(), "spillway-bench-hook-"));
  const cleanUps = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const port = await freePort();
    const home = await startSite(folder, "onprem", cleanUps, true);
    const cloud = await startSite(folder, "cloud", cleanUps, false);
    const image = await makeImage(folder);
    const environment = await makeProject(folder, { home, cloud, image, port });
    const { starts, peakBytes } = await measure(folder, environment, port, cleanUps);
    const sorted = [...starts].sort((a, b) => a - b);
    const row = (name, value, unit, goal, limit) => ({ name, value, unit, goal, met: value <= limit });
    return {
      title: `Hook: from decision to start of work (${starts.length} bursts and ways home)`,
      rows: [
        row("median", Math.round(sorted[sorted.length >> 1]), "ms", "<= 1500", 1_500),
        row("slowest", Math.round(sorted.at(-1)), "ms", "<= 1500", 1_500),
        row("hook's peak memory", Math.round(peakBytes / 1e5) / 10, "MB", "< 150", 150),
      ],
    };
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

async function measure(folder, environment, port, cleanUps) {
  const hook = spawn(process.execPath, [join(root, "dist/cli/main.js"), "run", "--dir", folder, "--json"], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    // A Ctrl-C meant for the bench ends the hook by its clean-up, once.
    detached: true,
  });
  let complaint = "";
  hook.stderr.on("data", (chunk) => (complaint += chunk));
  const ended = new Promise((resolve) => hook.once("close", resolve));
  cleanUps.push(async () => {
    hook.kill("SIGINT");
    const firmly = setTimeout(() => hook.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(firmly);
  });
  const users = startUsers(port);
  cleanUps.push(users.stop);

  const starts = [];
  let decidedAt;
  let phase = "quiet";
  const rested = waiters();
  createInterface({ input: hook.stdout }).on("line", (line) => {
    const event = JSON.parse(line);
    if (event.kind === "decided") {
      if (["burst", "home"].includes(event.decision.action)) decidedAt = event.at;
      phase = event.decision.phase;
      rested.wake();
    }
    if (event.kind === "failed" || event.kind === "refused") complaint += `${line}\n`;
    const begins =
      event.kind === "progress" || (event.kind === "terraform" && event.event.type === "apply_start");
    if (begins && decidedAt !== undefined) {
      starts.push(event.at - decidedAt);
      decidedAt = undefined;
    }
  });
  const restsIn = (wanted) =>
    rested.until(
      () => phase === wanted,
      60_000,
      () => `the hook never came to rest in ${wanted}: ${complaint}`,
    );
  await restsIn("quiet");
  for (let round = 0; round < ROUNDS; round++) {
    users.rps = MEMBER_RPS * 1.2;
    await restsIn("burst");
    users.rps = 3;
    await restsIn("quiet");
  }
  return { starts, peakBytes: peakOf(hook.pid) };
}

/** The most memory the process ever had; where the system does not say that, what it has now. */
function peakOf(pid) {
  if (process.platform !== "linux") {
    return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1_024;
  }
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}

function startUsers(port) {
  const users = { rps: 3, stop: () => clearTimeout(timer) };
  let timer;
  const ask = () => {
    timer = setTimeout(ask, 1_000 / users.rps);
    http
      .get({ host: "127.0.1.1", port, agent: false }, (response) => response.resume())
      .on("error", () => {});
  };
  ask();
  return users;
}

function waiters() {
  const waiting = new Set();
  return {
    wake: () => waiting.forEach((look) => look()),
    until: (is, timeoutMs, complaint) =>
      new Promise((resolve, reject) => {
        const done = (settle) => {
          clearTimeout(timer);
          waiting.delete(look);
          settle();
        };
        const look = () => is() && done(resolve);
        const timer = setTimeout(() => done(() => reject(new Error(complaint()))), timeoutMs);
        waiting.add(look);
      }),
  };
}

async function startSite(folder, site, cleanUps, withNameServer) {
  const stateDir = join(folder, site);
  const token = `bench-token-of-${site}-0123456789`;
  const tokenFile = join(folder, `${site}.token`);
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const nameServer = withNameServer ? { host: "127.0.0.1", port: await freePort() } : undefined;
  const agent = await startAgent({
    site,
    stateDir,
    listen: { host: "127.0.0.1", port: 0 },
    token,
    ports: localPorts({ stateDir, nameServer }),
    log: () => {},
  });
  cleanUps.push(async () => {
    await agent.close();
    await clearSite(stateDir);
  });
  return { endpoint: agent.endpoint, tokenFile };
}

async function makeImage(folder) {
  const path = join(folder, "image.tar");
  const tar = pack();
  const writing = pipeline(tar, createWriteStream(path));
  tar.entry({ name: "member.json" }, JSON.stringify({ command: ["node", "server.cjs"] }));
  tar.entry(
    { name: "server.cjs" },
    'require("node:http").createServer((_, r) => r.end("ok")).listen(process.env.PORT, process.env.HOST);',
  );
  tar.finalize();
  await writing;
  return path;
}

async function makeProject(folder, { home, cloud, image, port }) {
  mkdirSync(join(folder, "desired"));
  writeFileSync(join(folder, "desired", "shop.tfvars.json"), JSON.stringify({ shop: QUIET }));
  const access = ({ endpoint, tokenFile }) => ({ endpoint, token_file: tokenFile });
  const pool = (address) => ({
    name: "shop",
    listen: { address, port },
    monitor: { interval: "100ms", timeout: "1s", rise: 1, fall: 2 },
    session_idle: "300ms",
    affinity: "none",
  });
  const when = "${var.shop.burst ? 1 : 0}";
  const lifecycle = { create_before_destroy: true };
  const answer = (site, address, id, gate) =>
    `{ site = "${site}", address = "${address}", weight = var.shop.weights["${site}"], pool = ${id}, gate = ${gate} }`;
  const program = {
    terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
    provider: { spillway: { sites: { onprem: access(home), cloud: access(cloud) } } },
    variable: {
      shop: {
        type: "object({ burst = bool, cloud_members = number, weights = map(number), image_digest = string, reason = string })",
      },
    },
    resource: {
      spillway_image_replica: {
        home: { site: "onprem", source: image },
        cloud: { count: when, site: "cloud", source: image, lifecycle },
      },
      spillway_pool: {
        home: {
          ...pool("127.0.1.1"),
          site: "onprem",
          members: 1,
          image_digest: "${spillway_image_replica.home.digest}",
        },
        cloud: {
          ...pool("127.0.2.1"),
          count: when,
          site: "cloud",
          members: "${var.shop.cloud_members}",
          image_digest: "${spillway_image_replica.cloud[0].digest}",
          lifecycle,
        },
      },
      spillway_gate: {
        cloud: {
          count: when,
          pool: "${spillway_pool.cloud[0].id}",
          monitor: { interval: "100ms" },
          successes: 2,
          quiet_period: "1s",
          record_ttl: 1,
          lifecycle,
        },
      },
      spillway_global_record: {
        shop: {
          name: "shop.example.test",
          name_server: "onprem",
          ttl: 1,
          answers:
            `\${concat([${answer("onprem", "127.0.1.1", "spillway_pool.home.id", "null")}], ` +
            `var.shop.burst ? [${answer("cloud", "127.0.2.1", "spillway_pool.cloud[0].id", "spillway_gate.cloud[0].id")}] : [])}`,
        },
      },
    },
  };
  writeFileSync(join(folder, "main.tf.json"), JSON.stringify(program));
  const side = (site, members) => ({ site, pool: "shop", memberCapacityRps: MEMBER_RPS, members });
  const manifest = {
    version: 1,
    variable: "shop",
    parametersFile: "desired/shop.tfvars.json",
    onPrem: side("onprem", 1),
    cloud: side("cloud", 1),
    sites: { onprem: home, cloud },
    record: { name: "shop.example.test", ttlSeconds: 1, nameServerSite: "onprem" },
    addresses: {
      replica: "spillway_image_replica.cloud",
      pool: "spillway_pool.cloud",
      gate: "spillway_gate.cloud",
      record: "spillway_global_record.shop",
    },
    policy: POLICY,
  };
  writeFileSync(join(folder, "spillway.json"), JSON.stringify({ bursts: { shop: manifest } }));
  const environment = {
    ...process.env,
    TF_CLI_CONFIG_FILE: writeCliConfig({ file: join(folder, "terraform.rc") }),
    TF_IN_AUTOMATION: "1",
    CHECKPOINT_DISABLE: "1",
    XDG_CACHE_HOME: join(folder, "cache"),
  };
  // Asynchronously: the agents live in this very process.
  await terraform(folder, environment, "init", "-input=false");
  await terraform(folder, environment, "apply", "-auto-approve", "-var-file=desired/shop.tfvars.json");
  return environment;
}

function terraform(cwd, env, ...args) {
  const tool = execFileSync("sh", ["-c", "command -v terraform || command -v tofu"], {
    encoding: "utf8",
  }).trim();
  return new Promise((resolve, reject) => {
    const child = spawn(tool, [...args, "-no-color"], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`${args[0]} ended with ${code}: ${said}`)),
    );
  });
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.2.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { title, rows } = await run();
  console.log(title);
  console.table(rows);
}
