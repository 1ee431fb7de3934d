import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Observation } from "../../../lib/policy";
import { actions, play, POLICY, seen, siteSeen } from "./support";

/** One recorded minute is played as one second; the busiest is 1,000 rps. */
function recorded(): number[] {
  const text = readFileSync(join(__dirname, "fixtures", "worldcup98-jun10.csv"), "utf8");
  const counts = text
    .split("\n")
    .filter((line) => /^\d/.test(line))
    .map((line) => Number(line.split(",")[1]));
  const most = Math.max(...counts);
  return counts.map((count) => (count / most) * 1_000);
}

/** Eight members of 100 rps at home. */
const home = (at: number, rps: number): Observation =>
  seen(at, rps, { dnsTailMs: 0, onPrem: siteSeen("onprem", { demandRps: rps, members: 8, membersUp: 8 }) });

const policy = { ...POLICY, homeAfterMs: 20_000, minimumStayMs: 30_000, launchEstimateMs: 5_000 };

test("a recorded peak is met in time, with one way out and one way home", () => {
  const demand = recorded();
  expect(demand).toHaveLength(360);
  const applyMs = 8_000;
  const turns = play(demand, { policy, applyMs, observe: home });
  const moves = actions(turns).filter((action) => action !== "adjust");
  expect(moves).toEqual(["burst", "home"]);
  expect(turns.at(-1)?.state.phase).toBe("quiet");

  // Capacity that is in force: decisions count only once their apply has ended.
  const loads = turns.map(({ rps }, index) => {
    const decided = turns[index - applyMs / policy.intervalMs]?.decision.desired;
    return rps / (800 + (decided?.burst === true ? decided.cloudMembers * 100 : 0));
  });
  expect(Math.max(...loads)).toBeLessThan(1.1);
  expect(loads.filter((load) => load > 1).length).toBeLessThanOrEqual(0.02 * loads.length);
});

test("resizing within the burst stays rare", () => {
  const turns = play(recorded(), { policy, applyMs: 8_000, observe: home });
  expect(actions(turns).filter((action) => action === "adjust").length).toBeLessThanOrEqual(15);
});
