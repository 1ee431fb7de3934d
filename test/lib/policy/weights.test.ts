import * as fc from "fast-check";
import { split } from "../../../lib/policy/weights";

const figure = fc.oneof(
  fc.integer({ min: 0, max: 1_000 }),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.constant(0),
);
const bySite = fc.dictionary(fc.stringMatching(/^[a-z0-9-]{1,6}$/), figure, { maxKeys: 12 });
const three = fc.tuple(bySite, bySite, bySite);

function exactShares(
  capacity: Record<string, number>,
  health: Record<string, number>,
  performance: Record<string, number>,
): Record<string, number> {
  const score = (site: string) =>
    (capacity[site] ?? 0) *
    (Object.hasOwn(health, site) ? (health[site] ?? 0) : 1) *
    (Object.hasOwn(performance, site) ? (performance[site] ?? 0) : 1);
  const sum = Object.keys(capacity).reduce((total, site) => total + score(site), 0);
  return Object.fromEntries(
    Object.keys(capacity).map((site) => [site, sum > 0 ? (score(site) / sum) * 100 : 0]),
  );
}

test("weights are whole, between 1 and 100, and add up to 100", () => {
  fc.assert(
    fc.property(three, ([capacity, health, performance]) => {
      const weights = Object.values(split(capacity, health, performance));
      expect(weights.every((weight) => Number.isInteger(weight) && weight >= 1 && weight <= 100)).toBe(true);
      const sum = weights.reduce((total, weight) => total + weight, 0);
      expect([0, 100]).toContain(sum);
    }),
  );
});

test("no weight is further than 1 from its exact share, and a site without share is left out", () => {
  fc.assert(
    fc.property(three, ([capacity, health, performance]) => {
      const weights = split(capacity, health, performance);
      for (const [site, share] of Object.entries(exactShares(capacity, health, performance))) {
        if (share === 0 && Object.keys(weights).length > 0) expect(weights).not.toHaveProperty([site]);
        if (Object.keys(weights).length > 0)
          expect(Math.abs((weights[site] ?? 0) - share)).toBeLessThan(1.000001);
      }
    }),
  );
});

test("a site with the higher score never has the lower weight", () => {
  fc.assert(
    fc.property(bySite, (capacity) => {
      const weights = split(capacity);
      const ranked = Object.keys(capacity).sort(
        (one, other) => (capacity[one] ?? 0) - (capacity[other] ?? 0),
      );
      const rising = ranked.map((site) => weights[site] ?? 0);
      // Equal scores may differ by the one point that is left over.
      ranked.forEach((site, at) => {
        const next = ranked[at + 1];
        if (next === undefined || capacity[site] === capacity[next]) return;
        expect(rising[at] ?? 0).toBeLessThanOrEqual(rising[at + 1] ?? 0);
      });
    }),
  );
});

test("neither the order of the sites nor the unit of capacity matters", () => {
  fc.assert(
    fc.property(bySite, (capacity) => {
      const turned = Object.fromEntries(Object.entries(capacity).reverse());
      const scaled = Object.fromEntries(
        Object.entries(capacity).map(([site, value]) => [site, value * 1024]),
      );
      expect(split(turned)).toEqual(split(capacity));
      expect(split(scaled)).toEqual(split(capacity));
    }),
  );
});

test.each([
  [{ cloud: 100, onprem: 300 }, {}, {}, { cloud: 25, onprem: 75 }],
  [{ a: 1, b: 1, c: 1 }, {}, {}, { a: 34, b: 33, c: 33 }],
  [{ cloud: 100, onprem: 100 }, { cloud: 0.5 }, {}, { cloud: 33, onprem: 67 }],
  [{ cloud: 100, onprem: 100 }, { cloud: 0 }, {}, { onprem: 100 }],
  [{ cloud: 100, onprem: 100 }, {}, { onprem: 0.25 }, { cloud: 80, onprem: 20 }],
  [{ tiny: 1, huge: 1_000_000 }, {}, {}, { huge: 100 }],
  [{ cloud: 1e308, onprem: 1e308 }, {}, {}, { cloud: 50, onprem: 50 }],
  [{ cloud: 5e-324, onprem: 5e-324 }, {}, {}, { cloud: 50, onprem: 50 }],
  [{ cloud: 0 }, {}, {}, {}],
  [{}, {}, {}, {}],
])("capacity %j, health %j and performance %j give %j", (capacity, health, performance, expected) => {
  expect(split(capacity, health, performance)).toEqual(expected);
});

test("a figure that is negative or not a number is refused with its site", () => {
  expect(() => split({ cloud: -1 })).toThrow('capacity of site "cloud" must be 0 or more, got -1');
  expect(() => split({ cloud: 1 }, { cloud: NaN })).toThrow(
    'health of site "cloud" must be 0 or more, got NaN',
  );
  expect(() => split({ cloud: 1 }, {}, { cloud: Infinity })).toThrow(/performance of site "cloud"/);
});
