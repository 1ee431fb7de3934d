import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DesiredParameters } from "../../../lib/desired";
import { stateDirectory } from "../../../lib/hook";
import { HookChild } from "./support/child";
import { makeProject, type Project } from "./support/stack";
import { terraform } from "./support/world";

let project: Project;
let demandFile: string;
const children: HookChild[] = [];

beforeEach(() => {
  project = makeProject();
  demandFile = join(project.directories.project, "demand");
  terraform(project.directories.stack, "apply", "-auto-approve", `-var-file=${project.parametersFile}`);
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exit;
  }
  project.remove();
});

function start(more: { dieOn?: string; dieAt?: number } = {}): HookChild {
  const child = new HookChild({ project: project.directories.project, demandFile, ...more });
  children.push(child);
  return child;
}

function demand(rps: number): void {
  writeFileSync(demandFile, String(rps));
}

function parameters(): DesiredParameters {
  return (JSON.parse(readFileSync(project.parametersFile, "utf8")) as { shop: DesiredParameters }).shop;
}

function happened(): string[] {
  return existsSync(project.log) ? readFileSync(project.log, "utf8").trim().split("\n") : [];
}

/** The hook has come to rest in that phase. */
async function restsIn(child: HookChild, phase: string): Promise<void> {
  await child.until(
    ({ event }) => event.kind === "decided" && (event.decision as { phase: string }).phase === phase,
  );
}

async function endsCleanly(child: HookChild): Promise<void> {
  child.kill("SIGTERM");
  expect(await child.exit).toEqual({ code: 0, signal: null });
  expect(terraform(project.directories.stack, "plan", `-var-file=${project.parametersFile}`)).toContain(
    "No changes",
  );
  const left = readdirSync(stateDirectory(project.directories.project, "shop").path);
  expect(left.sort()).toEqual(["journal.jsonl", "status.json"]);
}

// `started` is passed twice: the first attempt only makes sure that the quiet state is in force.
const OUT: readonly [string, number][] = [
  ["decided", 2],
  ["intended", 2],
  ["planned", 2],
  ["flipped", 2],
  ["applying", 1],
  ["apply_start terraform_data.pool[0]", 1],
  ["apply_complete terraform_data.gate[0]", 1],
  ["applied", 2],
  ["verified", 2],
];

test.each(OUT)("a hook killed on the way out at `%s` is finished by the next one", async (dieOn, dieAt) => {
  demand(50);
  const first = start({ dieOn, dieAt: dieOn === "decided" ? 6 : dieAt });
  await first.until(({ name }) => name === "verified");
  demand(600);
  expect(await first.exit).toEqual({ code: null, signal: "SIGKILL" });
  const second = start();
  await restsIn(second, "burst");
  expect(parameters().burst).toBe(true);
  await endsCleanly(second);
  expect(happened().filter((line) => line === "pool-launched")).toHaveLength(1);
});

const HOME: readonly [string, number][] = [
  ["intended", 2],
  ["planned", 2],
  ["flipped", 2],
  ["applying", 1],
  ["apply_start terraform_data.gate[0]", 1],
  ["apply_complete terraform_data.gate[0]", 1],
  ["applied", 2],
];

test.each(HOME)("a hook killed on the way home at `%s` is finished by the next one", async (dieOn, dieAt) => {
  demand(600);
  const out = start();
  await restsIn(out, "burst");
  await endsCleanly(out);

  const first = start({ dieOn, dieAt });
  await first.until(({ name }) => name === "verified");
  demand(50);
  expect(await first.exit).toEqual({ code: null, signal: "SIGKILL" });
  const second = start();
  await restsIn(second, "quiet");
  expect(parameters()).toMatchObject({ burst: false, weights: { onprem: 100 } });
  await endsCleanly(second);
  expect(happened()).toEqual(["pool-launched", "gate-gone", "pool-gone"]);
});

test("an apply that a killed hook left behind is stopped, and finished by the next one", async () => {
  project.remove();
  project = makeProject({ drainSeconds: 4 });
  demandFile = join(project.directories.project, "demand");
  terraform(project.directories.stack, "apply", "-auto-approve", `-var-file=${project.parametersFile}`);
  demand(600);
  const first = start({ dieOn: "apply_start terraform_data.gate[0]", dieAt: 2 });
  await restsIn(first, "burst");
  demand(50);
  expect(await first.exit).toEqual({ code: null, signal: "SIGKILL" });
  const second = start();
  const stopped = await second.until(({ name }) => name === "problem");
  expect(stopped.event.message).toMatch(
    /an apply that a killed hook left behind \(process \d+\) was stopped/,
  );
  await restsIn(second, "quiet");
  await endsCleanly(second);
  expect(happened().filter((line) => line === "pool-gone")).toHaveLength(1);
});
