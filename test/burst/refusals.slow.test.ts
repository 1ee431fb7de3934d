import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HealthMonitor } from "spillway";
import { makeImage, type MadeImage } from "../support/image";
import { declareShop, type DeclareOptions } from "./declare";
import { deeds, planned, weights } from "./look";
import { OUT, QUIET, Stage } from "./stage";

/**
 * What goes wrong on the way out, with users watching: the error names the place, the value and the mend; users stay where they were;
 * and once it is mended, the next apply finishes.
 */
let stage: Stage;
let image: MadeImage;
beforeAll(async () => {
  stage = await Stage.open({ linkMbps: 100 });
  image = await makeImage({ dir: join(stage.dir, "images") });
  await stage.usersCome();
}, 120_000);
afterAll(() => stage?.close(), 60_000);

afterEach(async () => {
  declareShop(stage);
  await stage.apply(QUIET);
  expect(await weights(stage)).toEqual({ onprem: 100 });
  expect(stage.memberProcesses("cloud")).toEqual([]);
}, 120_000);

/** Terraform's words in one line: its frames and line breaks taken out. */
function plain(text: string): string {
  return text.replace(/[│╷╵]/g, " ").replace(/\s+/g, " ");
}

function state(): string {
  return readFileSync(join(stage.dir, "shop.tfstate"), "utf8");
}

/** Tries to go out, which must fail. */
async function failToGoOut(): Promise<string> {
  const { code, output } = await stage.startApply(OUT).ended;
  expect(code).toBe(1);
  expect(await weights(stage)).toEqual({ onprem: 100 });
  return plain(output.slice(output.indexOf("Error:")));
}

async function goOut(): Promise<void> {
  await stage.apply(OUT);
  expect(await weights(stage)).toEqual(OUT.weights);
  await stage.until("two members serve", async () => (await stage.membersUp("cloud")) === 2);
  expect(await stage.changes()).toBeUndefined();
}

describe("refused when it is planned, and nothing at all is changed", () => {
  async function refused(options: DeclareOptions, during: () => () => void = () => () => undefined) {
    declareShop(stage, options);
    const [before, did] = [state(), await deeds(stage)];
    const over = during();
    const said = await failToGoOut().finally(over);
    expect(state()).toBe(before);
    expect(await deeds(stage)).toEqual(did);
    return said;
  }

  test("an agent that is down", async () => {
    const said = await refused({ cloudSite: { endpoint: "http://127.0.0.1:9" } });
    expect(said).toMatch(
      /agent of site "cloud" cannot be reached at http:\/\/127\.0\.0\.1:9: nothing listens there/,
    );
    expect(said).toMatch(/Start it there with `spillway agent`.*`spillway doctor` says what is missing/);
  }, 120_000);

  test("an agent that does not answer", async () => {
    const pid = stage.lab.agents.cloud.pid()!;
    const said = await refused({}, () => {
      process.kill(pid, "SIGSTOP");
      return () => process.kill(pid, "SIGCONT");
    });
    expect(said).toMatch(/agent of site "cloud" took .* did not answer it within \d+ ms.*agent's log/);
  }, 120_000);

  test("a wrong token, which is not told", async () => {
    const tokenFile = join(stage.dir, "wrong.token");
    writeFileSync(tokenFile, "quite-another-token-0123456789\n");
    const said = await refused({ cloudSite: { tokenFile } });
    expect(said).toContain(`The agent of site "cloud" refused the token from file ${tokenFile}`);
    expect(said).toContain("Give the token that the agent was started with");
    expect(said).not.toContain("quite-another-token");
  }, 120_000);

  test("an image file that is missing", async () => {
    const imagePath = join(stage.dir, "images", "none.img");
    const said = await refused({ imagePath });
    expect(said).toContain(`There is no image file "${imagePath}"`);
    expect(said).toContain("Correct `source`");
  }, 120_000);

  test.each<[string, object, RegExp]>([
    ["no members", { cloud_members: 0 }, /cloud_members.*at least 1|at least 1.*cloud_members/],
    ["weights that do not add up", { weights: { onprem: 50, cloud: 40 } }, /add up to 100.*got 90/],
    ["a site that nobody knows", { weights: { onprem: 50, clout: 50 } }, /clout/],
    ["users for a cloud that is not there", { burst: false, weights: { onprem: 50, cloud: 50 } }, /burst/],
  ])(
    "hand-edited parameters: %s",
    async (_, edit, expected) => {
      const before = state();
      writeFileSync(stage.parametersFile, JSON.stringify({ shop: { ...OUT, ...edit } }));
      const { code, output } = await stage.startApplyAsItIs().ended;
      expect(code).toBe(1);
      expect(plain(output)).toMatch(expected);
      expect(state()).toBe(before);
    },
    60_000,
  );
});

test("an image that was cut short after it was planned is not sent, and nothing is launched", async () => {
  declareShop(stage, { imagePath: image.path });
  const whole = readFileSync(image.path);
  await stage.apply(QUIET);
  const saved = join(stage.dir, "saved.tfplan");
  writeFileSync(stage.parametersFile, JSON.stringify({ shop: OUT }));
  await stage.must("plan", "-input=false", `-var-file=${stage.parametersFile}`, `-out=${saved}`);
  truncateSync(image.path, whole.length - 20_000);
  try {
    const { code, output } = await stage.start("apply", "-no-color", "-input=false", saved).ended;
    expect(code).toBe(1);
    expect(plain(output)).toContain(image.digest);
    expect(await weights(stage)).toEqual({ onprem: 100 });
    expect(await stage.sites.get("cloud").pool("shop")).toBeUndefined();
  } finally {
    writeFileSync(image.path, whole);
  }
  await goOut();
}, 120_000);

test("an image that was never whole is refused by the launcher: the pool fails, users stay", async () => {
  const imagePath = join(stage.dir, "images", "half.tar");
  writeFileSync(imagePath, readFileSync(image.path).subarray(0, 5_000));
  declareShop(stage, { imagePath });
  const said = await failToGoOut();
  expect(said).toMatch(
    /The launch failed: members shop-\w+, shop-\w+: died 3 times .* it is no valid tar archive: .* An image is a plain tar archive with `member.json` at its root/,
  );
  expect(stage.memberProcesses("cloud")).toEqual([]);
  declareShop(stage, { imagePath: image.path });
  await goOut();
}, 120_000);

test("a monitor that never turns healthy: the gate fails in its time and the pool is marked; mended, the apply finishes", async () => {
  declareShop(stage, {
    gate: { openTimeoutMs: 4_000, monitor: new HealthMonitor({ path: "/no-such-page", intervalMs: 200 }) },
  });
  const startedAt = Date.now();
  const said = await failToGoOut();
  expect(Date.now() - startedAt).toBeLessThan(40_000);
  expect(said).toMatch(/cloud\/shop/);
  expect(said).toMatch(/404/);
  expect(said).toMatch(/\/no-such-page/);
  expect((await stage.sites.get("cloud").pool("shop"))?.phase).toBe("failed");
  expect((await stage.must("state", "list")).split("\n").filter((line) => line.includes("gate"))).toEqual([]);

  declareShop(stage);
  expect(await planned(stage)).toMatchObject({
    "spillway_pool.shop_pool[0]": { actions: ["update"], attributes: ["status"] },
    "spillway_gate.shop_gate[0]": { actions: ["create"] },
  });
  await goOut();
}, 120_000);

test("a pool that never turns healthy at its own balancer fails in its time as well", async () => {
  declareShop(stage, {
    cloud: { monitor: new HealthMonitor({ path: "/no-such-page", intervalMs: 200 }) },
    gate: { openTimeoutMs: 4_000 },
  });
  const said = await failToGoOut();
  expect(said).toMatch(/cloud\/shop/);
  expect(said).toMatch(/0 of 2/);
  expect((await stage.sites.get("cloud").pool("shop"))?.phase).toBe("failed");
  declareShop(stage);
  await goOut();
}, 120_000);

test("members that die during admission begin it anew, and it finishes", async () => {
  declareShop(stage, {
    gate: { successes: 20, monitor: new HealthMonitor({ path: "/healthz", intervalMs: 200 }) },
  });
  const before = stage.progress().length;
  const { ended } = stage.startApply(OUT);
  await stage.until("admission has begun", () =>
    stage
      .progress()
      .slice(before)
      .some(({ step }) => step === "admit"),
  );
  const first = stage.memberProcesses("cloud");
  expect(first).toHaveLength(2);
  for (const pid of first) process.kill(pid, "SIGKILL");
  const { code, output } = await ended;
  expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
  expect(stage.memberProcesses("cloud").filter((pid) => first.includes(pid))).toEqual([]);
  expect(await weights(stage)).toEqual(OUT.weights);
}, 120_000);

test("members that die again and again: it fails in its time, users stay, and the error says what they died of", async () => {
  mkdirSync(join(stage.dir, "images"), { recursive: true });
  declareShop(stage, {
    imagePath: image.path,
    cloud: { environment: { CRASH_AFTER_MS: "700" }, launchTimeoutMs: 5_000 },
    gate: { openTimeoutMs: 6_000, successes: 30 },
  });
  const said = await failToGoOut();
  expect(said).toMatch(/exit code 7|crashing as asked/);
  declareShop(stage, { imagePath: image.path });
  await goOut();
}, 120_000);

test("nobody's request failed in all of it", async () => {
  const { failed, requests, firstFailures } = await stage.usersGo();
  expect(firstFailures).toEqual([]);
  expect(failed).toBe(0);
  expect(requests).toBeGreaterThan(1_000);
});
