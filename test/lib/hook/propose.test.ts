import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { propose, readJournal, runHook, stateDirectory } from "../../../lib/hook";
import { makeProject, MANIFEST, type Project } from "./support/stack";
import { Events, terraform, World } from "./support/world";

let project: Project;
let repository: string;

function git(...args: string[]): string {
  return execFileSync("git", args, {
    cwd: repository,
    encoding: "utf8",
    env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
  }).trim();
}

beforeEach(() => {
  project = makeProject();
  repository = project.directories.project;
  git("init", "-q", "-b", "main");
  writeFileSync(join(repository, ".gitignore"), "*.tfstate*\n.terraform*\n");
  git("add", ".gitignore", "desired", "main.tf", "spillway.json");
  git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "-m", "first");
});

afterEach(() => project.remove());

async function runUntil(world: World, fits: (events: Events) => Promise<unknown>): Promise<Events> {
  const events = new Events();
  const controller = new AbortController();
  const running = runHook({
    manifest: MANIFEST,
    directories: project.directories,
    mode: "propose",
    terraform: {},
    observe: world.observe,
    signal: controller.signal,
    onEvent: events.push,
  });
  try {
    await fits(events);
  } finally {
    controller.abort();
    await running;
  }
  return events;
}

test("a decision becomes one commit of one file on a branch of its own; everything else stays as it was", async () => {
  terraform(repository, "apply", "-auto-approve", `-var-file=${project.parametersFile}`);
  writeFileSync(
    join(repository, "main.tf"),
    `${readFileSync(join(repository, "main.tf"), "utf8")}# being edited\n`,
  );
  writeFileSync(join(repository, "staged.txt"), "staged");
  git("add", "staged.txt");
  const before = {
    status: git("status", "--porcelain"),
    head: git("rev-parse", "HEAD"),
    index: git("write-tree"),
  };
  const desired = readFileSync(project.parametersFile, "utf8");

  const world = new World();
  world.demandRps = 600;
  const events = await runUntil(world, (seen) => seen.until((event) => event.kind === "proposed"));

  const [proposed] = events.of("proposed");
  expect(proposed?.branch).toMatch(/^spillway\/shop\/\d{8}T\d{6}\.\d{3}Z$/);
  expect(git("status", "--porcelain").replace("?? .spillway/\n", "")).toBe(before.status);
  expect([git("rev-parse", "HEAD"), git("write-tree")]).toEqual([before.head, before.index]);
  expect(readFileSync(project.parametersFile, "utf8")).toBe(desired);
  expect(git("branch", "--show-current")).toBe("main");

  const branch = proposed?.branch as string;
  expect(git("rev-parse", `${branch}^`)).toBe(before.head);
  expect(git("diff", "--name-only", "main", branch)).toBe("desired/shop.tfvars.json");
  const proposedFile = JSON.parse(git("show", `${branch}:desired/shop.tfvars.json`)) as { shop: object };
  expect(proposedFile.shop).toMatchObject({
    burst: true,
    cloud_members: 5,
    weights: { cloud: 56, onprem: 44 },
  });
  const message = git("log", "-1", "--format=%B", branch);
  expect(message).toMatch(
    /^shop: burst with 5 cloud members \(cloud 56, onprem 44\)\n\ndemand 600 rps, .*: 5 cloud members\.\n/,
  );
  expect(message).toContain("**1 updated, 3 created.**");
  expect(events.kinds("applying", "flipped")).toEqual([]);
});

test("the same decision is proposed once, by a restarted hook too; a merged one is adopted", async () => {
  terraform(repository, "apply", "-auto-approve", `-var-file=${project.parametersFile}`);
  const world = new World();
  world.demandRps = 600;
  const inPhase = (phase: string) => (seen: Events) =>
    seen.until((event) => event.kind === "decided" && event.decision.phase === phase);
  const events = await runUntil(world, async (seen) => {
    await seen.until((event) => event.kind === "proposed");
    const looks = world.looks;
    await seen.until((event) => event.kind === "decided" && world.looks > looks + 5);
  });
  expect(events.of("proposed")).toHaveLength(1);
  const again = await runUntil(world, async (seen) => {
    await seen.until((event) => event.kind === "observed" && seen.of("observed").length > 5);
  });
  expect(again.of("proposed")).toEqual([]);

  git("checkout", "-q", events.of("proposed")[0]?.branch as string, "--", "desired");
  world.recordWeights = { cloud: 56, onprem: 44 };
  await runUntil(world, inPhase("burst"));
  const { entries } = readJournal(stateDirectory(repository, "shop").journal);
  expect(entries.filter(({ kind }) => kind === "proposed")).toHaveLength(1);
});

test("a commit is made where git has no identity, from below a link, and two never share a branch", async () => {
  const linked = mkdtempSync(join(tmpdir(), "spillway-link-"));
  const scratch = join(linked, "scratch");
  mkdirSync(scratch);
  symlinkSync(repository, join(linked, "here"));
  try {
    const options = {
      file: join(linked, "here", "desired", "shop.tfvars.json"),
      text: "{}\n",
      burst: "shop",
      message: "why\n",
      at: 1_000,
      scratch,
    };
    const made = await propose(options);
    expect(git("show", `${made.branch}:desired/shop.tfvars.json`)).toBe("{}");
    await expect(propose(options)).rejects.toThrow(/`git update-ref` failed/);
    expect(git("rev-parse", made.branch)).toBe(made.commit);
  } finally {
    rmSync(linked, { recursive: true, force: true });
  }
});

test("outside a repository, and in one without a commit, it says what it needs", async () => {
  const bare = mkdtempSync(join(tmpdir(), "spillway-bare-"));
  const options = { file: join(bare, "x.json"), text: "{}", burst: "b", message: "m", at: 1, scratch: bare };
  try {
    await expect(propose(options)).rejects.toThrow(
      /git rev-parse.*in a git repository with at least one commit/s,
    );
    execFileSync("git", ["init", "-q", bare]);
    await expect(propose(options)).rejects.toThrow(/at least one commit/);
  } finally {
    rmSync(bare, { recursive: true, force: true });
  }
});
