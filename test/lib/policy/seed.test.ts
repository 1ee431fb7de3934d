import * as fc from "fast-check";
import { keepSeed, type SeedQuestion } from "../../../lib/policy";

const MINUTE = 60_000;

/** 20 GB at 0.10 a GB-month over 100 Mbit/s: 2.00 a month, or 26 min 40 s of transfer. */
const QUESTION: SeedQuestion = {
  sizeBytes: 20e9,
  storagePricePerGbMonth: 0.1,
  linkBps: 100e6,
  leadTimeMs: 10 * MINUTE,
  burstsPerMonth: 4,
};

describe("a seed", () => {
  test("without which the lead time is missed is kept, at any price", () => {
    const verdict = keepSeed({ ...QUESTION, storagePricePerGbMonth: 1_000 });
    expect(verdict).toMatchObject({ keep: true, lateMsWithout: 1_000_000, lateMsWith: 0 });
    expect(verdict.reason).toBe(
      "the seed of 20.0 GB costs 20000.00 a month; a transfer takes 0 ms with it and 26 min 40 s without, " +
        "16 min 40 s more than the 10 min 0 s wanted: it is kept whatever it costs",
    );
  });

  test("that the lead time can do without is dropped when it saves less than it costs", () => {
    const verdict = keepSeed({ ...QUESTION, leadTimeMs: 30 * MINUTE, transferPricePerGb: 0.02 });
    expect(verdict).toMatchObject({ keep: false, lateMsWithout: 0 });
    expect(verdict.costPerMonth).toBeCloseTo(2);
    expect(verdict.savedPerMonth).toBeCloseTo(1.6);
    expect(verdict.reason).toMatch(
      /costs 2\.00 a month and saves 26 min 40 s a burst and, with 4 bursts a month, 1\.60; .*: it is not worth keeping$/,
    );
  });

  test("is weighed against late minutes where these have a price", () => {
    expect(keepSeed({ ...QUESTION, lateMinutePrice: 0.01 }).keep).toBe(false);
    const verdict = keepSeed({ ...QUESTION, lateMinutePrice: 0.05 });
    expect(verdict.keep).toBe(true);
    expect(verdict.savedPerMonth).toBeCloseTo(4 * (16 + 2 / 3) * 0.05);
  });

  test("is dropped where there are no bursts, and kept where it costs nothing", () => {
    expect(keepSeed({ ...QUESTION, burstsPerMonth: 0 }).keep).toBe(false);
    expect(keepSeed({ ...QUESTION, burstsPerMonth: 0, storagePricePerGbMonth: 0 }).keep).toBe(true);
  });

  test("without which a link of unknown rate would take for ever is kept", () => {
    const verdict = keepSeed({ ...QUESTION, linkBps: 0 });
    expect(verdict.keep).toBe(true);
    expect(Number.isFinite(verdict.lateMsWithout)).toBe(true);
  });

  test("is nothing to judge with figures that are none", () => {
    for (const wrong of [{ sizeBytes: -1 }, { linkBps: NaN }, { lateMinutePrice: Infinity }])
      expect(() => keepSeed({ ...QUESTION, ...wrong })).toThrow(RangeError);
  });
});

describe("a seed is, everything else being equal,", () => {
  const price = fc.double({ min: 0, max: 5, noNaN: true });
  const question: fc.Arbitrary<SeedQuestion> = fc.record(
    {
      sizeBytes: fc.integer({ min: 0, max: 200e9 }),
      coldBytes: fc.integer({ min: 0, max: 200e9 }),
      warmBytes: fc.integer({ min: 0, max: 200e9 }),
      storagePricePerGbMonth: price,
      transferPricePerGb: price,
      linkBps: fc.integer({ min: 0, max: 1e9 }),
      leadTimeMs: fc.integer({ min: 0, max: 120 * MINUTE }),
      burstsPerMonth: fc.integer({ min: 0, max: 60 }),
      lateMinutePrice: price,
    },
    {
      requiredKeys: ["sizeBytes", "storagePricePerGbMonth", "linkBps", "leadTimeMs", "burstsPerMonth"],
    },
  );

  const kept = (of: SeedQuestion) => Number(keepSeed(of).keep);

  test.each([
    ["more worth keeping", "the dearer transfers are", "transferPricePerGb", 1],
    ["more worth keeping", "the more bursts there are", "burstsPerMonth", 1],
    ["more worth keeping", "the more would cross without it", "coldBytes", 1],
    ["more worth keeping", "the dearer a late minute is", "lateMinutePrice", 1],
    ["less worth keeping", "the dearer storage is", "storagePricePerGbMonth", -1],
    ["less worth keeping", "the faster the link is", "linkBps", -1],
    ["less worth keeping", "the more time there is", "leadTimeMs", -1],
    ["less worth keeping", "the more still crosses with it", "warmBytes", -1],
  ] as const)("%s %s", (_how, _what, name, direction) => {
    fc.assert(
      fc.property(question, fc.double({ min: 1, max: 10, noNaN: true }), (less, factor) => {
        const value = less[name];
        // Without a price, late minutes count for themselves; without bytes, size counts.
        if (value === undefined) return;
        const more = { ...less, [name]: value * factor };
        expect((kept(more) - kept(less)) * direction).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 300 },
    );
  });

  test("more worth keeping the larger it is, where all of it is sent", () => {
    fc.assert(
      fc.property(
        question,
        fc.double({ min: 1, max: 10, noNaN: true }),
        ({ coldBytes, warmBytes, ...less }, factor) => {
          void coldBytes;
          void warmBytes;
          const more = { ...less, sizeBytes: less.sizeBytes * factor };
          if (less.sizeBytes > 0) expect(kept(more)).toBeGreaterThanOrEqual(kept(less));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("judged with figures that are all finite, and a reason that says keep or not", () => {
    fc.assert(
      fc.property(question, (of) => {
        const { keep, reason, ...figures } = keepSeed(of);
        for (const figure of Object.values(figures)) expect(figure).toBeGreaterThanOrEqual(0);
        for (const figure of Object.values(figures)) expect(figure).toBeLessThan(Infinity);
        expect(reason).toMatch(keep ? /it is (worth keeping|kept whatever it costs)$/ : /not worth keeping$/);
      }),
    );
  });
});
