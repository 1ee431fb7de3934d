import fc from "fast-check";
import {
  adopted,
  decide,
  initialState,
  parametersFor,
  desiredOf,
  type Observation,
} from "../../../lib/policy";
import { actions, play, POLICY, QUIET, repeat, seen, siteSeen } from "./support";

const NOW = 1_000_000_000_000;

test("a burst wants demand above the threshold in as many observations in a row as the policy says", () => {
  const turns = play([...repeat(100, 20), 390, 390, 100, 100, 390, 390]);
  expect(actions(turns)).toEqual([]);
  // The level is the median of three, so the run of high demand is seen one observation late.
  const more = play([...repeat(100, 20), ...repeat(390, 4)]);
  expect(more.map(({ decision }) => decision.action)).toEqual([...repeat(0, 23).map(() => "hold"), "burst"]);
});

test("a decision carries its reason with the figures", () => {
  const turn = play([...repeat(100, 20), ...repeat(412, 4)]).at(-1);
  expect(turn?.decision).toMatchObject({
    action: "burst",
    phase: "bursting",
    desired: { burst: true, cloudMembers: 2, weights: { cloud: 33, onprem: 67 } },
    reason:
      "demand 412 rps, forecast 412 rps in 15.0 s, on-premises capacity 400 rps: 103 % > 80 % for 3 observations: 2 cloud members",
  });
});

test("demand that rises is met before it is there: the forecast looks over the lead time", () => {
  const ramp = Array.from({ length: 60 }, (_, second) => 100 + second * 5);
  const first = play(ramp).find(({ decision }) => decision.action === "burst");
  expect(first?.rps).toBeLessThan(320);
  const slow = play(ramp, {
    // 100 Mbit/s and 500 MB: another 40 s of lead time.
    observe: (at, rps) => seen(at, rps, { replicaBytesLeft: 500_000_000 }),
  }).find(({ decision }) => decision.action === "burst");
  expect(slow?.at).toBeLessThan(first?.at ?? 0);
});

test("home wants low demand for its time, and the minimum stay", () => {
  const turns = play([...repeat(100, 20), ...repeat(500, 10), ...repeat(100, 200)]);
  expect(actions(turns).at(0)).toBe("burst");
  expect(actions(turns).at(-1)).toBe("home");
  const home = turns.find(({ decision }) => decision.action === "home");
  const inForce = turns.find(({ state }) => state.phase === "burst");
  expect((home?.at ?? 0) - (inForce?.at ?? 0)).toBeGreaterThanOrEqual(POLICY.minimumStayMs);
  expect(home?.decision.desired).toMatchObject({ burst: false, weights: { onprem: 100 } });
  expect(home?.decision.reason).toMatch(/^demand 100 rps, .*: 25 % < 50 % for .*, 2 min \d+ s in the burst$/);
  expect(turns.at(-1)?.state.phase).toBe("quiet");
});

test("a dip on the way home starts the wait anew", () => {
  const dips = Array.from({ length: 10 }, () => [...repeat(100, 50), ...repeat(380, 5)]).flat();
  const turns = play([...repeat(100, 20), ...repeat(500, 10), ...dips]);
  expect(actions(turns)).not.toContain("home");
});

test("demand that returns in mid-drain cancels the way home", () => {
  const turns = play([...repeat(100, 20), ...repeat(500, 10), ...repeat(100, 140), ...repeat(500, 10)], {
    applyMs: 600_000,
  });
  expect(actions(turns).filter((action) => action !== "adjust")).toEqual(["burst", "home", "burst"]);
  const again = turns.filter(({ decision }) => decision.action === "burst").at(-1);
  expect(again?.decision.reason).toContain("the way home is cancelled");
  expect(again?.state.stayFrom).toBe(again?.at);
});

test("demand that is gone before the burst is in force cancels the way out, after the minimum stay", () => {
  const turns = play([...repeat(100, 20), ...repeat(500, 10), ...repeat(50, 150)], { applyMs: 3_600_000 });
  expect(turns.find(({ decision }) => decision.action === "home")?.state.phase).toBe("homing");
});

test("more members come at once, fewer only after a stable time", () => {
  const turns = play([...repeat(100, 20), ...repeat(500, 30), ...repeat(900, 30), ...repeat(600, 90)]);
  const grown = turns.find(({ at, decision }) => at > NOW + 50_000 && decision.action === "adjust");
  expect(grown?.at).toBeLessThanOrEqual(NOW + 55_000);
  const shrunk = turns.find(({ decision }) => / down from /.test(decision.reason));
  expect(shrunk?.decision.desired.cloudMembers).toBe(5);
  expect(shrunk?.at).toBeGreaterThanOrEqual(NOW + 80_000 + POLICY.homeAfterMs);
});

test("weights follow the on-premises members that are up, but not a short stumble", () => {
  const demand = [...repeat(100, 20), ...repeat(500, 60)];
  const with_ = (down: (index: number) => boolean) =>
    play(demand, {
      policy: { ...POLICY, minCloudMembers: 8 },
      observe: (at, rps, index) =>
        seen(at, rps, { onPrem: siteSeen("onprem", { demandRps: rps, membersUp: down(index) ? 1 : 4 }) }),
    });
  expect(actions(with_((index) => index === 60 || index === 61))).toEqual(["burst"]);
  const turns = with_((index) => index >= 60);
  expect(actions(turns)).toEqual(["burst", "adjust"]);
  expect(turns.at(-1)?.decision.desired.weights).toEqual({ cloud: 89, onprem: 11 });
});

test("with no member up on premises all users go to the cloud", () => {
  const turns = play([...repeat(200, 30)], {
    observe: (at, rps, index) =>
      seen(at, rps, { onPrem: siteSeen("onprem", { demandRps: rps, membersUp: index < 20 ? 4 : 0 }) }),
  });
  const out = turns.find(({ decision }) => decision.action === "burst");
  expect(out?.decision.desired.weights).toEqual({ cloud: 100 });
  expect(out?.decision.reason).toContain("on-premises capacity 0 rps: no member up");
});

test("silence changes nothing: an unreachable site brings nothing home, nor sends anything out", () => {
  const turns = play([...repeat(100, 20), ...repeat(500, 40), ...repeat(0, 400)], {
    observe: (at, rps, index): Observation => {
      const observation = seen(at, rps);
      const onPrem = siteSeen("onprem", { reachable: false, problem: "no answer" });
      return index < 60 ? observation : { ...observation, onPrem, demandRps: 0 };
    },
  });
  expect(actions(turns)).toEqual(["burst"]);
  expect(turns.at(-1)?.decision).toMatchObject({
    phase: "burst",
    reason: "site onprem cannot be asked (no answer), so demand is unknown: everything stays as it is",
  });
});

test("one is one in a reason, and figures that would look the same are told more exactly", () => {
  const one = play([...repeat(100, 20), ...repeat(321.6, 2)], { policy: { ...POLICY, confirmations: 1 } });
  expect(one.at(-1)?.decision.reason).toMatch(
    /on-premises capacity 400 rps: 80\.4 % > 80 % for 1 observation: 1 cloud member$/,
  );
  const shrunk = play([...repeat(100, 20), ...repeat(600, 30), ...repeat(300, 90)]);
  const reasons = shrunk
    .map(({ decision }) => decision.reason)
    .filter((reason) => /been enough/.test(reason));
  expect(reasons).toEqual([
    expect.stringMatching(
      /: 1 cloud member has been enough for 1 min 0 s: .*, then \d+ cloud members will go$/,
    ),
  ]);
  const idle = play([0], {
    observe: (at, rps) => seen(at, rps, { onPrem: siteSeen("onprem", { membersUp: 0 }) }),
  });
  expect(idle[0]?.decision.reason).toMatch(/on-premises capacity 0 rps: no member up and no demand$/);
});

test("a cloud that cannot be asked is not burst into, but the need is said", () => {
  const turns = play([...repeat(100, 20), ...repeat(500, 20)], {
    observe: (at, rps) =>
      seen(at, rps, { cloud: siteSeen("cloud", { reachable: false, problem: "refused" }) }),
  });
  expect(actions(turns)).toEqual([]);
  expect(turns.at(-1)?.decision.reason).toMatch(/> 80 %, but the cloud cannot be asked \(refused\)$/);
});

test("an observation that is old, or was seen before, is ignored", () => {
  const state = initialState(QUIET, NOW);
  const old = decide(state, seen(NOW - 60_000, 1_000), POLICY, NOW);
  expect(old.state).toBe(state);
  expect(old.decision.reason).toBe("the observation is 1 min 0 s old and is ignored");
  const once = decide(state, seen(NOW, 1_000), POLICY, NOW);
  const twice = decide(once.state, seen(NOW, 1_000), POLICY, NOW + 100);
  expect(twice.state).toBe(once.state);
});

test("a gap in the observations starts every wait anew", () => {
  const turns = play([...repeat(100, 20), ...repeat(500, 10), ...repeat(100, 40)]);
  const { state } = turns.at(-1)!;
  expect(state.belowSince).toBeDefined();
  const later = (state.lastAt ?? 0) + 3_600_000;
  const verdict = decide(state, seen(later, 100), POLICY, later);
  expect(verdict.decision.action).toBe("hold");
  expect(verdict.state.belowSince).toBe(later);
});

test("what a person sets by hand counts as a decision, with its minimum stay", () => {
  const out = adopted(
    initialState(QUIET, NOW),
    { burst: true, cloudMembers: 3, weights: { cloud: 100 } },
    NOW,
  );
  expect(out).toMatchObject({ phase: "bursting", stayFrom: NOW });
  expect(adopted(out, QUIET, NOW + 1)).toMatchObject({ phase: "homing" });
});

test("the parameters keep the image that is pinned in them", () => {
  const parameters = parametersFor({ ...QUIET, burst: true }, "why", { image_digest: "sha256:00" });
  expect(parameters).toEqual({
    burst: true,
    cloud_members: 1,
    weights: { onprem: 100 },
    image_digest: "sha256:00",
    reason: "why",
  });
  expect(desiredOf(parameters)).toEqual({ ...QUIET, burst: true });
});

const demandArbitrary = fc.array(fc.integer({ min: 0, max: 1_500 }), { minLength: 1, maxLength: 400 });
const policyArbitrary = fc
  .record({
    burstAbove: fc.double({ min: 0.4, max: 1.2, noNaN: true }),
    gap: fc.double({ min: 0.05, max: 0.35, noNaN: true }),
    confirmations: fc.integer({ min: 1, max: 5 }),
    homeAfterMs: fc.integer({ min: 0, max: 30_000 }),
    minimumStayMs: fc.integer({ min: 0, max: 90_000 }),
    targetUtilisation: fc.double({ min: 0.3, max: 1, noNaN: true }),
    minCloudMembers: fc.integer({ min: 1, max: 3 }),
    extra: fc.integer({ min: 0, max: 20 }),
  })
  .map(({ gap, extra, ...rest }) => ({
    ...POLICY,
    ...rest,
    homeBelow: rest.burstAbove - gap,
    maxCloudMembers: rest.minCloudMembers + extra,
  }));

test("it never flaps: home is never decided sooner than the minimum stay after the burst was", () => {
  fc.assert(
    fc.property(
      demandArbitrary,
      policyArbitrary,
      fc.integer({ min: 0, max: 60_000 }),
      (demand, policy, applyMs) => {
        let outAt: number | undefined;
        for (const { at, decision } of play(demand, { policy, applyMs })) {
          if (decision.action === "burst") outAt = at;
          if (decision.action === "home")
            expect(at - (outAt ?? at)).toBeGreaterThanOrEqual(policy.minimumStayMs);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("whatever comes, weights are whole numbers that add up to 100 and members stay within their bounds", () => {
  const member = fc.integer({ min: 0, max: 6 });
  fc.assert(
    fc.property(
      demandArbitrary,
      policyArbitrary,
      fc.array(member, { minLength: 1 }),
      (demand, policy, ups) => {
        const turns = play(demand, {
          policy,
          observe: (at, rps, index) =>
            seen(at, rps, {
              onPrem: siteSeen("onprem", {
                demandRps: rps,
                members: 6,
                membersUp: ups[index % ups.length] ?? 0,
              }),
            }),
        });
        for (const { decision, state } of turns) {
          const weights = Object.values(decision.desired.weights);
          expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(100);
          expect(weights.every((weight) => Number.isInteger(weight) && weight >= 1)).toBe(true);
          expect(decision.desired).toEqual(state.desired);
          if (!decision.desired.burst) expect(decision.desired.weights).toEqual({ onprem: 100 });
          else {
            expect(decision.desired.cloudMembers).toBeGreaterThanOrEqual(policy.minCloudMembers);
            expect(decision.desired.cloudMembers).toBeLessThanOrEqual(policy.maxCloudMembers);
          }
          expect(decision.reason).not.toMatch(/NaN|Infinity|undefined/);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("more demand never means fewer members, nor a later burst", () => {
  const factor = fc.double({ min: 1, max: 3, noNaN: true });
  fc.assert(
    fc.property(demandArbitrary, factor, fc.integer({ min: 0, max: 300 }), (demand, times, plus) => {
      const first = (rps: readonly number[]) => play(rps).find(({ decision }) => decision.action === "burst");
      const less = first(demand);
      const more = first(demand.map((rps) => rps * times + plus));
      if (!less) return;
      expect(more?.at).toBeLessThanOrEqual(less.at);
      if (more?.at === less.at) {
        expect(more.decision.desired.cloudMembers).toBeGreaterThanOrEqual(less.decision.desired.cloudMembers);
      }
    }),
    { numRuns: 150 },
  );
});

test("the state survives the journal: JSON in, JSON out, the same decisions", () => {
  fc.assert(
    fc.property(demandArbitrary, (demand) => {
      const last = play(demand).at(-1)!;
      const kept = JSON.parse(JSON.stringify(last.state)) as typeof last.state;
      const at = last.at + 1_000;
      expect(decide(kept, seen(at, 700), POLICY, at)).toEqual(decide(last.state, seen(at, 700), POLICY, at));
    }),
    { numRuns: 100 },
  );
});
