import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { findTerraform, Terraform, TerraformError, type TerraformEvent } from "../../../lib/hook";
import { createBeforeDestroyIn } from "../../../lib/hook/terraform";
import { endOrphan } from "../../../lib/hook/terraform-process";
import { startTimeOf, type ProcessHandle } from "../../../lib/process-identity";

let folder: string;
let stack: string;
let scratch: string;
const never = new AbortController().signal;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-terraform-"));
  stack = join(folder, "stack");
  scratch = join(folder, "scratch");
  for (const made of [stack, scratch]) mkdirSync(made);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function given(
  hcl: string,
  more: { environment?: NodeJS.ProcessEnv; killAfterMs?: number } = {},
): Promise<Terraform> {
  writeFileSync(join(stack, "main.tf"), hcl);
  writeFileSync(join(stack, "vars.tfvars.json"), "{}");
  return new Terraform({
    tool: await findTerraform(),
    directory: stack,
    environment: more.environment ?? process.env,
    scratch,
    lockTimeoutMs: 1_000,
    killAfterMs: more.killAfterMs ?? 10_000,
  });
}

/** A program that says it is Terraform of some version. */
function fake(name: string, output: string): string {
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  const file = join(bin, name);
  writeFileSync(file, `#!/bin/sh\necho '${output}'\n`);
  chmodSync(file, 0o755);
  return bin;
}

const says = (version: string) => JSON.stringify({ terraform_version: version });

test("Terraform is found on PATH with its version", async () => {
  expect(await findTerraform()).toMatchObject({
    name: "terraform",
    version: expect.stringMatching(/^1\.\d+/),
  });
});

test("OpenTofu is taken where Terraform is missing or too old", async () => {
  const PATH = fake("tofu", says("1.8.1"));
  expect(await findTerraform({ PATH })).toMatchObject({ name: "tofu", version: "1.8.1" });
  fake("terraform", says("1.7.5"));
  expect(await findTerraform({ PATH })).toMatchObject({ name: "tofu" });
  fake("terraform", says("1.8.0"));
  expect(await findTerraform({ PATH })).toMatchObject({ name: "terraform" });
});

test("no Terraform, one too old and one that is none each get their own error, with the way out", async () => {
  await expect(findTerraform({ PATH: join(folder, "nowhere") })).rejects.toThrow(
    /neither `terraform` nor `tofu` is on PATH.*Install Terraform 1\.8/,
  );
  const PATH = ["", join(folder, "nowhere"), fake("terraform", says("1.5.7"))].join(delimiter);
  await expect(findTerraform({ PATH })).rejects.toThrow(/bin\/terraform is version 1\.5\.7/);
  await expect(findTerraform({ PATH }, "terraform")).rejects.toThrow(/is version 1\.5\.7, which is too old/);
  fake("terraform", "hello");
  await expect(findTerraform({ PATH })).rejects.toThrow(/does not say its version/);
  await expect(findTerraform({ PATH, SPILLWAY_TERRAFORM: "/nowhere/terraform" })).rejects.toThrow(
    /no such program/,
  );
});

test("a plan, its model and its apply; files with configuration in clear are gone afterwards", async () => {
  const terraform = await given('resource "terraform_data" "a" { input = "x" }');
  const plan = await terraform.plan("vars.tfvars.json", never);
  expect(plan.model.changes).toMatchObject([{ address: "terraform_data.a", action: "create" }]);
  const events: TerraformEvent[] = [];
  const pids: number[] = [];
  await terraform.apply(plan, never, {
    onStart: ({ pid }) => pids.push(pid),
    onEvent: (event) => events.push(event),
  });
  plan.dispose();
  expect(pids).toHaveLength(1);
  expect(events.map(({ type, address, action }) => [type, address, action])).toEqual(
    expect.arrayContaining([
      ["apply_start", "terraform_data.a", "create"],
      ["apply_complete", "terraform_data.a", "create"],
    ]),
  );
  expect(readdirSync(scratch).filter((name) => name !== "terraform.rc")).toEqual([]);
});

test("init is run when Terraform asks for it, and only then", async () => {
  const terraform = await given(`
terraform {
  backend "local" {
    path = "kept/terraform.tfstate"
  }
}
module "inner" {
  source = "./inner"
}`);
  mkdirSync(join(stack, "inner"));
  writeFileSync(join(stack, "inner", "main.tf"), 'resource "terraform_data" "a" {}');
  const plan = await terraform.plan("vars.tfvars.json", never);
  expect(plan.model.changes[0]?.address).toBe("module.inner.terraform_data.a");
  plan.dispose();
  const initialised = readFileSync(join(stack, ".terraform", "modules", "modules.json"), "utf8");
  rmSync(join(stack, ".terraform", "modules", "modules.json"));
  writeFileSync(join(stack, ".terraform", "modules", "modules.json"), `${initialised} `);
  (await terraform.plan("vars.tfvars.json", never)).dispose();
  expect(readFileSync(join(stack, ".terraform", "modules", "modules.json"), "utf8")).toBe(`${initialised} `);
});

test("a provider that cannot be had is told in Terraform's words", async () => {
  writeFileSync(
    join(folder, "rc"),
    `provider_installation {\n  filesystem_mirror {\n    path = "${folder}/none"\n  }\n}\n`,
  );
  const terraform = await given(
    'terraform {\n  required_providers {\n    x = {\n      source = "spillway/nothing"\n    }\n  }\n}\nresource "x_a" "b" {}',
    { environment: { ...process.env, TF_CLI_CONFIG_FILE: join(folder, "rc") } },
  );
  await expect(terraform.plan("vars.tfvars.json", never)).rejects.toThrow(
    /terraform init` ended with code 1: .*spillway\/nothing/,
  );
  expect(readdirSync(scratch).filter((name) => name !== "terraform.rc")).toEqual([]);
});

test("an error in the program comes back with summary and detail, and no init is tried", async () => {
  const terraform = await given('resource "terraform_data" "a" { inptu = 1 }');
  await expect(terraform.plan("vars.tfvars.json", never)).rejects.toThrow(
    /`terraform plan` ended with code 1: Unsupported argument: An argument named "inptu" is not expected here/,
  );
  expect(existsSync(join(stack, ".terraform"))).toBe(false);
});

test("a configuration file that is not there makes no noise, and a person's own flags do no harm", async () => {
  const terraform = await given('resource "terraform_data" "a" {}', {
    environment: {
      ...process.env,
      TF_CLI_CONFIG_FILE: join(folder, "missing.rc"),
      TF_CLI_ARGS: "-no-such-flag",
      TF_CLI_ARGS_plan: "-destroy",
    },
  });
  const events: TerraformEvent[] = [];
  const plan = await terraform.plan("vars.tfvars.json", never, {
    onEvent: (event) => events.push(event),
  });
  expect(plan.model.changes).toMatchObject([{ action: "create" }]);
  expect(events.filter(({ diagnostic }) => diagnostic)).toEqual([]);
  plan.dispose();
});

test("an apply that is stopped gets one SIGINT, ends in good order, and what was done is kept", async () => {
  const terraform = await given(`
resource "terraform_data" "done" {}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.done]
  provisioner "local-exec" {
    command = "sleep 30"
  }
}`);
  const plan = await terraform.plan("vars.tfvars.json", never);
  const stop = new AbortController();
  const applying = terraform.apply(plan, stop.signal, {
    onEvent: (event) => {
      if (event.type === "apply_start" && event.address === "terraform_data.slow") stop.abort();
    },
  });
  await expect(applying).rejects.toThrow("`apply` was stopped");
  plan.dispose();
  const state = execFileSync("terraform", ["state", "list"], {
    cwd: stack,
    encoding: "utf8",
    env: { ...process.env, TF_CLI_CONFIG_FILE: "/dev/null" },
  });
  expect(state).toContain("terraform_data.done");
});

test("one that does not stop is killed after its time", async () => {
  const terraform = await given(
    `resource "terraform_data" "stubborn" {
  provisioner "local-exec" {
    command = "trap '' INT TERM; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 1; done"
  }
}`,
    { killAfterMs: 300 },
  );
  const plan = await terraform.plan("vars.tfvars.json", never);
  const stop = new AbortController();
  const began = Date.now();
  const applying = terraform.apply(plan, stop.signal, {
    onEvent: (event) => {
      if (event.type === "apply_start") stop.abort();
    },
  });
  await expect(applying).rejects.toThrow("`apply` was stopped");
  expect(Date.now() - began).toBeLessThan(8_000);
  plan.dispose();
});

test("a state that is locked is told with its holder, and how to break a lock that is left behind", async () => {
  const terraform = await given(`
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "sleep 6"
  }
}`);
  const plan = await terraform.plan("vars.tfvars.json", never);
  let second: Promise<unknown> | undefined;
  const stop = new AbortController();
  const applying = terraform.apply(plan, stop.signal, {
    onEvent: ({ type }) => {
      if (type === "apply_start")
        second ??= terraform.plan("vars.tfvars.json", never).catch((error: unknown) => error);
    },
  });
  await applying;
  const error = (await second) as TerraformError;
  expect(error).toBeInstanceOf(TerraformError);
  const [, id] = /\(lock ([0-9a-f-]{36})\)$/.exec(error.report.problem) ?? [];
  expect(id).toBeDefined();
  expect(error.report.problem).toMatch(
    /^`terraform plan` did not get the state's lock: it is held by \S+@\S+ \(lock /,
  );
  expect(error.report.mend).toContain(`run \`terraform force-unlock ${id}\` in that folder`);
  plan.dispose();
});

/** A shell that does not care for SIGINT. */
async function stubborn(detached: boolean): Promise<{ child: ChildProcess; handle: ProcessHandle }> {
  const child = spawn("sh", ["-c", "trap '' INT; echo ready; while :; do sleep 0.1; done"], {
    detached,
    stdio: ["ignore", "pipe", "ignore"],
  });
  await once(child.stdout, "data");
  const pid = child.pid as number;
  return { child, handle: { pid, startTime: (await startTimeOf(pid, true)) as string } };
}

test("an apply that was left behind is waited for, which is said, and killed after its time", async () => {
  const { handle } = await stubborn(true);
  const said: string[] = [];
  const options = { killAfterMs: 300, signal: never, onWaiting: (message: string) => said.push(message) };
  const began = Date.now();
  expect(await endOrphan(handle, options)).toBe(true);
  expect(Date.now() - began).toBeGreaterThanOrEqual(300);
  expect(said).toEqual([
    `waiting for an apply that a killed hook left behind (process ${handle.pid}): it is asked to stop, and killed after 300 ms`,
  ]);
  expect(await endOrphan(handle, options)).toBe(false);
  expect(said).toHaveLength(1);
});

test("one that cannot be ended is given up with an error", async () => {
  // Not the leader of a group, so the kill of its group does not reach it.
  const { child, handle } = await stubborn(false);
  const options = { killAfterMs: 100, giveUpAfterMs: 200, signal: never, onWaiting: () => undefined };
  await expect(endOrphan(handle, options)).rejects.toThrow(
    /does not end, not even by SIGKILL.*End process \d+ by hand/,
  );
  child.kill("SIGKILL");
  await once(child, "exit");
});

test("create_before_destroy is read from the state, for resources all of whose present objects have it", () => {
  const state = {
    resources: [
      {
        mode: "managed",
        type: "a",
        name: "yes",
        instances: [{ create_before_destroy: true }, { deposed: "1" }],
      },
      { mode: "managed", type: "a", name: "half", instances: [{ create_before_destroy: true }, {}] },
      {
        mode: "managed",
        module: "module.m",
        type: "a",
        name: "inner",
        instances: [{ create_before_destroy: true }],
      },
      { mode: "data", type: "a", name: "data", instances: [{ create_before_destroy: true }] },
      { mode: "managed", type: "a", name: "none", instances: [] },
    ],
  };
  expect([...createBeforeDestroyIn(JSON.stringify(state))]).toEqual(["a.yes", "module.m.a.inner"]);
  expect([...createBeforeDestroyIn("")]).toEqual([]);
});
