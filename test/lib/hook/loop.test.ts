import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DesiredParameters } from "../../../lib/desired";
import {
  readJournal,
  readStatus,
  runHook,
  stateDirectory,
  type HookEvent,
  type HookOptions,
} from "../../../lib/hook";
import { makeProject, MANIFEST, POLICY, type Project, type StackOptions } from "./support/stack";
import { Events, terraform, World } from "./support/world";

let project: Project;
let stopping: (() => Promise<void>) | undefined;

function given(options?: StackOptions): Project {
  project = makeProject(options);
  return project;
}

afterEach(async () => {
  await stopping?.();
  stopping = undefined;
  project.remove();
});

/** Starts a hook; it is stopped after the test. */
function start(world: World, more: Partial<HookOptions> = {}): { events: Events; stop: () => Promise<void> } {
  const events = new Events();
  const controller = new AbortController();
  const running = runHook({
    manifest: MANIFEST,
    directories: project.directories,
    mode: "apply",
    observe: world.observe,
    signal: controller.signal,
    onEvent: events.push,
    verifyTimeoutMs: 100,
    backOff: { firstMs: 100, longestMs: 200 },
    ...more,
  });
  running.catch(() => undefined);
  const stop = async () => {
    controller.abort();
    await running;
  };
  stopping = stop;
  return { events, stop };
}

function parameters(): DesiredParameters {
  return (JSON.parse(readFileSync(project.parametersFile, "utf8")) as { shop: DesiredParameters }).shop;
}

function happened(): string[] {
  return existsSync(project.log) ? readFileSync(project.log, "utf8").trim().split("\n") : [];
}

function deployed(): void {
  terraform(project.directories.stack, "apply", "-auto-approve", `-var-file=${project.parametersFile}`);
}

test("a peak goes out and comes home again through real applies, and a plan afterwards is empty", async () => {
  given();
  deployed();
  const world = new World();
  const { events, stop } = start(world);
  await events.until((event) => event.kind === "applied");

  world.demandRps = 600;
  await events.until((event) => event.kind === "applied" && event.changed);
  const [flipped] = events.of("flipped").filter((event) => event.parameters.burst);
  expect(flipped?.parameters).toMatchObject({ cloud_members: 5, weights: { cloud: 56, onprem: 44 } });
  expect(flipped?.parameters.reason).toMatch(
    /^demand 600 rps, forecast \d+ rps in .*, on-premises capacity 400 rps: \d+ % > 80 % for \d observations: 5 cloud members$/,
  );
  expect(terraform(project.directories.stack, "output", "-json", "shop")).toContain('"burst":true');

  const out = events.all.length;
  world.demandRps = 60;
  await events.until((event) => event.kind === "decided" && event.decision.phase === "quiet", 15_000, out);
  expect(parameters()).toMatchObject({ burst: false, weights: { onprem: 100 } });
  expect(happened()).toEqual(["pool-launched", "gate-gone", "pool-gone"]);
  await stop();

  expect(terraform(project.directories.stack, "plan", `-var-file=${project.parametersFile}`)).toContain(
    "No changes",
  );
  expect(events.of("problem")).toEqual([]);
  const status = readStatus(stateDirectory(project.directories.project, "shop").status);
  expect(status).toMatchObject({
    burst: "shop",
    phase: "quiet",
    failures: 0,
    lastChange: { action: "home" },
  });
});

test("demand that returns in mid-drain stops the running apply, destroys nothing and goes out again", async () => {
  given({ drainSeconds: 20 });
  deployed();
  const world = new World();
  const { events } = start(world);
  world.demandRps = 600;
  await events.until((event) => event.kind === "applied" && event.changed);

  world.demandRps = 60;
  const isDraining = (event: Events["all"][number]) =>
    event.kind === "terraform" &&
    event.event.type === "apply_start" &&
    event.event.address === "terraform_data.gate[0]" &&
    event.event.action === "delete";
  await events.until(isDraining);
  const cut = events.all.length;
  expect(parameters().burst).toBe(false);

  world.demandRps = 600;
  await events.until((event) => event.kind === "aborted", 10_000, cut);
  await events.until((event) => event.kind === "applied", 10_000, cut);
  expect(parameters()).toMatchObject({ burst: true });
  expect(parameters().reason).toContain("the way home is cancelled");
  expect(happened()).not.toContain("pool-gone");
  expect(terraform(project.directories.stack, "output", "-json", "shop")).toContain('"burst":true');
});

test("an unreachable site never brings the burst home", async () => {
  given();
  deployed();
  const world = new World();
  const { events } = start(world);
  world.demandRps = 600;
  await events.until((event) => event.kind === "decided" && event.decision.phase === "burst");
  const seen = events.all.length;
  world.demandRps = 0;
  world.onPremReachable = false;
  const stay = Date.now() + 4 * POLICY.homeAfterMs;
  await events.until((event) => event.kind === "decided" && event.at > stay);
  const decisions = events.all.slice(seen + 1).filter((event) => event.kind === "decided");
  expect(decisions.filter((event) => event.decision.action !== "hold")).toEqual([]);
  expect(decisions.at(-1)?.decision.reason).toContain("site onprem cannot be asked (nothing listens there)");
  expect(parameters().burst).toBe(true);
});

test("a plan that would touch anything else is refused, and the parameters stay as they were", async () => {
  given();
  deployed();
  writeFileSync(join(project.directories.stack, "other.tf"), 'resource "terraform_data" "other" {}\n');
  const before = readFileSync(project.parametersFile, "utf8");
  const world = new World();
  world.demandRps = 600;
  const { events } = start(world);
  const isRefused = (event: Events["all"][number]) => event.kind === "refused";
  await events.until((event) => event.kind === "decided" && event.decision.action === "burst");
  await events.until(isRefused, 10_000, events.all.length);
  expect(events.of("refused").at(-1)?.refusals).toMatchObject([
    { address: "terraform_data.other", action: "create", rule: "own-resources" },
  ]);
  expect(readFileSync(project.parametersFile, "utf8")).toBe(before);
  expect(happened()).toEqual([]);
});

test("without create_before_destroy the way home is refused: the gate would go before the record", async () => {
  given({ createBeforeDestroy: false });
  deployed();
  const world = new World();
  const { events } = start(world);
  world.demandRps = 600;
  await events.until((event) => event.kind === "decided" && event.decision.phase === "burst");
  world.demandRps = 10;
  await events.until((event) => event.kind === "refused");
  const [refused] = events.of("refused");
  expect(refused?.refusals.map(({ address, rule }) => `${rule} ${address}`)).toEqual([
    "record-first terraform_data.gate[0]",
    "record-first terraform_data.pool[0]",
  ]);
  expect(parameters().burst).toBe(true);
});

test("a failing apply is tried again with growing pauses, said so, and ends well once its cause is gone", async () => {
  given();
  const broken = readFileSync(join(project.directories.stack, "main.tf"), "utf8");
  const flag = join(project.directories.stack, "allowed");
  writeFileSync(
    join(project.directories.stack, "main.tf"),
    broken.replace("sleep 0 && echo pool-launched", `test -e ${flag} && echo pool-launched`),
  );
  deployed();
  const world = new World();
  const { events } = start(world);
  world.demandRps = 600;
  await events.until((event) => event.kind === "failed" && event.failures === 2);
  const failures = events.of("failed");
  expect(failures[0]?.problem).toContain("local-exec provisioner error");
  expect(failures[1]!.nextTryAt - failures[1]!.at).toBeGreaterThan(failures[0]!.nextTryAt - failures[0]!.at);
  expect(readStatus(stateDirectory(project.directories.project, "shop").status)).toMatchObject({
    phase: "bursting",
  });
  writeFileSync(flag, "");
  await events.until((event) => event.kind === "applied" && event.changed);
  expect(happened()).toEqual(["pool-launched"]);
});

test("a person's edit of the parameters is applied and adopted", async () => {
  given();
  deployed();
  const world = new World();
  const { events } = start(world, { policy: { ...POLICY, minimumStayMs: 60_000 } });
  await events.until((event) => event.kind === "applied");
  writeFileSync(
    project.parametersFile,
    JSON.stringify({
      shop: {
        burst: true,
        cloud_members: 2,
        weights: { cloud: 30, onprem: 70 },
        image_digest: null,
        reason: "a drill",
      },
    }),
  );
  await events.until((event) => event.kind === "applied" && event.changed);
  expect(happened()).toEqual(["pool-launched"]);
  expect(events.of("decided").at(-1)?.decision.desired.burst).toBe(true);
});

test("a person's edit while a plan is being made is not written over", async () => {
  given();
  deployed();
  const world = new World();
  const edited = {
    burst: false,
    cloud_members: 7,
    weights: { onprem: 100 },
    image_digest: null,
    reason: "mine",
  };
  const edit = (event: HookEvent) => {
    if (event.kind === "planned" && !existsSync(join(project.directories.project, "edited"))) {
      writeFileSync(join(project.directories.project, "edited"), "");
      writeFileSync(project.parametersFile, JSON.stringify({ shop: edited }));
    }
  };
  const events = new Events();
  start(world, {
    onEvent: (event) => {
      edit(event);
      events.push(event);
    },
  });
  await events.until((event) => event.kind === "applied");
  expect(parameters()).toEqual(edited);
  expect(terraform(project.directories.stack, "output", "-json", "shop")).toContain('"mine"');
});

test("a plan keeps the variables of other bursts in the stack", async () => {
  given({
    more: `
variable "web" {
  type    = string
  default = "quiet"
}
resource "terraform_data" "web" {
  input = var.web
}
`,
  });
  const other = join(project.directories.project, "desired", "web.tfvars.json");
  writeFileSync(other, JSON.stringify({ web: "burst" }));
  const files = [`-var-file=${project.parametersFile}`, `-var-file=${other}`];
  terraform(project.directories.stack, "apply", "-auto-approve", ...files);
  const world = new World();
  world.demandRps = 600;
  const { events } = start(world, { directories: { ...project.directories, otherVariableFiles: [other] } });
  await events.until((event) => event.kind === "applied" && event.changed);
  expect(events.of("refused")).toEqual([]);
});

test("a parameters file broken by hand is told with its place, and nothing is applied meanwhile", async () => {
  given();
  deployed();
  const world = new World();
  const { events } = start(world);
  await events.until((event) => event.kind === "applied");
  writeFileSync(project.parametersFile, '{ "shop": { "burst": "yes" ');
  world.demandRps = 600;
  await events.until((event) => event.kind === "problem");
  expect(events.of("problem")[0]?.message).toContain("shop.tfvars.json:1:");
  expect(events.kinds("applying")).toEqual([]);
});

test("stopping the hook in mid-apply stops Terraform in good order; the next apply by hand finishes", async () => {
  given({ launchSeconds: 20 });
  deployed();
  const world = new World();
  const { events, stop } = start(world);
  await events.until((event) => event.kind === "verified");
  world.demandRps = 600;
  await events.until(
    (event) =>
      event.kind === "terraform" &&
      event.event.address === "terraform_data.pool[0]" &&
      event.event.type === "apply_start",
  );
  const began = Date.now();
  await stop();
  expect(Date.now() - began).toBeLessThan(8_000);
  expect(events.kinds("aborting", "aborted", "stopped")).toEqual(["aborting", "aborted", "stopped"]);
  const main = join(project.directories.stack, "main.tf");
  writeFileSync(main, readFileSync(main, "utf8").replace("sleep 20", "sleep 0"));
  deployed();
  expect(happened()).toEqual(expect.arrayContaining(["pool-launched"]));
  expect(terraform(project.directories.stack, "plan", `-var-file=${project.parametersFile}`)).toContain(
    "No changes",
  );
});

test("plan files live in a folder of their own for its owner only, and are gone afterwards", async () => {
  given();
  deployed();
  const world = new World();
  world.demandRps = 600;
  const { events, stop } = start(world);
  const { path, journal } = stateDirectory(project.directories.project, "shop");
  await events.until((event) => event.kind === "planned");
  const scratch = readdirSync(path).filter((name) => name.startsWith("scratch-"));
  expect(scratch).toHaveLength(1);
  expect(statSync(join(path, scratch[0] as string)).mode & 0o777).toBe(0o700);
  await events.until((event) => event.kind === "applied" && event.changed);
  await events.until((event) => event.kind === "verified");
  world.demandRps = 300;
  await events.until((event) => event.kind === "decided" && event.decision.phase === "burst");
  await stop();
  expect(readdirSync(path).sort()).toEqual(["journal.jsonl", "status.json"]);
  const kinds = readJournal(journal).entries.map(({ kind }) => kind);
  expect(kinds.slice(kinds.lastIndexOf("intended"))).toEqual([
    "intended",
    "planned",
    "flipped",
    "applying",
    "applied",
    "verified",
    "remembered",
    "stopped",
  ]);
});

test("weights that someone changed at the name server are put right by another apply", async () => {
  given();
  deployed();
  const world = new World();
  world.recordWeights = { onprem: 100 };
  const { events } = start(world);
  await events.until((event) => event.kind === "verified" && event.inForce);
  const seen = events.all.length;
  world.recordWeights = {};
  await events.until((event) => event.kind === "problem", 5_000, seen);
  expect(events.of("problem")[0]?.message).toContain(
    "the name server answers nothing, where onprem 100 was applied",
  );
  await events.until((event) => event.kind === "applied", 5_000, seen);
});

test("progress that the provider writes is handed on", async () => {
  given();
  deployed();
  const file = join(project.directories.stack, "progress.jsonl");
  const main = join(project.directories.stack, "main.tf");
  const line = JSON.stringify({ step: "launch", subject: "cloud/shop", message: "2 of 3 up", at: 1 });
  writeFileSync(
    main,
    readFileSync(main, "utf8").replace(
      "sleep 0 && echo pool-launched",
      `echo '${line.replaceAll('"', '\\"')}' >> ${file} && echo pool-launched`,
    ),
  );
  const world = new World();
  world.demandRps = 600;
  const { events } = start(world, { progressFile: file });
  await events.until((event) => event.kind === "progress");
  expect(events.of("progress")[0]?.progress).toMatchObject({ step: "launch", message: "2 of 3 up" });
});

test("a policy that makes no sense is refused with all its faults", async () => {
  given();
  const policy = { ...POLICY, homeBelow: 0.9, confirmations: 0 };
  await expect(
    runHook({
      manifest: MANIFEST,
      directories: project.directories,
      policy,
      mode: "apply",
      observe: new World().observe,
      signal: new AbortController().signal,
    }),
  ).rejects.toThrow(/policy\.homeBelow[\s\S]*policy\.confirmations/);
});
