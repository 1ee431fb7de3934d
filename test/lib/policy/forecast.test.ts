import fc from "fast-check";
import { forecast, leadTime, type Sample } from "../../../lib/policy";

const line = (count: number, rps: (index: number) => number): Sample[] =>
  Array.from({ length: count }, (_, index) => ({ at: 1_000_000 + index * 1_000, rps: rps(index) }));

test("a steady rise is carried on over the lead time", () => {
  const seen = forecast(
    line(60, (second) => 100 + 3 * second),
    20_000,
  );
  expect(seen.slopePerSecond).toBeCloseTo(3);
  expect(seen.forecastRps).toBeCloseTo(seen.levelRps + 60);
});

test("a trend is not stretched further ahead than it was seen", () => {
  expect(
    forecast(
      line(20, (second) => 100 + second),
      3_600_000,
    ).horizonMs,
  ).toBe(19_000);
});

test("wild samples do not move the trend, nor does the last one the level", () => {
  const wild = line(60, (second) => (second % 4 === 3 ? 5_000 : 100 + second));
  expect(forecast(wild, 30_000).slopePerSecond).toBeGreaterThan(0.5);
  expect(forecast(wild, 30_000).slopePerSecond).toBeLessThan(1.5);
  expect(forecast(wild, 0).levelRps).toBeLessThan(170);
});

test("a step is no trend, wherever it is", () => {
  for (let step = 1; step < 60; step++) {
    const seen = forecast(
      line(60, (second) => (second < step ? 100 : 600)),
      30_000,
    );
    expect(seen.forecastRps).toBe(seen.levelRps);
  }
});

test("no sample, few samples and samples in any order are all fine", () => {
  expect(forecast([], 1_000)).toEqual({ levelRps: 0, slopePerSecond: 0, horizonMs: 0, forecastRps: 0 });
  expect(forecast([{ at: 5, rps: 42 }], 1_000).forecastRps).toBe(42);
  const samples = line(30, (second) => 10 * second);
  expect(forecast([...samples].reverse(), 5_000)).toEqual(forecast(samples, 5_000));
});

const samplesArbitrary = fc
  .array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 90 })
  .map((values) => line(values.length, (index) => values[index] ?? 0));
const leadArbitrary = fc.integer({ min: 0, max: 3_600_000 });

test("a forecast is never negative, never beyond three times the level, and never no number", () => {
  fc.assert(
    fc.property(samplesArbitrary, leadArbitrary, (samples, leadTimeMs) => {
      const { forecastRps, levelRps } = forecast(samples, leadTimeMs);
      expect(forecastRps).toBeGreaterThanOrEqual(0);
      expect(forecastRps).toBeLessThanOrEqual(levelRps * 3);
    }),
  );
});

test("twice the demand has twice the forecast, and more everywhere is never less", () => {
  fc.assert(
    fc.property(
      samplesArbitrary,
      leadArbitrary,
      fc.integer({ min: 0, max: 1_000 }),
      (samples, leadTimeMs, plus) => {
        const one = forecast(samples, leadTimeMs).forecastRps;
        const twice = forecast(
          samples.map(({ at, rps }) => ({ at, rps: rps * 2 })),
          leadTimeMs,
        ).forecastRps;
        expect(twice).toBeCloseTo(one * 2, 3);
        const more = forecast(
          samples.map(({ at, rps }) => ({ at, rps: rps + plus })),
          leadTimeMs,
        ).forecastRps;
        expect(more).toBeGreaterThanOrEqual(one - 1e-6);
      },
    ),
  );
});

test("the lead time adds up, and a link without a rate does not make it infinite", () => {
  const rest = { launchMs: 30_000, admissionMs: 3_000, dnsTailMs: 5_000 };
  expect(leadTime({ bytesLeft: 125_000_000, linkBps: 100_000_000, ...rest })).toBe(48_000);
  expect(leadTime({ bytesLeft: 0, linkBps: 0, ...rest })).toBe(38_000);
  expect(leadTime({ bytesLeft: 1, linkBps: 0, ...rest })).toBe(30 * 86_400_000);
});
