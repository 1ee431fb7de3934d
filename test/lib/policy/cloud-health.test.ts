import fc from "fast-check";
import type { Observation } from "../../../lib/policy";
import { actions, play, POLICY, repeat, seen, siteSeen, type Turn } from "./support";

const policy = { ...POLICY, minCloudMembers: 4 };
const DEMAND = [...repeat(100, 20), ...repeat(500, 200)];
/** The burst has been in force, and complete, for long. */
const LATER = 60;

/** Four members in the cloud, of which `up` are up at each observation. */
function withCloud(up: (index: number) => number, demand: readonly number[] = DEMAND): Turn[] {
  return play(demand, {
    policy,
    observe: (at, rps, index) =>
      seen(at, rps, { cloud: siteSeen("cloud", { members: 4, membersUp: up(index) }) }),
  });
}

function changes(turns: readonly Turn[]): Turn[] {
  return turns.filter(({ decision }) => decision.action !== "hold");
}

test("a cloud without a member up leaves the answers, the burst stays, and it comes back with its members", () => {
  const turns = withCloud((index) => (index >= LATER && index < 100 ? 0 : 4));
  const [out, withdrawn, back, ...more] = changes(turns);
  expect(more).toEqual([]);
  expect(out?.decision.desired).toEqual({ burst: true, cloudMembers: 4, weights: { cloud: 50, onprem: 50 } });
  expect(withdrawn?.decision).toMatchObject({ action: "adjust", phase: "burst" });
  expect(withdrawn?.decision.desired).toEqual({ burst: true, cloudMembers: 4, weights: { onprem: 100 } });
  expect(withdrawn?.decision.reason).toMatch(
    /: 4 of 4 on-premises members and 0 of 4 cloud members up: weights become onprem 100$/,
  );
  expect(turns.indexOf(withdrawn as Turn)).toBe(LATER + policy.confirmations - 1);
  expect(back?.decision.desired).toEqual(out?.decision.desired);
  expect(turns.indexOf(back as Turn)).toBe(100 + policy.confirmations - 1);
});

test("a cloud that has lost some of its members gets as many users as the others carry", () => {
  const turns = withCloud((index) => (index >= LATER ? 1 : 4));
  expect(turns.at(-1)?.state.desired).toMatchObject({ cloudMembers: 4, weights: { cloud: 20, onprem: 80 } });
});

test("a stumble that is shorter than the confirmations changes no weight", () => {
  const turns = withCloud((index) => (index >= LATER && index % policy.confirmations !== 0 ? 0 : 4));
  expect(actions(turns)).toEqual(["burst"]);
});

test("a pool that was only just asked for is growing, not failing, for as long as a launch may take", () => {
  const inForceAt = withCloud(() => 4).findIndex(({ state }) => state.phase === "burst");
  const launch = policy.launchEstimateMs / policy.intervalMs;
  const growing = withCloud((index) => (index < inForceAt + launch - 1 ? 0 : 4));
  expect(actions(growing)).toEqual(["burst"]);
  const never = changes(withCloud(() => 0));
  expect(never.map(({ decision }) => decision.desired.weights)).toEqual([
    { cloud: 50, onprem: 50 },
    { onprem: 100 },
  ]);
});

test("more members that are asked for do not bring back a cloud that has failed", () => {
  const turns = withCloud((index) => (index >= LATER ? 0 : 4), [...DEMAND.slice(0, 80), ...repeat(900, 60)]);
  const last = turns.at(-1)?.state.desired;
  expect(last?.cloudMembers).toBeGreaterThan(4);
  expect(last?.weights).toEqual({ onprem: 100 });
});

test("with nothing up anywhere the weights stay as they are", () => {
  const turns = play(DEMAND, {
    policy,
    observe: (at, rps, index): Observation => {
      const membersUp = index < LATER ? 4 : 0;
      return seen(at, rps, {
        onPrem: siteSeen("onprem", { demandRps: rps, membersUp }),
        cloud: siteSeen("cloud", { members: 4, membersUp }),
      });
    },
  });
  for (const { decision } of turns.slice(LATER))
    expect(decision.desired.weights).toEqual({ cloud: 50, onprem: 50 });
});

/** The cloud's agent is silent from `from` to `to`. */
function silentCloud(from: number, to: number, onPremUp = 4): Turn[] {
  return play(DEMAND, {
    policy,
    observe: (at, rps, index) =>
      index < from || index >= to
        ? seen(at, rps)
        : seen(at, rps, {
            onPrem: siteSeen("onprem", { demandRps: rps, membersUp: onPremUp }),
            cloud: siteSeen("cloud", { reachable: false, problem: "no answer" }),
          }),
  });
}

test("a cloud that is silent for 30 s gets no users until it is seen again, and nothing is taken down", () => {
  const turns = silentCloud(LATER, 150);
  const [, withdrawn, back, ...more] = changes(turns);
  expect(more).toEqual([]);
  expect(turns.indexOf(withdrawn as Turn)).toBe(LATER + 30);
  expect(withdrawn?.decision).toMatchObject({
    action: "adjust",
    phase: "burst",
    desired: { burst: true, cloudMembers: 4, weights: { onprem: 100 } },
    reason:
      "site cloud cannot be asked for 30.0 s (no answer), so whether it serves is not known: all users are sent to onprem, and nothing is taken down",
  });
  expect(turns.indexOf(back as Turn)).toBe(150 + policy.confirmations - 1);
  expect(back?.decision.desired.weights).toEqual({ cloud: 50, onprem: 50 });
});

test("a shorter silence changes nothing, nor does one while on-premises has no member up", () => {
  expect(actions(silentCloud(LATER, LATER + 29))).toEqual(["burst"]);
  expect(actions(silentCloud(LATER, LATER + 60, 0))).toEqual(["burst"]);
});

test("fewer members: first the weights, then, when the TTL has passed, the members", () => {
  const turns = play([...repeat(100, 20), ...repeat(900, 60), ...repeat(500, 120)]);
  const [, ...adjusts] = changes(turns);
  const [first, second, ...more] = adjusts.slice(-2);
  expect(more).toEqual([]);
  expect(first?.decision.desired).toEqual({
    burst: true,
    cloudMembers: 9,
    weights: { cloud: 50, onprem: 50 },
  });
  expect(first?.decision.reason).toMatch(
    /: 4 cloud members have been enough for 1 min 0 s: weights become cloud 50, onprem 50, then 5 cloud members will go$/,
  );
  expect(second?.decision.desired).toEqual({ ...first?.decision.desired, cloudMembers: 4 });
  expect(second?.decision.reason).toMatch(/: users have followed the weights: 4 cloud members, down from 9$/);
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2_000);
});

test("demand that returns between the two puts the weights back, and no member goes", () => {
  const observe = (at: number, rps: number) => seen(at, rps, { dnsTailMs: 30_000 });
  const turns = play([...repeat(100, 20), ...repeat(900, 60), ...repeat(500, 75), ...repeat(880, 30)], {
    observe,
  });
  const [first, second] = changes(turns).slice(-2);
  expect(first?.decision.reason).toMatch(/then 5 cloud members will go$/);
  expect(second?.decision.reason).toMatch(/: all 9 cloud members stay$/);
  expect(second?.decision.desired).toEqual({
    burst: true,
    cloudMembers: 9,
    weights: { cloud: 69, onprem: 31 },
  });
});

const demands = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 1_500 }), fc.integer({ min: 1, max: 60 })), {
    minLength: 1,
    maxLength: 20,
  })
  .map((runs) => runs.flatMap(([rps, times]) => repeat(rps, times)));
const ups = fc
  .array(fc.tuple(fc.integer({ min: -1, max: 20 }), fc.integer({ min: 1, max: 40 })), {
    minLength: 1,
    maxLength: 12,
  })
  .map((runs) => runs.flatMap(([up, times]) => repeat(up, times)));

/** A cloud whose members come and go; -1 is an agent that cannot be asked. */
function troubled(demand: readonly number[], up: readonly number[], homeAfterMs: number): Turn[] {
  return play(demand, {
    policy: { ...POLICY, homeAfterMs, minimumStayMs: 20_000 },
    observe: (at, rps, index) => {
      const membersUp = up[index % up.length] as number;
      const reachable = membersUp >= 0;
      return seen(at, rps, {
        cloud: siteSeen("cloud", { reachable, members: 20, membersUp: Math.max(0, membersUp) }),
      });
    },
  });
}

test("no decision takes members and share away from the cloud at once", () => {
  fc.assert(
    fc.property(demands, ups, fc.integer({ min: 0, max: 30_000 }), (demand, up, homeAfterMs) => {
      let before = { cloudMembers: 1, weight: 0 };
      for (const { decision } of troubled(demand, up, homeAfterMs)) {
        const { cloudMembers, weights } = decision.desired;
        const weight = weights.cloud ?? 0;
        // Out of the quiet state the pool is made anew.
        if (decision.action !== "burst") {
          expect(cloudMembers < before.cloudMembers && weight < before.weight).toBe(false);
        }
        before = { cloudMembers, weight };
      }
    }),
    { numRuns: 60 },
  );
});

test("whatever the cloud does, weights add up, and one correction is not followed by another before it is confirmed", () => {
  fc.assert(
    fc.property(demands, ups, (demand, up) => {
      let correctedAt = -Infinity;
      troubled(demand, up, 60_000).forEach(({ decision }, index) => {
        const weights = Object.values(decision.desired.weights);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(100);
        expect(decision.reason).not.toMatch(/NaN|Infinity|undefined/);
        if (!decision.reason.includes(": weights become") || decision.reason.includes("will go")) return;
        expect(index - correctedAt).toBeGreaterThanOrEqual(POLICY.confirmations);
        correctedAt = index;
      });
    }),
    { numRuns: 60 },
  );
});

test("demand that is not known yet ends nothing and shrinks nothing, and what is known may still grow the burst", () => {
  const demand = [...repeat(100, 20), ...repeat(500, 60), ...repeat(20, 200)];
  const turns = (usersUnknown: string | undefined) =>
    play(demand, {
      policy: { ...policy, minCloudMembers: 1 },
      observe: (at, rps) =>
        seen(at, rps, { cloud: siteSeen("cloud", { members: 20, membersUp: 20, usersUnknown }) }),
    });
  const acted = (all: readonly Turn[]) => changes(all).map(({ decision }) => decision.action);
  expect(acted(turns(undefined))).toContain("home");
  const unknown = turns("no metrics yet");
  expect(acted(unknown)).toContain("burst");
  expect(acted(unknown)).not.toContain("home");
  expect(unknown.at(-1)?.state.desired.cloudMembers).toBeGreaterThanOrEqual(
    Math.max(...unknown.map(({ state }) => (state.desired.burst ? state.desired.cloudMembers : 0))),
  );
  expect(unknown.at(-1)?.decision.reason).toMatch(/demand at site cloud is not known yet \(no metrics yet\)/);
});

test("a platform's API that is silent withdraws nobody: it is not the cloud that is silent", () => {
  const turns = (unseen: boolean) =>
    play(DEMAND, {
      policy,
      observe: (at, rps, index) => {
        const silent = { reachable: false, unseen, problem: "AWS gives no answer" };
        return seen(at, rps, { cloud: siteSeen("cloud", { members: 4, ...(index >= LATER ? silent : {}) }) });
      },
    });
  expect(turns(false).at(-1)?.state.desired.weights).toEqual({ onprem: 100 });
  expect(turns(true).at(-1)?.state.desired.weights).toEqual({ cloud: 50, onprem: 50 });
});
