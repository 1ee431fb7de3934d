import { reselection } from "../../../../lib/steps/direct/reselection";
import {
  mustLeave,
  nextOrder,
  NO_QUIESCE,
  type QuiesceOrder,
} from "../../../../providers/local/balancer/quiesce";

/** A shift at a moment, in seconds: the share of the cloud from then on. */
interface Shift {
  readonly at: number;
  readonly cloud: number;
}

interface Crowd {
  readonly users: number;
  readonly ttl: number;
  /** Mean life of a connection that nobody asks to end, in seconds. */
  readonly life: number;
  /** Seconds between two requests. */
  readonly pause: number;
}

const STEP = 0.1;

/** Numbers in [0, 1) that are the same at each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}

/** Users with a cache of their own behind two balancers, in steps of time; what they and the balancers decide is the real code's. */
function simulate(crowd: Crowd, shifts: readonly Shift[], looks: readonly number[], seed: number) {
  const random = numbers(seed);
  let cloud = 0;
  const orders: Record<string, QuiesceOrder> = { onprem: NO_QUIESCE, cloud: NO_QUIESCE };
  const users = Array.from({ length: crowd.users }, (_, at) => ({
    key: `user ${at}`,
    site: "onprem",
    openedAt: -100 * random(),
    cachedUntil: crowd.ttl * random(),
    cached: "onprem",
    asked: 0,
  }));
  const share = () => users.filter(({ site }) => site === "cloud").length / users.length;
  const shares: number[] = [];
  for (let now = 0; shares.length < looks.length; now += STEP) {
    if (now >= (looks[shares.length] ?? 0)) shares.push(share());
    for (const shift of shifts) {
      if (Math.abs(shift.at - now) >= STEP / 2) continue;
      const asked = reselection(
        { onprem: 1 - share(), cloud: share() },
        { onprem: 1 - shift.cloud, cloud: shift.cloud },
      );
      cloud = shift.cloud;
      for (const site of ["onprem", "cloud"]) {
        const spec = { share: asked[site] ?? 0, forMs: 60_000, idleCloseMs: 30_000 };
        const once = { ...spec, afterMs: crowd.ttl * 1_000, once: true };
        orders[site] = nextOrder(
          orders[site] ?? NO_QUIESCE,
          asked[site] === 0 ? { ...spec, forMs: 0 } : once,
          now * 1_000,
        );
      }
    }
    for (const user of users) {
      const asks = random() < STEP / crowd.pause;
      const kept = { openedAt: user.openedAt * 1_000, cohortKey: user.key };
      const isAsked = asks && mustLeave(orders[user.site] ?? NO_QUIESCE, kept, now * 1_000);
      if (isAsked) user.asked += 1;
      if (!isAsked && random() >= STEP / crowd.life) continue;
      if (now >= user.cachedUntil) {
        user.cached = random() < cloud ? "cloud" : "onprem";
        user.cachedUntil = now + crowd.ttl;
      }
      user.site = user.cached;
      user.openedAt = now;
    }
  }
  return { shares, askedMost: Math.max(...users.map(({ asked }) => asked)) };
}

const KEPT: Crowd = { users: 1_200, ttl: 5, life: 1e9, pause: 0.5 };

test.each([
  ["keep one for ever", KEPT],
  ["keep one for about the TTL", { ...KEPT, life: 5 }],
  ["connect anew every second", { ...KEPT, life: 1 }],
])("users who %s are at the new weights 10 s after a shift, asked once at most", (_, crowd) => {
  const shifts = [
    { at: 0, cloud: 0.5 },
    { at: 20, cloud: 0.2 },
    { at: 40, cloud: 0.67 },
  ];
  const looks = shifts.map(({ at }) => at + 10);
  const { shares, askedMost } = simulate(crowd, shifts, looks, 7);
  shifts.forEach(({ cloud }, index) => expect(Math.abs((shares[index] ?? 0) - cloud)).toBeLessThan(0.05));
  expect(askedMost).toBeLessThanOrEqual(shifts.length);
});

test("steps that follow each other faster than the TTL end at the weights of the last", () => {
  const shifts = [0.1, 0.3, 0.5, 0.8].map((cloud, step) => ({ at: 2 * step, cloud }));
  const shareAt = (steps: readonly Shift[], look: number) => simulate(KEPT, steps, [look], 3).shares[0] ?? 0;
  expect(Math.abs(shareAt(shifts, 16) - 0.8)).toBeLessThan(0.03);
  const thereAndBack = [...shifts, { at: 11, cloud: 0.2 }, { at: 13, cloud: 0.4 }];
  expect(Math.abs(shareAt(thereAndBack, 23) - 0.4)).toBeLessThan(0.03);
});
