import * as fc from "fast-check";
import { reselection } from "../../../lib/steps/direct/reselection";

const weights = fc
  .uniqueArray(fc.constantFrom("a", "b", "c", "d"), { minLength: 1 })
  .chain((sites) =>
    fc.tuple(...sites.map((site) => fc.tuple(fc.constant(site), fc.integer({ min: 1, max: 100 })))),
  )
  .map((entries) => shares(Object.fromEntries(entries)));

function shares(figures: Record<string, number>): Record<string, number> {
  const sum = Object.values(figures).reduce((total, figure) => total + figure, 0);
  return Object.fromEntries(Object.entries(figures).map(([site, figure]) => [site, figure / sum]));
}

/** Where users are after those who were asked chose anew. */
function after(
  present: Record<string, number>,
  wanted: Record<string, number>,
  asked: Record<string, number>,
) {
  const choosing = Object.entries(present).reduce(
    (sum, [site, share]) => sum + share * (asked[site] ?? 0),
    0,
  );
  return (site: string) => (present[site] ?? 0) * (1 - (asked[site] ?? 0)) + choosing * (wanted[site] ?? 0);
}

test("the weights are reached, whatever they were and become", () => {
  fc.assert(
    fc.property(weights, weights, (present, wanted) => {
      const asked = reselection(present, wanted);
      const reached = after(present, wanted, asked);
      for (const [site, share] of Object.entries(asked)) {
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThanOrEqual(1);
        expect(reached(site)).toBeCloseTo(wanted[site] ?? 0, 9);
      }
    }),
  );
});

test("fewer cannot reach them: at one site at least nobody is asked, unless one comes from nothing", () => {
  fc.assert(
    fc.property(weights, weights, (present, wanted) => {
      const asked = reselection(present, wanted);
      const isJoined = Object.keys(wanted).some((site) => present[site] === undefined);
      const atWanted = Object.keys(wanted).filter((site) => present[site] !== undefined);
      if (isJoined) for (const site of Object.keys(present)) expect(asked[site]).toBe(1);
      else expect(Math.min(...atWanted.map((site) => asked[site] ?? 1))).toBeCloseTo(0, 9);
    }),
  );
});

test("of two sites, the one that falls lets (d - c) / (d (1 - c)) choose, and the other nobody", () => {
  expect(reselection({ onprem: 80, cloud: 20 }, { onprem: 50, cloud: 50 })).toEqual({
    onprem: expect.closeTo(0.3 / (0.5 * 0.8), 9) as number,
    cloud: 0,
  });
});

test("everybody at a site that leaves is moved, nobody where nothing changes, and nobody at all where nobody is", () => {
  expect(reselection({ onprem: 30, cloud: 70 }, { onprem: 100 })).toEqual({ onprem: 0, cloud: 1 });
  expect(reselection({ a: 120, b: 80 }, { a: 60, b: 40 })).toEqual({ a: 0, b: 0 });
  expect(reselection({}, { a: 100 })).toEqual({ a: 0 });
  expect(reselection({ a: 0, b: 0 }, { a: 50, b: 50 })).toEqual({ a: 0, b: 0 });
});
