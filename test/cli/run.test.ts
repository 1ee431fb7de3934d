import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layOutProject, synthesise } from "../../cli/demo/project";
import { sleep } from "../../lib/wait";
import {
  contentOf,
  onlyJson,
  processesAbout,
  refusal,
  spillway,
  startSpillway,
  type SpillwayOptions,
} from "./support/spillway";

let dir: string;
let parametersFile: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-run-"));
  ({ parametersFile } = layOutProject(dir, "shop"));
  await synthesise(dir);
}, 30_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What the hook says to a project that it refuses, and did not touch. */
async function refused(args: readonly string[] = [], env: SpillwayOptions["env"] = {}, cwd = dir) {
  const before = contentOf(cwd);
  const ended = await spillway(["run", "--json", ...args], { cwd, env });
  expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 1, stderr: "" });
  expect(contentOf(cwd)).toEqual(before);
  expect(processesAbout(cwd)).toEqual([]);
  return onlyJson(ended);
}

test("without a project: says where it looked, and how to get one", async () => {
  const empty = mkdtempSync(join(tmpdir(), "spillway-none-"));
  expect(await refused([], {}, empty)).toEqual(
    refusal(
      expect.stringContaining("no burst is declared here"),
      empty,
      expect.stringContaining("`spillway init`"),
    ),
  );
  rmSync(empty, { recursive: true });
});

test("a burst that is not there: says which are", async () => {
  expect(await refused(["--burst", "shopp"])).toEqual(
    refusal('there is no burst "shopp"; there is "shop" in stack "shop"', dir),
  );
});

test("a price table that cannot be read: says so, and starts nothing", async () => {
  expect(await refused(["--prices", "/no/such/prices.json"])).toEqual(
    refusal(
      expect.stringContaining("the price table cannot be read: ENOENT"),
      "/no/such/prices.json",
      expect.stringContaining("--prices"),
    ),
  );
});

test("without Terraform: says how to get it", async () => {
  expect(await refused([], { PATH: join(dir, "desired") })).toEqual(
    refusal(
      "neither `terraform` nor `tofu` is on PATH",
      "PATH",
      expect.stringContaining("Install Terraform 1.8"),
    ),
  );
});

test("with a Terraform that is too old: says which", async () => {
  const bin = mkdtempSync(join(tmpdir(), "spillway-bin-"));
  writeFileSync(join(bin, "terraform"), `#!/bin/sh\n/bin/echo '{"terraform_version":"1.5.0"}'\n`);
  chmodSync(join(bin, "terraform"), 0o755);
  expect(await refused([], { PATH: bin })).toEqual(
    refusal(
      expect.stringMatching(/terraform is version 1\.5\.0$/),
      "PATH",
      expect.stringContaining("1.8 or newer"),
    ),
  );
  rmSync(bin, { recursive: true });
});

describe("a parameters file that somebody edited by hand", () => {
  let good: string;
  beforeAll(() => {
    good = readFileSync(parametersFile, "utf8");
  });
  afterEach(() => writeFileSync(parametersFile, good));

  const edited = (edit: (shop: Record<string, unknown>) => void): string => {
    const all = JSON.parse(good) as { shop: Record<string, unknown> };
    edit(all.shop);
    return JSON.stringify(all, null, 2);
  };

  test.each<[string, () => string, RegExp, RegExp]>([
    ["half a file", () => good.slice(0, 40), /^not JSON: /, /version control/],
    [
      "weights that do not add up",
      () => edited((shop) => (shop.weights = { onprem: 70, cloud: 20 })),
      /`shop.weights` must add up to 100, got 90/,
      /\w/,
    ],
    [
      "a site that nobody knows",
      () => edited((shop) => (shop.weights = { onprm: 100 })),
      /"?onprm"?/,
      /onprem/,
    ],
    ["a key that is misspelt", () => edited((shop) => (shop.brust = true)), /`?brust`?/, /burst/],
    ["the burst gone", () => "{}", /`?shop`?/, /\w/],
  ])("%s: the error names line, value and mend, and nothing is changed", async (_, text, problem, mend) => {
    writeFileSync(parametersFile, text());
    const { ok, errors } = (await refused()) as {
      ok: boolean;
      errors: { place: string; problem: string; mend: string }[];
    };
    expect(ok).toBe(false);
    for (const error of errors) expect(error.place).toMatch(new RegExp(`^${parametersFile}(:\\d+:\\d+)?$`));
    expect(errors.map((error) => error.problem).join("\n")).toMatch(problem);
    expect(errors.map((error) => error.mend).join("\n")).toMatch(mend);
  });

  test("all that is wrong in it is told at once", async () => {
    writeFileSync(
      parametersFile,
      edited((shop) => Object.assign(shop, { burst: "yes", cloud_members: -1, reason: 7 })),
    );
    const { errors } = (await refused()) as { errors: object[] };
    expect(errors).toHaveLength(3);
  });

  test("none at all", async () => {
    rmSync(parametersFile);
    expect(await refused()).toEqual(
      refusal(
        "the parameters file does not exist",
        parametersFile,
        expect.stringContaining("version control"),
      ),
    );
  });
});

test("agents that are down are no reason to end: it says so once each, and waits; status shows it; Ctrl-C is a good end", async () => {
  const env = { SPILLWAY_TOKEN: "some-token-0123456789" };
  const hook = startSpillway(["run", "--json"], { cwd: dir, env });
  try {
    await hook.until(/site cloud cannot be asked: [^\n]*nothing listens there/);
    await hook.until(/site onprem cannot be asked/);
    // The turn after the failed plan has written it down.
    await hook.until(/"kind":"failed"[^]*"kind":"decided"[^]*"kind":"observed"/, 30_000);
    const status = await spillway(["status", "--json"], { cwd: dir, env });
    expect(status.code).toBe(1);
    expect(onlyJson(status)).toMatchObject({
      ok: false,
      hooks: { shop: { alive: true, pid: hook.child.pid, phase: "quiet", lastProblem: expect.any(String) } },
    });
    const text = await spillway(["status"], { cwd: dir, env });
    expect(text.stdout).toMatch(/^hook shop: quiet for /m);
    expect(text.stdout).toMatch(/^hook shop: (failed|\d+ failures in a row): `terraform plan` ended/m);
  } finally {
    hook.child.kill("SIGINT");
  }
  const ended = await hook.ended;
  expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: "" });
  const events = ended.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string; message?: string });
  expect(events[0]).toMatchObject({ kind: "started", mode: "apply" });
  expect(events.at(-1)).toMatchObject({ kind: "stopped" });
  expect(events.filter(({ message }) => message?.includes("site cloud cannot be asked"))).toHaveLength(1);
  expect(processesAbout(dir)).toEqual([]);

  const after = await spillway(["status"], { cwd: dir, env });
  expect(after.stdout).toMatch(/^hook shop: not running; it was quiet when it was heard of last, .* ago$/m);
  expect(after.stdout.match(/^hook /gm)).toHaveLength(1);
}, 60_000);

test("a reader that goes is as good as Ctrl-C: nobody is left with a hook that acts unseen", async () => {
  const env = { SPILLWAY_TOKEN: "some-token-0123456789" };
  const hook = startSpillway(["run", "--json"], { cwd: dir, env });
  try {
    await hook.until(/"kind":"observed"/);
    hook.child.stdout?.destroy();
    for (const deadline = Date.now() + 15_000; hook.child.exitCode === null && Date.now() < deadline;)
      await sleep(20);
    expect({ code: hook.child.exitCode, stderr: hook.stderr() }).toEqual({ code: 0, stderr: "" });
    expect(processesAbout(dir)).toEqual([]);
    const journal = readFileSync(join(dir, ".spillway", "shop", "journal.jsonl"), "utf8");
    expect(journal.trim().split("\n").at(-1)).toContain('"kind":"stopped"');
  } finally {
    hook.child.kill("SIGKILL");
  }
}, 60_000);
