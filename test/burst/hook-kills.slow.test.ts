import { sleep } from "../../lib/wait";
import { expectReadableJournal, leftByHook, PHASES, Trial, type BurstPhase } from "./driver";
import { OUT, QUIET } from "./stage";

/**
 * `kill -9` of the hook in every phase of the way out and of the way home. The provider is a part of its process, so it dies too, and
 * leaves a Terraform behind that has lost it.
 */
let trial: Trial;
let atHome: readonly number[];
/** What a row left behind; undefined when it failed. */
let found: "out" | "home" | undefined;

beforeAll(async () => {
  trial = await Trial.open(30);
  atHome = trial.stage.memberProcesses("onprem").sort();
}, 120_000);
afterEach(() => trial.endHooks());
afterAll(() => trial?.close(), 60_000);

/** Brings the stage to where a way begins, without a hook. */
async function begin(phase: BurstPhase): Promise<void> {
  await trial.crowd(true);
  if (phase.out) {
    if (found !== "home") await trial.stage.apply(QUIET);
    await trial.forgetImage();
  } else if (found !== "out") {
    await trial.stage.apply(OUT);
  }
  found = undefined;
}

/** Runs a hook until it is killed in the phase. */
async function killIn(phase: BurstPhase): Promise<void> {
  const hook = trial.drive();
  if (!phase.out) {
    await hook.untilInForce(true);
    await trial.crowd(false);
  }
  const { code } = await hook.signalIn(phase, "SIGKILL");
  expect(code).toBeNull();
}

async function expectFinished(out: boolean): Promise<void> {
  const { stage } = trial;
  const parameters = stage.parameters();
  expect(parameters).toMatchObject({ burst: out, cloud_members: 2 });
  expect(Object.keys(parameters.weights).sort()).toEqual(out ? ["cloud", "onprem"] : ["onprem"]);
  expect(await stage.changes()).toBeUndefined();
  await stage.until("no member is orphaned or missing", () => {
    return stage.memberProcesses("cloud").length === (out ? 2 : 0);
  });
  expect(stage.memberProcesses("onprem").sort()).toEqual(atHome);
  await stage.until("no Terraform is left", () => stage.terraformProcesses().length === 0);
  expect(await trial.weights()).toEqual(parameters.weights);
  const pool = await stage.sites.get("cloud").pool("shop");
  expect(pool && { phase: pool.phase, share: pool.quiesce.share }).toEqual(
    out ? { phase: "ready", share: 0 } : undefined,
  );
  expectReadableJournal(stage);
  found = out ? "out" : "home";
}

const ROWS = [PHASES.transfer, PHASES.drain, PHASES.launch, PHASES.takeDown, PHASES.admit, PHASES.shift].map(
  (phase): [string, BurstPhase] => [phase.name, phase],
);

describe("kill -9 of a hook that stays dead", () => {
  test.each(ROWS)(
    "during %s: one apply by hand finishes what the parameters say",
    async (_, phase) => {
      await begin(phase);
      await killIn(phase);
      const { code, output } = await trial.stage.startApplyAsItIs().ended;
      expect({ code, output }).toMatchObject({ code: 0 });
      await expectFinished(phase.out);
      // Plans hold configuration in clear: until the next hook removes them, they are their owner's alone.
      for (const { mode } of leftByHook(trial.stage).scratch) expect(mode).toBe(0o700);
    },
    120_000,
  );
});

describe("kill -9 of a hook that is started again", () => {
  test.each(ROWS)(
    "during %s: the next one finishes what was begun",
    async (_, phase) => {
      await begin(phase);
      await killIn(phase);
      const next = trial.drive();
      await next.untilInForce(phase.out);
      expect(await next.stop()).toBe(0);
      expect(leftByHook(trial.stage)).toEqual({ lease: false, scratch: [] });
      await expectFinished(phase.out);
    },
    120_000,
  );
});

test("kill -9 again and again, at any moment: the first hook that lives finishes", async () => {
  await begin(PHASES.transfer);
  for (const out of [true, false]) {
    await trial.crowd(out);
    for (const afterMs of [200, 700, 1_200, 2_000, 3_200]) {
      const hook = trial.drive();
      await sleep(afterMs);
      await hook.kill();
    }
    const last = trial.drive();
    await last.untilInForce(out);
    expect(await last.stop()).toBe(0);
    expect(leftByHook(trial.stage)).toEqual({ lease: false, scratch: [] });
    await expectFinished(out);
  }
}, 180_000);

test("a hook told twice to stop ends at once; one apply by hand finishes", async () => {
  await begin(PHASES.launch);
  const hook = trial.drive();
  const { code } = await hook.signalIn(PHASES.launch, "SIGINT", "SIGTERM");
  expect(code).toBe(130);
  expect(await trial.stage.startApplyAsItIs().ended).toMatchObject({ code: 0 });
  await expectFinished(true);
}, 120_000);

test("nobody's request failed in all of it", async () => {
  await trial.crowd(false);
  await trial.stage.apply(QUIET);
  await trial.expectNoFailure(2_000);
});
