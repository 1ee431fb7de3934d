import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestSiteProcess } from "../../../support/site";
import { BURST, burst, QUIET, variable } from "./support/burst";
import { startLabOfProcesses, Workspace, type Lab } from "./support/lab";

/** Seconds that a plan over a dead site may take; what one waits for is 3 s, once. */
const BEARABLE_MS = 15_000;

let lab: Lab<TestSiteProcess>;
let work: Workspace;

beforeAll(async () => {
  lab = await startLabOfProcesses();
  work = await Workspace.of(lab, "dead");
  work.write("main.tf.json", burst(lab));
}, 60_000);

afterAll(async () => {
  await lab?.close();
});

async function answers(): Promise<string[] | undefined> {
  const record = await lab.home.client.record("shop.example.test");
  return record?.spec.answers.map(({ site, weight }) => `${site} ${weight}`);
}

async function answersOnly(expected: readonly string[]): Promise<void> {
  const until = Date.now() + 40_000;
  while (JSON.stringify(await answers()) !== JSON.stringify(expected)) {
    if (Date.now() > until) throw new Error(`the record never answered ${String(expected)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Goes home while the cloud's agent is silent; it comes back when the gate has been seen to wait. */
async function goHome(comeBack: () => void | Promise<void>): Promise<void> {
  const apply = work.start("apply", "-auto-approve", "-no-color", "-input=false", QUIET);
  await answersOnly(["onprem 100"]);
  await Workspace.printed(apply, /spillway_gate\.cloud\[0\].*: Destroying/s, 30_000);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(apply.text()).not.toMatch(/Destruction complete|Error:/);
  await comeBack();
  const { code, text } = await apply.ended;
  expect({ code, text: code === 0 ? "" : text }).toEqual({ code: 0, text: "" });
  expect(await lab.cloud.client.pool("shop")).toBeUndefined();
  expect(await work.state()).not.toContain("spillway_pool.cloud[0]");
}

test("a hung agent: plans go on with a warning, the record is changed, the gate waits, and then it all comes home", async () => {
  await work.apply(BURST);
  process.kill(lab.cloud.pid(), "SIGSTOP");
  let stopped = true;
  const goOn = () => {
    if (stopped) process.kill(lab.cloud.pid(), "SIGCONT");
    stopped = false;
  };
  try {
    const started = Date.now();
    const { code, text } = await work.planCode(BURST);
    expect(Date.now() - started).toBeLessThan(BEARABLE_MS);
    expect({ code, text }).toEqual({
      code: 0,
      text: expect.stringContaining('Site "cloud" cannot be asked: what the state says of it is kept'),
    });
    expect(text).toMatch(/Silence is not absence/);
    expect(text).toMatch(/and 2 more similar warnings elsewhere/);

    const away = variable({ burst: true, weights: { onprem: 100 }, reason: "the cloud is dead" });
    await work.apply(away);
    expect(await answers()).toEqual(["onprem 100"]);

    await goHome(goOn);
  } finally {
    goOn();
  }
}, 120_000);

test("an agent that died: the same, and nothing is made at its site before it is back", async () => {
  await work.apply(BURST);
  await lab.cloud.kill();
  const { code, text } = await work.planCode(
    variable({ burst: true, weights: { onprem: 50, cloud: 50 }, reason: "more", cloud_members: 2 }),
  );
  expect({ code, text }).toEqual({
    code: 2,
    text: expect.stringMatching(/spillway_pool\.cloud\[0\] will be updated in-place/),
  });
  await goHome(() => lab.cloud.restart());

  await lab.cloud.kill();
  try {
    const refused = await work.planCode(BURST);
    expect(refused.code).toBe(1);
    expect(refused.text).toMatch(/The agent of site "cloud" cannot be reached at .*: nothing listens/);
  } finally {
    await lab.cloud.restart();
  }
}, 120_000);

test("a token that is refused is no silence: the plan fails", async () => {
  await work.apply(BURST);
  const wrong = join(lab.root, "wrong-token");
  writeFileSync(wrong, "another\n");
  const config = JSON.stringify(burst(lab)).replace(lab.cloud.tokenFile, wrong);
  work.write("main.tf.json", config);
  const { code, text } = await work.planCode(BURST);
  work.write("main.tf.json", burst(lab));
  rmSync(wrong);
  expect(code).toBe(1);
  expect(text).toMatch(/The agent of site "cloud" refused the token/);
}, 60_000);
