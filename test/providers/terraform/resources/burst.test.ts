import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { request } from "node:http";
import { allUp, makeImage, poolUntil } from "../../../support/site";
import { BURST, burst, QUIET, variable } from "./support/burst";
import { startLab, story, Workspace, type Lab } from "./support/lab";

let lab: Lab;
let work: Workspace;

beforeAll(async () => {
  lab = await startLab();
  work = await Workspace.of(lab, "burst");
  work.write("main.tf.json", burst(lab));
}, 60_000);

afterAll(async () => {
  await lab?.close();
});

async function newsSince(start: number): Promise<string[]> {
  const all = await story(lab);
  return all
    .slice(start)
    .map((line) => line.replace(/shop-[0-9a-f]{8}/, "MEMBER").replace(/sha256:\w+/, "IMAGE"));
}

/** What happened, but for nudges that end by themselves. */
async function changes(): Promise<string[]> {
  return (await story(lab)).filter((line) => !line.includes("quiesce-changed"));
}

async function noChanges(...args: string[]): Promise<void> {
  const { code, text } = await work.planCode(...args);
  expect({ code, text: code === 0 ? "" : text }).toEqual({ code: 0, text: "" });
}

/** A slow request, which keeps its user at the site. */
function slowRequest(address: string, ms: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port: lab.port, path: `/slow?ms=${ms}` }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode ?? 0));
    });
    sent.once("error", reject).end();
  });
}

test("the plan to go out shows what the transfer takes, and changes nothing at the sites", async () => {
  await work.apply(QUIET);
  await noChanges(QUIET);
  const before = await story(lab);
  const plan = await work.must("plan", "-no-color", BURST);
  expect(plan).toMatch(
    /transfer\s+= \{\n\s+\+ eta\s+= ".+"\n\s+\+ in_use_bytes  = \d+\n\s+\+ present_bytes = \d+\n\s+\+ rate_mbps\s+= [\d.]+/,
  );
  expect(plan).toMatch(new RegExp(`\\+ total_bytes\\s+= ${lab.image.bytes}`));
  expect(plan).toMatch(new RegExp(`\\+ id\\s+= "cloud/${lab.image.digest}"`));
  expect(plan).toMatch(/Plan: 3 to add, 1 to change, 0 to destroy/);
  expect(await story(lab)).toEqual(before);
}, 60_000);

test("one apply goes out, in order: image, launch, admission, record", async () => {
  const start = (await story(lab)).length;
  await work.apply(BURST);
  const news = await newsSince(start);
  expect(news).toEqual([
    "cloud image-complete IMAGE",
    "cloud pool-created shop",
    "cloud member-launched MEMBER",
    "cloud member-up MEMBER",
    "cloud gate-opened shop",
    "onprem record-changed shop.example.test",
    "onprem quiesce-changed shop",
  ]);
  await noChanges(BURST);
  expect((await lab.home.client.record("shop.example.test"))?.spec.answers).toEqual([
    { site: "onprem", address: "127.0.1.1", weight: 50, pool: "onprem/shop" },
    { site: "cloud", address: "127.0.2.1", weight: 50, pool: "cloud/shop" },
  ]);
}, 60_000);

test("a refresh-only plan in the middle of a burst sees no change", async () => {
  const { text } = await work.planCode("-refresh-only", BURST);
  expect(text).toContain("No changes. Your infrastructure still matches the configuration.");
}, 30_000);

test("members and weights change within a burst, and the next plan is empty", async () => {
  const more = variable({
    burst: true,
    weights: { onprem: 25, cloud: 75 },
    reason: "more",
    cloud_members: 3,
  });
  await work.apply(more);
  await noChanges(more);
  expect((await lab.cloud.client.pool("shop"))?.members).toHaveLength(3);
  await work.apply(BURST);
  await noChanges(BURST);
  expect((await lab.cloud.client.pool("shop"))?.spec.members).toBe(1);
}, 60_000);

test("a record that someone removed is planned again and put back", async () => {
  await lab.home.client.deleteRecord("shop.example.test", "terraform");
  const { code, text } = await work.planCode(BURST);
  expect(code).toBe(2);
  expect(text).toContain("# spillway_global_record.shop will be created");
  await work.apply(BURST);
  await noChanges(BURST);
}, 60_000);

test("a record that someone changed is put back as declared", async () => {
  const answers = [{ site: "onprem", address: "127.0.1.1", weight: 100 }];
  await lab.home.client.putRecord("shop.example.test", { owner: "terraform", ttlSeconds: 1, answers });
  const { text } = await work.planCode(BURST);
  expect(text).toMatch(/# spillway_global_record.shop will be updated in-place/);
  await work.apply(BURST);
  expect((await lab.home.client.record("shop.example.test"))?.spec.answers).toHaveLength(2);
  await noChanges(BURST);
}, 60_000);

test("a pool that was marked for a new try is launched anew by the next apply", async () => {
  await lab.cloud.client.failPool("shop", "as a test");
  const { text } = await work.planCode(BURST);
  expect(text).toMatch(/~ status\s+= "failed" -> "ready"/);
  await work.apply(BURST);
  expect((await lab.cloud.client.pool("shop"))?.phase).toBe("ready");
  await noChanges(BURST);
}, 60_000);

test("a pool and a gate that are replaced in place keep what runs: the old take-down leaves the new ones alone", async () => {
  const before = await poolUntil(lab.cloud, "shop", allUp(1));
  await work.apply(BURST, "-replace=spillway_pool.cloud[0]", "-replace=spillway_gate.cloud[0]");
  const after = await lab.cloud.client.pool("shop");
  expect(after?.members.map(({ id }) => id)).toEqual(before?.members.map(({ id }) => id));
  expect(after?.phase).toBe("ready");
  expect(after?.quiesce.share).toBe(0);
  expect(after?.gate?.generation).not.toBe(before?.gate?.generation);
  expect(after?.spec.claim).not.toBe(before?.spec.claim);
  await noChanges(BURST);
}, 60_000);

test("Ctrl-C while users leave destroys nothing, and demand that returned finds the site serving", async () => {
  const answer = slowRequest("127.0.2.1", 6_000);
  const apply = work.start("apply", "-auto-approve", "-no-color", "-input=false", QUIET);
  await Workspace.printed(apply, /spillway_gate\.cloud\[0\].*: Destroying/s);
  await expectSoon(async () =>
    expect((await lab.cloud.client.pool("shop"))?.quiesce).toMatchObject({ share: 1, forMs: 0 }),
  );
  apply.process.kill("SIGINT");
  const { code, text } = await apply.ended;
  expect(code).not.toBe(0);
  expect(text).toMatch(
    /Stopped: Users were still leaving cloud\/shop: it serves on, and nothing was taken down/,
  );
  const pool = await lab.cloud.client.pool("shop");
  expect(pool?.phase).toBe("ready");
  expect(pool?.quiesce.share).toBe(0);
  expect(await work.state()).toEqual(
    expect.arrayContaining(["spillway_gate.cloud[0]", "spillway_pool.cloud[0]"]),
  );
  await work.apply(BURST);
  expect((await lab.home.client.record("shop.example.test"))?.spec.answers).toHaveLength(2);
  await noChanges(BURST);
  expect(await answer).toBe(200);
}, 60_000);

test("another image replaces the replica and then the members, without the pool ever being empty", async () => {
  const next = await makeImage({ dir: join(lab.root, "next"), version: "2" });
  const file = readFileSync(lab.image.path);
  writeFileSync(lab.image.path, readFileSync(next.path));
  try {
    const { text } = await work.planCode(BURST);
    expect(text).toMatch(/spillway_image_replica\.cloud\[0\] must be replaced/);
    expect(text).toMatch(/spillway_pool\.cloud\[0\] will be updated in-place/);
    await work.apply(BURST);
    await noChanges(BURST);
    expect((await lab.cloud.client.pool("shop"))?.spec.image).toBe(next.digest);
  } finally {
    writeFileSync(lab.image.path, file);
  }
  await work.apply(BURST);
  expect((await lab.cloud.client.pool("shop"))?.spec.image).toBe(lab.image.digest);
}, 60_000);

test("a pool, a record, a gate and a replica are imported, and the plan after it is empty but for the source's path", async () => {
  const config = JSON.parse(work.read("main.tf.json"));
  for (const [address, id] of [
    ["spillway_pool.home", "onprem/shop"],
    ["spillway_pool.cloud[0]", "cloud/shop"],
    ["spillway_gate.cloud[0]", "cloud/shop"],
    ["spillway_global_record.shop", "onprem/shop.example.test"],
    ["spillway_image_replica.home", `onprem/${lab.image.digest}`],
  ] as const) {
    await work.must("state", "rm", address);
    await work.must("import", "-no-color", "-input=false", BURST, address, id);
  }
  const { text } = await work.planCode(BURST);
  expect(text).not.toMatch(/spillway_pool\.\w+(\[0\])? will be/);
  expect(text).toMatch(/Plan: 0 to add, \d to change, 0 to destroy/);
  const before = await changes();
  await work.apply(BURST);
  expect(await changes()).toEqual(before);
  await noChanges(BURST);
  const gone = await work.run(
    "import",
    "-no-color",
    "-input=false",
    BURST,
    "spillway_pool.cloud[1]",
    "cloud/nothing",
  );
  expect(gone.text).toMatch(/There is no spillway_pool with the id "cloud\/nothing"|does not exist/);
  expect(config.resource.spillway_pool).toBeDefined();
}, 90_000);

test("one apply comes home, in order: record, users, members; and no trace is left", async () => {
  const start = (await story(lab)).length;
  const answer = slowRequest("127.0.2.1", 2_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await work.apply(QUIET);
  expect(await answer).toBe(200);
  expect((await newsSince(start)).filter((line) => !line.startsWith("onprem quiesce"))).toEqual([
    "onprem record-changed shop.example.test",
    "cloud quiesce-changed shop",
    "cloud pool-changed shop",
    "cloud member-draining MEMBER",
    "cloud member-ended MEMBER",
    "cloud pool-gone shop",
  ]);
  await noChanges(QUIET);
  expect(await lab.cloud.client.pool("shop")).toBeUndefined();
  expect((await lab.cloud.client.image(lab.image.digest))?.complete).toBe(true);
  expect(await work.state()).not.toContain("spillway_gate.cloud[0]");
}, 60_000);

test("the seed that stayed makes the next way out send nothing", async () => {
  const plan = await work.must("plan", "-no-color", BURST);
  expect(plan).toMatch(/\+ send_bytes\s+= 0\n/);
}, 30_000);

test("tokens are in neither state, plan nor output", async () => {
  await work.must("plan", "-no-color", "-out=saved", BURST);
  const shown =
    (await work.must("show", "-json", "saved")) +
    (await work.must("show", "-json")) +
    work.read("terraform.tfstate");
  expect(shown).toContain("token_file");
  for (const site of [lab.home, lab.cloud]) expect(shown).not.toContain(site.token);
}, 30_000);

test("a destroy of everything takes users off first and leaves no pool and no record", async () => {
  await work.apply(BURST);
  await work.must("destroy", "-auto-approve", "-no-color", "-input=false", BURST);
  expect(await lab.cloud.client.pool("shop")).toBeUndefined();
  expect(await lab.home.client.pool("shop")).toBeUndefined();
  expect(await lab.home.client.record("shop.example.test")).toBeUndefined();
  expect(await work.state()).toEqual([]);
}, 60_000);

async function expectSoon(check: () => Promise<void>): Promise<void> {
  const until = Date.now() + 10_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
