import type { DesiredParameters } from "../../lib/desired";
import { expectReadableJournal, leftByHook, PHASES, Trial, type Driver } from "./driver";
import { OUT, QUIET, type Stage } from "./stage";

/** A drain that is given up leaves a site that serves, with the members it had. */
let trial: Trial;
let stage: Stage;

beforeAll(async () => {
  trial = await Trial.open(20);
  stage = trial.stage;
}, 120_000);
afterEach(() => trial.endHooks());
afterAll(() => trial?.close(), 60_000);

/** What must not have changed when a drain was given up: members, their processes, the gate; and nobody is asked to leave. */
async function serving() {
  const status = await stage.sites.get("cloud").pool("shop");
  return {
    phase: status?.phase,
    members: status?.members.map(({ id, state }) => [id, state]),
    processes: stage.memberProcesses("cloud").sort(),
    gate: status?.gate?.generation,
    leave: status?.quiesce.share,
  };
}

/** The burst is out, and has been serving. */
async function out(): Promise<Awaited<ReturnType<typeof serving>>> {
  await stage.apply(OUT);
  const now = await serving();
  expect(now).toMatchObject({ phase: "ready", leave: 0 });
  expect(now.processes).toHaveLength(2);
  return now;
}

/** The record has left the cloud, and its users are asked to leave. */
async function expectDraining(): Promise<void> {
  expect(await trial.weights()).toEqual({ onprem: 100 });
  expect((await serving()).leave).toBe(1);
}

async function inState(): Promise<string[]> {
  return (await stage.must("state", "list")).split("\n").filter((line) => /gate|pool/.test(line));
}

async function expectFinished(parameters: Pick<DesiredParameters, "weights">): Promise<void> {
  expect(await stage.changes()).toBeUndefined();
  expect(await trial.weights()).toEqual(parameters.weights);
  await stage.until("no Terraform is left", () => stage.terraformProcesses().length === 0);
}

/** It has ended in good order, soon, and with it all that it started. */
function expectStopped(hook: Driver, end: { readonly code: number | null; readonly tookMs: number }): void {
  expect(end.code).toBe(0);
  expect(end.tookMs).toBeLessThan(10_000);
  expect(hook.events("aborting").at(-1)?.why).toBe("the hook stops");
  expect(hook.events("aborted")).toHaveLength(hook.events("aborting").length);
  expect(stage.terraformProcesses()).toEqual([]);
  expect(leftByHook(stage)).toEqual({ lease: false, scratch: [] });
  expectReadableJournal(stage);
}

test("demand that comes back in mid-drain: the hook gives the drain up, and the site serves on with the members it had", async () => {
  await trial.crowd(true);
  const before = await out();
  const stragglersGo = await stage.crowdComes(6, { users: 12, ttlIgnoringShare: 1, ttlIgnoringFactor: 100 });
  const hook = trial.drive();
  await hook.untilInForce(true);
  await trial.crowd(false);
  await hook.until("users are asked to leave", () =>
    hook.events("progress").some(({ progress }) => PHASES.drain.begun(progress)),
  );
  expect(hook.events("progress").at(-1)?.progress.message).toMatch(/^waiting for \d+ sessions? to leave/);
  await expectDraining();
  const seen = (await stage.sites.get("cloud").events(0)).last;

  await trial.crowd(true);
  await hook.until("the drain is given up", () => hook.events("aborted").length > 0);
  expect(hook.events("aborting").map(({ why }) => why)).toEqual([
    "out was decided while the other was under way: that is stopped",
  ]);
  await hook.untilInForce(true);
  expect(await serving()).toEqual(before);
  expect(await trial.weights()).toEqual(stage.parameters().weights);
  const { events } = await stage.sites.get("cloud").events(seen);
  expect([...new Set(events.map(({ kind }) => kind))]).toEqual(["quiesce-changed"]);
  expect(stage.parameters().reason).toMatch(/the way home is cancelled$/);
  expect(hook.events("failed")).toEqual([]);

  await hook.stop();
  await expectFinished(stage.parameters());
  expect(await stragglersGo()).toMatchObject({ failed: 0 });
}, 120_000);

test("Ctrl-C of an apply by hand in mid-drain: nothing is taken down, and the next apply puts the site back", async () => {
  const before = await out();
  const said = stage.progress().length;
  const running = stage.startApply(QUIET);
  await stage.until("users are asked to leave", () => stage.progress().slice(said).some(PHASES.drain.begun));
  await expectDraining();
  // A terminal sends it to the whole group: the provider gets it too.
  process.kill(-running.child.pid!, "SIGINT");
  const stoppedAt = Date.now();
  const { code, output } = await running.ended;
  expect(Date.now() - stoppedAt).toBeLessThan(10_000);
  expect(code).toBe(1);
  expect(output.replace(/[\s│]+/g, " ")).toContain("it serves on, and nothing was taken down");
  expect(await serving()).toEqual(before);
  expect(await inState()).toHaveLength(3);

  await stage.apply(OUT);
  expect(await serving()).toEqual(before);
  await expectFinished(OUT);
}, 120_000);

test("Ctrl-C while the site is taken down: the take-down goes on there, and the next apply launches it anew", async () => {
  await out();
  const said = stage.progress().length;
  const running = stage.startApply(QUIET);
  await stage.until("the take-down has begun", () =>
    stage.progress().slice(said).some(PHASES.takeDown.begun),
  );
  process.kill(-running.child.pid!, "SIGINT");
  await running.ended;
  await out();
  await expectFinished(OUT);
}, 120_000);

test("a hook stopped in mid-drain ends soon and leaves a site that serves; an apply by hand goes on with the way home", async () => {
  await trial.crowd(true);
  const before = await out();
  const hook = trial.drive();
  await hook.untilInForce(true);
  await trial.crowd(false);
  expectStopped(hook, await hook.signalIn(PHASES.drain, "SIGINT"));
  expect(await serving()).toEqual(before);
  expect(await trial.weights()).toEqual({ onprem: 100 });
  expect(stage.parameters().burst).toBe(false);

  expect(await stage.startApplyAsItIs().ended).toMatchObject({ code: 0 });
  await expectFinished(QUIET);
  expect(stage.memberProcesses("cloud")).toEqual([]);
}, 120_000);

test("a hook stopped in mid-transfer ends soon and keeps what has crossed", async () => {
  await stage.apply(QUIET);
  await trial.forgetImage();
  await trial.crowd(true);
  const hook = trial.drive();
  expectStopped(hook, await hook.signalIn(PHASES.transfer, "SIGINT"));
  const cloud = stage.sites.get("cloud");
  const [image] = await cloud.images();
  expect(image).toMatchObject({ complete: false, usedBy: [] });
  expect(image.presentBytes).toBeGreaterThan(0);
  expect(await cloud.pool("shop")).toBeUndefined();
  expect(await trial.weights()).toEqual({ onprem: 100 });
  expect(stage.parameters().burst).toBe(true);
}, 120_000);

test.each([PHASES.launch, PHASES.admit])(
  "the next one, stopped in $name, ends soon and sends nobody to the cloud",
  async (phase) => {
    const hook = trial.drive();
    expectStopped(hook, await hook.signalIn(phase, "SIGINT"));
    expect(await trial.weights()).toEqual({ onprem: 100 });
    expect((await stage.sites.get("cloud").images())[0].complete).toBe(true);
  },
  120_000,
);

test("an apply by hand goes on from there", async () => {
  expect(stage.parameters().burst).toBe(true);
  expect(await stage.startApplyAsItIs().ended).toMatchObject({ code: 0 });
  await expectFinished(stage.parameters());
  expect(stage.memberProcesses("cloud")).toHaveLength(2);
}, 120_000);

test("nobody's request failed in all of it", () => trial.expectNoFailure(1_000));
