import * as fc from "fast-check";
import { parseWindow } from "../../../lib/image/bandwidth";
import {
  linkBpsKnowing,
  lowPriorityCapBps,
  prePositionDue,
  type PrePositionQuestion,
} from "../../../lib/policy";

const HOUR = 3_600_000;
/** A Monday noon. */
const NOON = Date.parse("2026-11-23T12:00:00Z");
const NIGHT = [parseWindow("22:00-06:00", "here", "none")];

const QUESTION: PrePositionQuestion = {
  now: NOON,
  everyMs: 6 * HOUR,
  timeZone: "UTC",
  sourceChangedAt: NOON - 48 * HOUR,
};

describe("the next background transfer", () => {
  test("is due when there never was one", () => {
    expect(prePositionDue(QUESTION)).toEqual({ due: true, why: "it was never done" });
  });

  test("is due so long after the last one, not before", () => {
    expect(prePositionDue({ ...QUESTION, lastDoneAt: NOON - 6 * HOUR }).due).toBe(true);
    expect(prePositionDue({ ...QUESTION, lastDoneAt: NOON - 2 * HOUR })).toEqual({
      due: false,
      why: "the last one was 2 h 0 min ago, and one is due every 6 h 0 min",
      at: NOON + 4 * HOUR,
    });
  });

  test("waits for the next window, also when it is late", () => {
    const at = Date.parse("2026-11-23T22:00:00Z");
    expect(prePositionDue({ ...QUESTION, windows: NIGHT })).toEqual({
      due: false,
      why: "it is outside of the time that it may run in",
      at,
    });
    expect(prePositionDue({ ...QUESTION, windows: NIGHT, now: at }).due).toBe(true);
    // Due at 18:00, by the clock alone.
    expect(prePositionDue({ ...QUESTION, windows: NIGHT, lastDoneAt: NOON - 1 })).toMatchObject({
      due: false,
      at,
    });
  });

  test("never comes while demand does", () => {
    expect(prePositionDue({ ...QUESTION, busy: "the burst is in force" })).toEqual({
      due: false,
      why: "demand comes first: the burst is in force",
    });
  });

  test("waits for a file that is being written, and needs one", () => {
    expect(prePositionDue({ ...QUESTION, sourceChangedAt: NOON - 1_000 })).toMatchObject({
      due: false,
      at: NOON + 29_000,
    });
    expect(prePositionDue({ ...QUESTION, sourceChangedAt: undefined })).toEqual({
      due: false,
      why: "there is no image file",
    });
    expect(prePositionDue({ ...QUESTION, sourceChangedAt: NOON + HOUR }).due).toBe(true);
  });

  test("is tried again when that is worth it after a failure", () => {
    const failure = { failures: 2, nextTryAt: NOON + 4_000 };
    expect(prePositionDue({ ...QUESTION, failure })).toMatchObject({ due: false, at: NOON + 4_000 });
    expect(prePositionDue({ ...QUESTION, failure, now: NOON + 4_000 }).due).toBe(true);
  });

  test("is due at the very time that is told, where nothing else changes, and not a moment before", () => {
    const since = (ms: number) => fc.integer({ min: 0, max: ms }).map((ago) => NOON - ago);
    fc.assert(
      fc.property(
        fc.record(
          {
            now: fc.integer({ min: NOON, max: NOON + 7 * 24 * HOUR }),
            everyMs: fc.integer({ min: 1_000, max: 48 * HOUR }),
            windows: fc.constantFrom(NIGHT, [parseWindow("sat,sun 09:30-12:00", "here", "none")], []),
            timeZone: fc.constantFrom("UTC", "Europe/Berlin"),
            lastDoneAt: since(72 * HOUR),
            sourceChangedAt: since(HOUR),
            failure: fc.record({
              failures: fc.integer({ min: 0, max: 9 }),
              nextTryAt: fc.integer({ min: NOON, max: NOON + 72 * HOUR }),
            }),
          },
          { requiredKeys: ["now", "everyMs", "sourceChangedAt"] },
        ),
        (question) => {
          const found = prePositionDue(question);
          if (found.due) return;
          const at = found.at as number;
          expect(at).toBeGreaterThan(question.now);
          expect(prePositionDue({ ...question, now: at }).due).toBe(true);
          expect(prePositionDue({ ...question, now: at - 1 }).due).toBe(false);
        },
      ),
    );
  });
});

describe("the link that is known", () => {
  test("is what was measured, unless that was our own transfer at low priority", () => {
    expect(linkBpsKnowing(80e6, undefined)).toBe(80e6);
    const memory = { capBps: 25e6, linkBps: 100e6 };
    expect(linkBpsKnowing(24.6e6, memory)).toBe(100e6);
    expect(linkBpsKnowing(60e6, memory)).toBe(60e6);
  });

  test("does not shrink from one background transfer to the next", () => {
    let memory: { capBps: number; linkBps: number } | undefined;
    let measured = 100e6;
    for (let night = 0; night < 30; night++) {
      const linkBps = linkBpsKnowing(measured, memory);
      expect(linkBps).toBe(100e6);
      memory = { capBps: lowPriorityCapBps(linkBps), linkBps };
      measured = memory.capBps * 0.97;
    }
  });

  test("is given a quarter to a background transfer, and little while it is not known", () => {
    expect(lowPriorityCapBps(100e6)).toBe(25e6);
    expect(lowPriorityCapBps(0)).toBe(4e6);
    expect(lowPriorityCapBps(1)).toBeGreaterThan(0);
  });
});
