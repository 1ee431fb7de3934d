import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { onlyJson, processesAbout, spillway, startSpillway } from "../cli/support/spillway";
import { zipEntries } from "../support/zip";
import { declareShop } from "./declare";
import { OUT, QUIET, Stage } from "./stage";

let stage: Stage;
let tokens: string[];
let kept: string;
beforeAll(async () => {
  stage = await Stage.open({ linkMbps: 100 });
  tokens = Object.values(stage.lab.info.sites).map(({ tokenFile }) => readFileSync(tokenFile, "utf8").trim());
  kept = join(stage.dir, "kept");
  mkdirSync(kept);
}, 120_000);
afterAll(() => stage?.close(), 60_000);

function keep(name: string, content: string | Buffer): void {
  writeFileSync(join(kept, name), content);
}

/** Where a token stands in it, in clear or as any header would carry it. */
function carriers(bytes: Buffer): boolean {
  return tokens.some((token) =>
    [
      token,
      Buffer.from(token).toString("base64").replace(/=+$/, ""),
      Buffer.from(token).toString("hex"),
    ].some((form) => bytes.includes(form)),
  );
}

/** Every file below the stage's folder but the token files, parts of archives one by one. */
function searched(): { name: string; bytes: Buffer }[] {
  const found: { name: string; bytes: Buffer }[] = [];
  for (const name of readdirSync(stage.dir, { recursive: true }) as string[]) {
    const file = join(stage.dir, name);
    if (!statSync(file).isFile() || name.endsWith(".token")) continue;
    const bytes = readFileSync(file);
    found.push({ name, bytes });
    if (!name.endsWith(".tfplan")) continue;
    for (const [part, unpacked] of zipEntries(bytes))
      found.push({ name: `${name}/${part}`, bytes: unpacked });
  }
  return found;
}

function sayers(): string[] {
  return searched()
    .filter(({ bytes }) => carriers(bytes))
    .map(({ name }) => name);
}

async function planAndShow(name: string): Promise<void> {
  const saved = join(kept, `${name}.tfplan`);
  const variables = `-var-file=${stage.parametersFile}`;
  keep(`${name}.plan.txt`, await stage.must("plan", "-no-color", "-input=false", variables, `-out=${saved}`));
  keep(`${name}.plan.json`, await stage.must("show", "-json", saved));
}

test("a whole burst, with every log at its most talkative, writes no token down anywhere", async () => {
  Object.assign(stage.environment, { TF_LOG: "trace", TF_LOG_PATH: join(kept, "terraform.log") });
  await planAndShow("quiet");
  keep("out.apply.txt", await stage.apply(OUT));
  keep("out.state.json", await stage.must("show", "-json"));
  keep("out.output.json", await stage.must("output", "-json"));
  await planAndShow("out");

  // The same with a token from the environment, and with one that is wrong.
  const wrong = join(stage.dir, "wrong.token");
  writeFileSync(wrong, "a-wrong-token-0123456789\n");
  tokens.push("a-wrong-token-0123456789");
  stage.environment.SHOP_CLOUD_TOKEN = tokens[1];
  declareShop(stage, { cloudSite: { tokenFile: undefined, tokenEnv: "SHOP_CLOUD_TOKEN" } });
  await planAndShow("environment");
  delete stage.environment.SHOP_CLOUD_TOKEN;
  declareShop(stage, { cloudSite: { tokenFile: wrong } });
  const { code, output } = await stage.start("plan", "-no-color", `-var-file=${stage.parametersFile}`).ended;
  expect(code).toBe(1);
  keep("wrong.plan.txt", output);
  declareShop(stage);

  const options = { cwd: stage.dir, env: { TF_LOG: "trace", TF_LOG_PATH: join(kept, "hook.log") } };
  const hook = startSpillway(["run", "--json"], options);
  await hook.until(/"kind":"verified"/, 30_000);
  for (const command of ["status", "doctor"]) {
    const ended = await spillway([command, "--json"], { cwd: stage.dir });
    onlyJson(ended);
    keep(`${command}.json`, ended.stdout + ended.stderr);
    const { stdout, stderr } = await spillway([command], { cwd: stage.dir });
    keep(`${command}.txt`, stdout + stderr);
  }
  const { stdout, stderr } = await hook.stop();
  keep("hook.jsonl", stdout);
  keep("hook.stderr", stderr);
  keep("home.apply.txt", await stage.apply(QUIET));

  expect(sayers()).toEqual([]);
}, 120_000);

test("what was searched is all of it: state, plans, logs, progress, journal, program", () => {
  const names = searched().map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      "shop.tfstate",
      "shop.tfstate.backup",
      "progress.jsonl",
      relative(stage.dir, join(stage.stackDir, "cdk.tf.json")),
      "desired/shop.tfvars.json",
      ".spillway/onprem.log",
      ".spillway/cloud.log",
      ".spillway/cloud/state.json",
      ".spillway/shop/journal.jsonl",
      ".spillway/shop/status.json",
      "kept/terraform.log",
      "kept/hook.log",
      "kept/out.tfplan/tfplan",
      "kept/out.tfplan/tfstate",
    ]),
  );
  const log = readFileSync(join(kept, "terraform.log"), "utf8");
  expect(log).toContain("terraform-provider-spillway");
  expect(log.length).toBeGreaterThan(100_000);
  expect(readFileSync(join(kept, "quiet.plan.json"), "utf8")).toContain("token_file");
});

test("a token that stood in a file, or in a part of a plan, would be found", () => {
  keep("planted", `Bearer ${tokens[1]}`);
  expect(sayers()).toEqual(["kept/planted"]);
  const plan = zipEntries(readFileSync(join(kept, "out.tfplan")));
  expect(plan.get("tfplan")!.includes("shop.example.test")).toBe(true);
});

test("no process carries a token in its arguments or its environment", () => {
  const running = processesAbout(stage.dir);
  expect(running.length).toBeGreaterThanOrEqual(7);
  for (const line of running) {
    const pid = line.split(" ")[0]!;
    expect([line, carriers(Buffer.from(line))]).toEqual([line, false]);
    expect([line, carriers(readFileSync(`/proc/${pid}/environ`))]).toEqual([line, false]);
  }
});

test("token files are readable by their owner only", () => {
  for (const { tokenFile } of Object.values(stage.lab.info.sites)) {
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
  }
});
