import fc from "fast-check";
import {
  OPENING_MATCH,
  curveDurationMs,
  demandAt,
  demandCurve,
  parseTrace,
  readShippedTrace,
  stretchTo,
} from "../../../cli/demo/trace";
import { SpillwayError } from "../../../lib/errors";

const levels = { quietRps: 180, peakRps: 720 };

describe("the shipped trace", () => {
  const trace = readShippedTrace();

  it("is eight hours of 10 June 1998, a minute a line", () => {
    expect(trace).toHaveLength(480);
    expect(new Date(trace[0].atMs).toISOString()).toBe("1998-06-10T12:00:00.000Z");
    expect(new Date(trace.at(-1)!.atMs).toISOString()).toBe("1998-06-10T19:59:00.000Z");
  });

  it("has a peak that rises and falls: the opening match more than doubles the hour before it", () => {
    const mean = (from: string, to: string) => {
      const part = trace.filter(({ atMs }) => atMs >= Date.parse(from) && atMs < Date.parse(to));
      return part.reduce((sum, { requests }) => sum + requests, 0) / part.length;
    };
    const before = mean("1998-06-10T14:00Z", "1998-06-10T15:00Z");
    const match = mean("1998-06-10T15:40Z", "1998-06-10T17:20Z");
    const after = mean("1998-06-10T18:10Z", "1998-06-10T19:00Z");
    expect(match).toBeGreaterThan(2 * before);
    expect(match).toBeGreaterThan(2 * after);
  });

  it("becomes 75 seconds of quiet, rise, peak, fall and tail", () => {
    const curve = demandCurve(trace, levels);
    expect(curveDurationMs(curve)).toBe(75_000);
    const mean = (fromS: number, toS: number) => {
      let sum = 0;
      for (let at = fromS * 1_000; at < toS * 1_000; at += 100) sum += demandAt(curve, at);
      return sum / ((toS - fromS) * 10);
    };
    expect(mean(0, 8)).toBeCloseTo(180, -1);
    expect(Math.max(...curve.rps)).toBeCloseTo(720, 6);
    expect(mean(30, 48)).toBeGreaterThan(600);
    expect(mean(62, 75)).toBeLessThan(200);
    // The way up must leave time for a burst: no second brings a fifth of the way from quiet to peak.
    for (let at = 8_000; at < 30_000; at += 1_000) {
      expect(demandAt(curve, at + 1_000) - demandAt(curve, at)).toBeLessThan(108);
    }
  });

  it("can be told in any time, each part in its share of it", () => {
    const curve = demandCurve(trace, { ...levels, stretch: stretchTo(OPENING_MATCH, 30) });
    expect(curveDurationMs(curve)).toBe(30_000);
    expect(demandAt(curve, 15_000)).toBeGreaterThan(550);
  });
});

describe("a demand curve", () => {
  const trace = readShippedTrace();

  it("lies between its points, starts with its first and ends with its last", () => {
    fc.assert(
      fc.property(fc.integer({ min: -10_000, max: 200_000 }), (atMs) => {
        const curve = { stepMs: 250, rps: [10, 30, 20] };
        const value = demandAt(curve, atMs);
        if (atMs <= 0) return value === 10;
        if (atMs >= 500) return value === 20;
        return value >= 10 && value <= 30;
      }),
    );
    expect(demandAt({ stepMs: 250, rps: [10, 30] }, 125)).toBe(20);
    expect(demandAt({ stepMs: 250, rps: [7] }, 9_000)).toBe(7);
  });

  it("never asks for less than nothing, and reaches its peak, at any levels", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 1_000, noNaN: true }),
        fc.double({ min: 1.01, max: 50, noNaN: true }),
        (quietRps, times) => {
          const curve = demandCurve(trace, { quietRps, peakRps: quietRps * times, stepMs: 500 });
          expect(Math.min(...curve.rps)).toBeGreaterThanOrEqual(0);
          expect(Math.max(...curve.rps)).toBeCloseTo(quietRps * times, 6);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("refuses a peak that is not above the quiet, and says both", () => {
    expect(() => demandCurve(trace, { quietRps: 300, peakRps: 200 })).toThrow(/got 300 and 200/);
  });

  it("refuses a stretch outside the trace", () => {
    const stretch = {
      from: "1998-06-10T19:00Z",
      legs: [{ name: "quiet", until: "1998-06-10T21:00Z", seconds: 5 }],
    };
    expect(() => demandCurve(trace, { ...levels, stretch: stretch as typeof OPENING_MATCH })).toThrow(
      /the trace holds 1998-06-10T12:00Z to 1998-06-10T20:00Z/,
    );
  });

  it("refuses legs that run backwards", () => {
    const stretch = stretchTo(OPENING_MATCH, 75);
    const legs = [stretch.legs[0], { ...stretch.legs[1], until: "1998-06-10T14:30Z" }];
    expect(() => demandCurve(trace, { ...levels, stretch: { ...stretch, legs } })).toThrow(/leg rise/);
  });

  it("refuses a stretch without a peak", () => {
    const flat = parseTrace("1998-06-10T15:00Z,10\n1998-06-10T15:01Z,10\n1998-06-10T15:02Z,10\n", "flat");
    const stretch = {
      from: "1998-06-10T15:00Z",
      legs: [{ name: "quiet", until: "1998-06-10T15:03Z", seconds: 3 }],
    };
    expect(() => demandCurve(flat, { ...levels, stretch: stretch as typeof OPENING_MATCH })).toThrow(
      /never rises/,
    );
  });
});

describe("reading a trace", () => {
  it.each([
    ["1998-06-10T15:00Z,10\nnonsense\n", "t.csv:2", /"nonsense" is not/],
    ["1998-06-10T15:00Z,10\n1998-06-10T15:02Z,10\n", "t.csv:2", /does not follow/],
    ["1998-06-10T15:00Z,10\n1998-06-10T15:01Z,-3\n", "t.csv:2", /is not/],
    ["# only a comment\n", "t.csv", /got 0/],
  ])("names the line that is wrong in %j", (text, place, problem) => {
    let thrown: unknown;
    try {
      parseTrace(text, "t.csv");
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SpillwayError);
    expect((thrown as SpillwayError).report.place).toBe(place);
    expect((thrown as SpillwayError).report.problem).toMatch(problem);
  });
});
