import { BURST, burst, QUIET } from "./support/burst";
import { startLab, story, Workspace, type Lab } from "./support/lab";

let lab: Lab;
let work: Workspace;

beforeAll(async () => {
  lab = await startLab();
  work = await Workspace.of(lab, "burst");
  work.write("main.tf.json", burst(lab));
}, 60_000);

afterAll(async () => {
  await work?.close();
  await lab?.close();
});

test("one apply goes out and one comes home, each in order, and a second plan in each state is empty", async () => {
  await work.apply(QUIET);
  expect((await work.planCode(QUIET)).text).toContain("No changes");
  const plan = await work.must("plan", "-no-color", BURST);
  expect(plan).toContain("send_bytes");
  await work.apply(BURST);
  expect((await work.planCode(BURST)).text).toContain("No changes");
  expect((await lab.home.client.record("shop.example.test"))?.spec.answers).toHaveLength(2);
  await work.apply(QUIET);
  expect((await work.planCode(QUIET)).text).toContain("No changes");
  console.log(await story(lab));
  expect(await lab.cloud.client.pool("shop")).toBeUndefined();
}, 90_000);
