import { BURST, burst, variable } from "./support/burst";
import { startLab, story, Workspace, type Lab } from "./support/lab";

let lab: Lab;
let work: Workspace;

/** Members take a while to listen. */
const environment = { START_DELAY_MS: "2000" };

beforeAll(async () => {
  lab = await startLab();
  work = await Workspace.of(lab, "growth");
  work.write("main.tf.json", burst(lab, { pool: { environment } }));
  await work.apply(BURST);
}, 90_000);

afterAll(async () => {
  await lab?.close();
});

function grown(members: number, cloud: number): string {
  const weights = { onprem: 100 - cloud, cloud };
  return variable({ burst: true, weights, reason: "more", cloud_members: members });
}

async function cloudWeight(): Promise<number | undefined> {
  const record = await lab.home.client.record("shop.example.test");
  return record?.spec.answers.find(({ site }) => site === "cloud")?.weight;
}

/** Which came first? */
async function upsAndRecord(start: number): Promise<string[]> {
  const news = (await story(lab)).slice(start).filter((line) => /member-up|record-changed/.test(line));
  return news.map((line) => line.replace(/shop-[0-9a-f]{8}/, "MEMBER"));
}

test("an admitted pool that grows gets no more users before its new members are up", async () => {
  const start = (await story(lab)).length;
  await work.apply(grown(3, 75));
  expect(await upsAndRecord(start)).toEqual([
    "cloud member-up MEMBER",
    "cloud member-up MEMBER",
    "onprem record-changed shop.example.test",
  ]);
  expect((await work.planCode(grown(3, 75))).code).toBe(0);
}, 60_000);

test("members that never come up fail the growth, and the record stays; the next apply mends it", async () => {
  work.write("main.tf.json", burst(lab, { pool: { environment, launch_timeout: "500ms" } }));
  const { code, text } = await work.run("apply", "-auto-approve", "-no-color", "-input=false", grown(4, 90));
  expect(code).toBe(1);
  expect(text).toMatch(/The launch failed: member shop-\w+: not up 500 ms after its launch/);
  expect(await cloudWeight()).toBe(75);
  work.write("main.tf.json", burst(lab, { pool: { environment } }));
  await work.apply(grown(4, 90));
  expect(await cloudWeight()).toBe(90);
  expect((await lab.cloud.client.traffic("shop"))?.membersUp).toBe(4);
}, 90_000);

test("a growth that was cut off is seen by the next plan, and waited for by the next apply", async () => {
  const apply = work.start("apply", "-auto-approve", "-no-color", "-input=false", grown(5, 95));
  const start = (await story(lab)).length;
  const until = Date.now() + 20_000;
  while ((await lab.cloud.client.pool("shop"))?.spec.members !== 5) {
    if (Date.now() > until) throw new Error(`never asked for 5 members:\n${apply.text()}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  apply.process.kill("SIGINT");
  expect((await apply.ended).code).not.toBe(0);
  expect(await cloudWeight()).toBe(90);
  await work.apply(grown(5, 95));
  expect(await upsAndRecord(start)).toEqual([
    "cloud member-up MEMBER",
    "onprem record-changed shop.example.test",
  ]);
  expect(await cloudWeight()).toBe(95);
}, 60_000);
