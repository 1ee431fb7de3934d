import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { scaffold } from "../../cli/scaffold";
import { readParameters } from "../../lib/desired";
import { problemsOf } from "../lib/constructs/support";
import { allUp, freePort, poolUntil, startSite } from "../support/site";
import type { TestSite } from "../support/site";
import { TerraformFolder } from "../support/terraform-cli";

const ROOT = join(__dirname, "..", "..");
const FILES = [
  ".gitignore",
  ".npmrc",
  "README.md",
  "app/member.json",
  "app/server.js",
  "cdktf.json",
  "desired/web-shop.tfvars.json",
  "main.ts",
  "package.json",
  "sites.ts",
  "terraform.rc",
  "terraform.sh",
  "tsconfig.json",
];

let dir: string;
const options = () => ({ dir: join(dir, "project"), name: "web-shop", spillway: "^0.1.0" });
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-init-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Stands in for `npm install`: this repository as the package, and its dependencies. */
function install(project: string): void {
  const modules = join(project, "node_modules");
  mkdirSync(modules);
  symlinkSync(ROOT, join(modules, "spillway"));
  for (const name of [".bin", "@types", "cdktf", "constructs", "ts-node", "typescript"]) {
    symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
}

async function run(project: string, command: string, args: readonly string[]) {
  const { SPILLWAY_TOKEN: _, TF_CLI_CONFIG_FILE: __, ...env } = process.env;
  try {
    return await promisify(execFile)(command, args, {
      cwd: project,
      // Types of this package are built only for a release; the test below checks the program against its sources.
      env: { ...env, TS_NODE_TRANSPILE_ONLY: "1", CHECKPOINT_DISABLE: "1", NO_UPDATE_NOTIFIER: "1" },
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(" ")}:\n${stdout}\n${stderr}`);
  }
}

test("writes a project under its name, with nothing left to fill in", () => {
  expect(scaffold(options())).toEqual(FILES);
  const project = options().dir;
  for (const file of FILES) expect(readFileSync(join(project, file), "utf8")).not.toMatch(/\{\{|\}\}\s*$/);
  expect(JSON.parse(readFileSync(join(project, "package.json"), "utf8"))).toMatchObject({
    name: "web-shop",
    dependencies: { spillway: "^0.1.0" },
  });
  expect(readParameters(join(project, "desired/web-shop.tfvars.json"))).toMatchObject({
    web_shop: { burst: false, weights: { onprem: 100 } },
  });
});

test("overwrites nothing: it names every file in the way and writes none", () => {
  const project = options().dir;
  mkdirSync(project);
  writeFileSync(join(project, "main.ts"), "mine");
  writeFileSync(join(project, "README.md"), "mine");
  expect(problemsOf(() => scaffold(options())).map(({ place }) => place)).toEqual([
    join(project, "README.md"),
    join(project, "main.ts"),
  ]);
  expect(readdirSync(project).sort()).toEqual(["README.md", "main.ts"]);
  expect(readFileSync(join(project, "main.ts"), "utf8")).toBe("mine");
});

test("leaves a file of other purpose alone", () => {
  const project = options().dir;
  mkdirSync(project);
  writeFileSync(join(project, "notes.txt"), "mine");
  scaffold(options());
  expect(readFileSync(join(project, "notes.txt"), "utf8")).toBe("mine");
});

test.each(["", "Shop", "my shop", "-shop", "shop-", "a".repeat(36), "../shop", "spillway"])(
  "refuses the name %p",
  (name) => {
    const problems = problemsOf(() => scaffold({ ...options(), name }));
    expect(problems).toEqual([
      {
        place: "spillway init",
        problem: expect.stringContaining(`"${name}"`),
        mend: "Choose a name such as `shop`.",
      },
    ]);
    expect(existsSync(options().dir)).toBe(false);
  },
);

test("a file in place of the folder is an error that names it", () => {
  writeFileSync(options().dir, "");
  expect(problemsOf(() => scaffold(options()))).toEqual([
    expect.objectContaining({
      place: expect.stringContaining("project"),
      problem: expect.stringContaining("cannot be written"),
    }),
  ]);
});

test("its program type-checks against this package", async () => {
  scaffold(options());
  const project = options().dir;
  install(project);
  const config = {
    extends: "./tsconfig.json",
    compilerOptions: { paths: { spillway: [join(ROOT, "lib/index.ts")] } },
  };
  writeFileSync(join(project, "tsconfig.check.json"), JSON.stringify(config));
  await run(project, process.execPath, [
    join(ROOT, "node_modules/typescript/bin/tsc"),
    "-p",
    "tsconfig.check.json",
  ]);
});

test("synthesises and plans at once, without sites and without an image", async () => {
  scaffold(options());
  const project = options().dir;
  install(project);
  const { stdout } = await run(project, "npm", ["run", "plan", "--", "-no-color"]);
  expect(stdout).toContain("Plan: 1 to add, 0 to change, 0 to destroy.");
  expect(stdout).toMatch(/web_shop_decision = \{\s+\+ burst {3}= false/);
  for (const stack of ["web-shop", "web-shop-home"]) {
    await new TerraformFolder(join(project, "cdktf.out", "stacks", stack)).must("init");
    await new TerraformFolder(join(project, "cdktf.out", "stacks", stack)).must("validate");
  }
});

describe("between two sites", () => {
  let sites: TestSite[];
  beforeEach(async () => {
    sites = await Promise.all([
      startSite({ site: "onprem", address: "127.0.1.1", nameServer: true }),
      startSite({ site: "cloud", address: "127.0.2.1" }),
    ]);
  }, 60_000);
  afterEach(async () => {
    await Promise.all(sites.map((site) => site.close()));
  }, 60_000);

  test("does what its README says: image, home, name; and the next plan is empty", async () => {
    scaffold(options());
    const project = options().dir;
    install(project);
    const lab = {
      sites: Object.fromEntries(
        sites.map(({ site, endpoint, address, tokenFile }) => [site, { endpoint, address, tokenFile }]),
      ),
      port: await freePort("127.0.1.1"),
    };
    mkdirSync(join(project, ".spillway"));
    writeFileSync(join(project, ".spillway", "lab.json"), JSON.stringify(lab));
    await run(project, "npm", ["run", "image"]);
    await run(project, "npm", ["run", "home", "--", "-auto-approve"]);
    await run(project, "npm", ["run", "apply", "--", "-auto-approve"]);
    const { stdout } = await run(project, "npm", ["run", "plan", "--", "-no-color"]);
    expect(stdout).toContain("No changes.");
    await poolUntil(sites[0]!, "web-shop", allUp(2));
    const answer = await fetch(`http://127.0.1.1:${lab.port}/`);
    expect(await answer.json()).toMatchObject({ app: "web-shop", site: "onprem" });
  }, 60_000);
});
