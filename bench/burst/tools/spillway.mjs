import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import * as COURSE from "../course.mjs";
import { writeImage } from "../support/image.mjs";

const built = createRequire(new URL("../../../dist/package.json", import.meta.url));
const CLI = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const STACK = fileURLToPath(new URL("../stack.mjs", import.meta.url));

/** Members in the cloud: as many as the script starts. */
const POLICY = {
  burstAbove: COURSE.BURST_ABOVE_RPS / COURSE.HOME_RPS,
  homeBelow: COURSE.HOME_BELOW_RPS / COURSE.HOME_RPS,
  homeAfterMs: COURSE.HOME_AFTER_MS,
  intervalMs: COURSE.LOOK_EVERY_MS,
  confirmations: 2,
  minimumStayMs: 5_000,
  launchEstimateMs: 3_000,
  minCloudMembers: 2,
  maxCloudMembers: 2,
};

/** The stack of ../stack.mjs: applied once, then `spillway run` does the rest. All of it runs on premises. */
export const spillway = {
  name: "spillway",
  title: "Spillway",
  async prepare({ lab, directory, benchCase, recordName }) {
    mkdirSync(join(directory, "desired"), { recursive: true });
    const imagePath = join(directory, "shop.tar");
    await writeImage(imagePath);
    const access = (name) => {
      const { endpoint, address, tokenFile, caFile } = lab.site(name);
      return { endpoint, address, tokenFile, caFile };
    };
    const what = join(directory, "bench.json");
    writeFileSync(
      what,
      JSON.stringify({
        sites: { onprem: access("onprem"), cloud: access("cloud") },
        imagePath,
        name: recordName,
        port: lab.port,
        ttlSeconds: COURSE.RECORD_TTL_SECONDS,
        homeRps: COURSE.HOME_RPS,
        // A WebSocket takes a place for as long as it is open: with them the members queue for themselves.
        maxConnections: benchCase.liveMessagesPerSecond > 0 ? 0 : 4,
        policy: POLICY,
        statePath: join(directory, "burst.tfstate"),
      }),
    );
    writeFileSync(
      join(directory, "cdktf.json"),
      JSON.stringify({ language: "typescript", app: `node ${STACK}` }),
    );
    const { quietParameters, writeParameters } = built("./lib/desired");
    const parametersFile = join(directory, "desired", "shop.tfvars.json");
    writeParameters(parametersFile, { shop: quietParameters({ onPremSite: "onprem", cloudMembers: 2 }) });
    const synthesised = spawnSync(process.execPath, [STACK], {
      cwd: directory,
      env: { ...process.env, BENCH_BURST: what },
      encoding: "utf8",
    });
    if (synthesised.status !== 0) throw new Error(`the stack cannot be synthesised: ${synthesised.stderr}`);
    await firstApply(lab, directory, parametersFile);
    await membersUp(lab);
    return session(lab, directory);
  },
};

async function firstApply(lab, directory, parametersFile) {
  const { standaloneTerraform } = built("./cli/terraform-environment");
  const scratch = join(directory, "first-apply");
  mkdirSync(scratch);
  const env = {
    ...standaloneTerraform(scratch, join(scratch, "progress.jsonl")),
    TF_IN_AUTOMATION: "1",
    CHECKPOINT_DISABLE: "1",
  };
  const cwd = join(directory, "cdktf.out", "stacks", "burst");
  for (const args of [
    ["init", "-input=false", "-no-color"],
    ["apply", "-input=false", "-no-color", "-auto-approve", `-var-file=${parametersFile}`],
  ]) {
    const done = await lab.run("onprem", ["terraform", ...args], { cwd, env, timeoutMs: 90_000 });
    if (done.code !== 0) throw new Error(`terraform ${args[0]} failed: ${done.stdout}\n${done.stderr}`);
  }
}

/** A launched member is not an available one. */
async function membersUp(lab) {
  const { address } = lab.site("onprem");
  const code = `fetch("http://${address}:${lab.port}/healthz").then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))`;
  for (let good = 0, tries = 0; good < 5; tries++) {
    if (tries > 100) throw new Error("the members on premises are not up");
    good = (await lab.run("clients", [process.execPath, "-e", code])).code === 0 ? good + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function session(lab, directory) {
  const events = [];
  let child;
  let ended;
  const isHome = () => {
    const home = events.findIndex(({ kind, decision }) => kind === "decided" && decision.action === "home");
    return home !== -1 && events.slice(home).some(({ kind }) => kind === "applied");
  };
  return {
    begin() {
      child = lab.spawn("onprem", [process.execPath, CLI, "run", "--dir", directory, "--json"], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let complaint = "";
      child.stderr.setEncoding("utf8").on("data", (text) => (complaint += text));
      ended = new Promise((resolve) => child.once("close", (code) => resolve({ code, complaint })));
      createInterface({ input: child.stdout }).on("line", (line) => {
        events.push(JSON.parse(line));
        writeFileSync(join(directory, "hook.jsonl"), `${line}\n`, { flag: "a" });
      });
    },
    async home() {
      while (!isHome()) {
        const done = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100))]);
        if (done) throw new Error(`the hook ended early with ${done.code}: ${done.complaint}`);
      }
    },
    async stop() {
      if (child === undefined || child.exitCode !== null) return;
      child.kill("SIGINT");
      await ended;
    },
    /** What went wrong on the way, said by the hook. */
    complaints: () =>
      events
        .filter(({ kind }) => kind === "failed" || kind === "problem" || kind === "refused")
        .map((event) => event.problem ?? event.message ?? "refused"),
  };
}
