import type { Progress } from "../../lib/wait";
import { sleep } from "../../lib/wait";
import { OUT, QUIET, Stage, type Running } from "./stage";

/**
 * `kill -9` in every phase of the way out and of the way home. Each row: the phase, how it is known that it has begun, and the parameters
 * whose apply is cut off in it.
 */
const PHASES: readonly {
  readonly name: string;
  readonly apply: "out" | "home";
  readonly begun: (said: readonly Progress[]) => boolean;
}[] = [
  {
    name: "transfer",
    apply: "out",
    begun: (said) => said.some(({ message }) => / are there: sent /.test(message)),
  },
  { name: "launch", apply: "out", begun: (said) => said.some(({ step }) => step === "launch") },
  { name: "admit", apply: "out", begun: (said) => said.some(({ step }) => step === "admit") },
  { name: "shift", apply: "out", begun: (said) => said.some(({ step }) => step === "direct") },
  { name: "drain", apply: "home", begun: (said) => said.some(({ step }) => step === "quiesce") },
  { name: "take-down", apply: "home", begun: (said) => said.some(({ step }) => step === "take-down") },
];

const VICTIMS: Readonly<Record<string, (stage: Stage, running: Running) => void>> = {
  terraform: (_, { child }) => process.kill(child.pid!, "SIGKILL"),
  "the provider": (stage) => {
    for (const pid of stage.providerProcesses()) process.kill(pid, "SIGKILL");
  },
  "the cloud's agent": (stage) => process.kill(stage.lab.agents.cloud.pid()!, "SIGKILL"),
  "the agent on premises": (stage) => process.kill(stage.lab.agents.onprem.pid()!, "SIGKILL"),
};

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
  await stage.usersCome();
}, 120_000);
afterAll(() => stage?.close(), 60_000);

/** Applies until a phase has begun, then kills. */
async function cutOff(phase: (typeof PHASES)[number], victim: keyof typeof VICTIMS): Promise<void> {
  const before = stage.progress().length;
  const running = stage.startApply(phase.apply === "out" ? OUT : QUIET);
  let over = false;
  void running.ended.then(() => (over = true));
  await stage.until(`${phase.name} has begun`, () => over || phase.begun(stage.progress().slice(before)));
  VICTIMS[victim](stage, running);
  await running.ended;
}

async function expectFinished(out: boolean): Promise<void> {
  expect(await stage.changes()).toBeUndefined();
  await stage.until("no member is orphaned or missing", () => {
    const wanted = out ? OUT.cloud_members : 0;
    return stage.memberProcesses("cloud").length === wanted && stage.memberProcesses("onprem").length === 2;
  });
  await stage.until("no provider is left", () => stage.providerProcesses().length === 0);
  const record = await stage.sites.get("onprem").record("shop.example.test");
  expect(record?.spec.answers.map(({ site, weight }) => [site, weight])).toEqual(
    out
      ? [
          ["onprem", 50],
          ["cloud", 50],
        ]
      : [["onprem", 100]],
  );
}

describe.each(Object.keys(VICTIMS))("kill -9 of %s", (victim) => {
  test.each(PHASES.map((phase) => [phase.name, phase] as const))(
    "during %s: the next apply finishes, and nothing is orphaned",
    async (_, phase) => {
      if (phase.apply === "out") {
        await stage.apply(QUIET);
        // What the site has kept of the image would leave nothing to transfer.
        for (const image of await stage.sites.get("cloud").images()) {
          await stage.sites.get("cloud").deleteImage(image.digest);
        }
      } else {
        await stage.apply(OUT);
      }
      await cutOff(phase, victim);
      await sleep(200);
      await stage.apply(phase.apply === "out" ? OUT : QUIET);
      await expectFinished(phase.apply === "out");
    },
    120_000,
  );
});

test("nobody's request failed in all of it", async () => {
  await stage.apply(QUIET);
  const { failed, requests, firstFailures } = await stage.usersGo();
  expect(firstFailures).toEqual([]);
  expect(failed).toBe(0);
  expect(requests).toBeGreaterThan(1_000);
});
