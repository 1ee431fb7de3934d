import { Ground, restsIn } from "./support/ground";

let ground: Ground;

afterEach(() => ground.remove());

const BURST = {
  burst: true,
  cloud_members: 5,
  weights: { cloud: 56, onprem: 44 },
  image_digest: null,
  reason: "demand 600 rps",
};

const HOME: readonly [string, number][] = [
  ["decided home", 1],
  ["intended", 2],
  ["planned", 2],
  ["flipped", 2],
  ["applying", 1],
  ["apply_start terraform_data.gate[0]", 1],
  ["apply_complete terraform_data.gate[0]", 1],
  ["applied", 2],
];

test.each(HOME)("a hook killed on the way home at `%s` is finished by the next one", async (dieOn, dieAt) => {
  ground = new Ground({}, BURST);
  ground.demand(600);
  const first = ground.start({ dieOn, dieAt });
  await first.until(({ name }) => name === "verified");
  ground.demand(50);
  expect(await first.exit).toEqual({ code: null, signal: "SIGKILL" });
  const second = ground.start();
  await restsIn(second, "quiet");
  expect(ground.parameters()).toMatchObject({ burst: false, weights: { onprem: 100 } });
  await ground.endsCleanly(second);
  expect(ground.happened()).toEqual(["pool-launched", "gate-gone", "pool-gone"]);
});

test("an apply that a killed hook left behind is stopped, and finished by the next one", async () => {
  ground = new Ground({ drainSeconds: 4 }, BURST);
  ground.demand(600);
  const first = ground.start({ dieOn: "apply_start terraform_data.gate[0]", dieAt: 1 });
  await restsIn(first, "burst");
  ground.demand(50);
  expect(await first.exit).toEqual({ code: null, signal: "SIGKILL" });
  const second = ground.start();
  const stopped = await second.until(({ name }) => name === "problem");
  expect(stopped.event.message).toMatch(
    /an apply that a killed hook left behind \(process \d+\) was stopped/,
  );
  await restsIn(second, "quiet");
  await ground.endsCleanly(second);
  expect(ground.happened().filter((line) => line === "pool-gone")).toHaveLength(1);
});
