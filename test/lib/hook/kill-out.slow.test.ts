import { Ground, restsIn } from "./support/ground";

let ground: Ground;

afterEach(() => ground.remove());

// Some are passed twice: the first attempt only makes sure that the quiet state is in force.
const OUT: readonly [string, number][] = [
  ["decided burst", 1],
  ["intended", 2],
  ["planned", 2],
  ["flipped", 2],
  ["applying", 1],
  ["apply_start terraform_data.pool[0]", 1],
  ["apply_complete terraform_data.gate[0]", 1],
  ["applied", 2],
  ["verified", 2],
];

test.each(OUT)("a hook killed on the way out at `%s` is finished by the next one", async (dieOn, dieAt) => {
  ground = new Ground();
  ground.demand(50);
  const first = ground.start({ dieOn, dieAt });
  await first.until(({ name }) => name === "verified");
  ground.demand(600);
  expect(await first.exit).toEqual({ code: null, signal: "SIGKILL" });
  const second = ground.start();
  await restsIn(second, "burst");
  expect(ground.parameters().burst).toBe(true);
  await ground.endsCleanly(second);
  expect(ground.happened().filter((line) => line === "pool-launched")).toHaveLength(1);
});
