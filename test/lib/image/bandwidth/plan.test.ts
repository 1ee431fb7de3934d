import * as fc from "fast-check";
import { SpillwayErrors } from "../../../../lib/errors";
import {
  bandwidthText,
  capAt,
  earliestChange,
  formatWindow,
  isWithin,
  lowestCapAt,
  nextChange,
  parseBandwidth,
  parseWindow,
  tryParseWindow,
  WEEK,
  type BandwidthPlan,
  type BandwidthWindow,
} from "../../../../lib/image/bandwidth";

const MINUTE = 60_000;
const BERLIN = "Europe/Berlin";

function plan(windows: readonly string[], timeZone = "UTC", capBps?: number): BandwidthPlan {
  return { capBps, timeZone, windows: windows.map((text) => parseWindow(text, "here")) };
}

function caps(of: BandwidthPlan, ...times: string[]): (number | undefined)[] {
  return times.map((time) => capAt(of, new Date(time)));
}

describe("a bandwidth plan", () => {
  test("without anything has no limit and never changes", () => {
    expect(capAt({}, new Date())).toBeUndefined();
    expect(nextChange({}, new Date())).toBeUndefined();
    expect(capAt({ capBps: 5e6 }, new Date())).toBe(5e6);
    expect(capAt({ capBps: "off" }, new Date())).toBe(0);
    expect(capAt({ capBps: "none" }, new Date())).toBeUndefined();
  });

  test("has another cap in working hours, on working days", () => {
    // 2026-11-23 is a Monday.
    const office = plan(["mon-fri 08:00-18:00 10Mbit"], "UTC", 80e6);
    expect(
      caps(
        office,
        "2026-11-23T07:59:59.999Z",
        "2026-11-23T08:00:00Z",
        "2026-11-23T17:59:59Z",
        "2026-11-23T18:00:00Z",
        "2026-11-22T12:00:00Z",
      ),
    ).toEqual([80e6, 10e6, 10e6, 80e6, 80e6]);
    expect(nextChange(office, new Date("2026-11-27T17:00:00Z"))).toEqual(new Date("2026-11-27T18:00:00Z"));
    expect(nextChange(office, new Date("2026-11-27T18:00:00Z"))).toEqual(new Date("2026-11-30T08:00:00Z"));
  });

  test("goes round midnight: the days are those on which a window begins", () => {
    const night = plan(["fri 22:00-06:00 unlimited", "00:00-24:00 off"]);
    expect(
      caps(
        night,
        "2026-11-27T21:59:00Z",
        "2026-11-27T22:00:00Z",
        "2026-11-28T05:59:00Z",
        "2026-11-28T06:00:00Z",
        "2026-11-28T22:00:00Z",
        "2026-11-27T05:00:00Z",
      ),
    ).toEqual([0, undefined, undefined, 0, 0, 0]);
  });

  test("takes the first window that a moment lies in", () => {
    const two = plan(["12:00-13:00 5Mbit", "08:00-18:00 1Mbit"]);
    expect(caps(two, "2026-11-23T12:30:00Z", "2026-11-23T13:30:00Z")).toEqual([5e6, 1e6]);
  });

  test("lasts 24 hours when it ends where it begins", () => {
    const day = plan(["sat 09:00-09:00 1Mbit"]);
    expect(
      caps(
        day,
        "2026-11-28T08:59:00Z",
        "2026-11-28T09:00:00Z",
        "2026-11-29T08:59:00Z",
        "2026-11-29T09:00:00Z",
      ),
    ).toEqual([undefined, 1e6, 1e6, undefined]);
  });

  test("goes by the clock on the wall when that is put forward", () => {
    // In Berlin, 2026-03-29 02:00 is followed by 03:00.
    const early = plan(["02:30-04:00 1Mbit"], BERLIN);
    expect(nextChange(early, new Date("2026-03-29T00:30:00Z"))).toEqual(new Date("2026-03-29T01:00:00Z"));
    expect(nextChange(early, new Date("2026-03-29T01:30:00Z"))).toEqual(new Date("2026-03-29T02:00:00Z"));
  });

  test("lives the hour twice when the clock is put back", () => {
    // In Berlin, 2026-10-25 03:00 is followed by 02:00.
    const early = plan(["02:00-02:30 1Mbit"], BERLIN);
    const changes: string[] = [];
    for (let at = new Date("2026-10-24T23:00:00Z"); changes.length < 4;) {
      at = nextChange(early, at) as Date;
      changes.push(at.toISOString().slice(11, 16));
    }
    expect(changes).toEqual(["00:00", "00:30", "01:00", "01:30"]);
  });

  test("has the lowest of several plans", () => {
    const own: BandwidthPlan = { capBps: 20e6 };
    const night = plan(["22:00-06:00 off"]);
    expect(lowestCapAt([own, night, {}], new Date("2026-11-23T12:00:00Z"))).toBe(20e6);
    expect(lowestCapAt([own, night], new Date("2026-11-23T23:00:00Z"))).toBe(0);
    expect(lowestCapAt([{}, {}], new Date())).toBeUndefined();
    expect(earliestChange([own, night], new Date("2026-11-23T12:00:00Z"))).toEqual(
      new Date("2026-11-23T22:00:00Z"),
    );
  });

  const time = fc.integer({ min: 0, max: 1_439 }).map(hhmm);
  const window: fc.Arbitrary<BandwidthWindow> = fc.record(
    {
      days: fc.subarray([...WEEK], { minLength: 1 }),
      from: time,
      to: fc.oneof(time, fc.constant("24:00")),
      capBps: fc.constantFrom(1e6, 5e6, "none" as const, "off" as const),
    },
    { requiredKeys: ["from", "to", "capBps"] },
  );
  const zone = fc.constantFrom("UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu");
  const anyPlan: fc.Arbitrary<BandwidthPlan> = fc.record({
    capBps: fc.constantFrom(undefined, 3e6),
    windows: fc.array(window, { maxLength: 3 }),
    timeZone: zone,
  });
  // Around the days on which clocks are changed, and others.
  const moment = fc
    .tuple(
      fc.constantFrom("2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-06-30"),
      fc.integer({ min: 0, max: 3 * 1_440 * MINUTE }),
    )
    .map(([day, later]) => new Date(Date.parse(`${day}T00:00:00Z`) + later));

  test("changes next when a look at every minute would find it", () => {
    fc.assert(
      fc.property(anyPlan, moment, (of, now) => {
        const found = nextChange(of, now);
        const present = capAt(of, now);
        const until = Math.min(found?.getTime() ?? Infinity, now.getTime() + 1_600 * MINUTE);
        for (let at = Math.ceil(now.getTime() / MINUTE) * MINUTE; at < until; at += MINUTE)
          if (capAt(of, new Date(at)) !== present)
            throw new Error(`changes at ${new Date(at).toISOString()}`);
        if (!found) return;
        expect(found.getTime()).toBeGreaterThan(now.getTime());
        expect(capAt(of, found)).not.toBe(present);
        expect(capAt(of, new Date(found.getTime() - 1))).toBe(present);
      }),
      { numRuns: 60 },
    );
  });

  test("is read back as it was written", () => {
    fc.assert(
      fc.property(anyPlan, moment, (of, now) => {
        const again = parseBandwidth(JSON.parse(JSON.stringify(bandwidthText(of))), "here");
        expect(capAt(again, now)).toBe(capAt(of, now));
        expect(bandwidthText(again)).toEqual(bandwidthText(of));
      }),
    );
  });

  test("a week of one window is as long as its minutes say, in a zone without changes of clocks", () => {
    fc.assert(
      fc.property(window, (one) => {
        const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
        const [from, to] = [minutes(one.from), minutes(one.to)];
        const long = (from < to ? to - from : to + 1_440 - from) * (one.days ?? WEEK).length;
        let inside = 0;
        for (let minute = 0; minute < 7 * 1_440; minute++)
          if (isWithin([one], new Date(Date.parse("2026-06-01T00:00:00Z") + minute * MINUTE), "UTC"))
            inside++;
        expect(inside).toBe(long);
      }),
      { numRuns: 20 },
    );
  });
});

describe("a window", () => {
  test.each([
    ["mon-fri 08:00-18:00 10Mbit", "mon,tue,wed,thu,fri 08:00-18:00 10 Mbit/s"],
    ["22:00-06:00 unlimited", "daily 22:00-06:00 unlimited"],
    ["daily 9:00 - 12:00 1.5 Mbit/s", "daily 09:00-12:00 1.5 Mbit/s"],
    ["fri-mon 00:00-24:00 off", "mon,fri,sat,sun 00:00-24:00 off"],
    ["SAT,sun 10:00-11:00 2MB/s", "sat,sun 10:00-11:00 16 Mbit/s"],
  ])("%s", (text, written) => {
    expect(formatWindow(parseWindow(text, "here"))).toBe(written);
  });

  test("without a rate has the one given, or is refused", () => {
    expect(parseWindow("22:00-06:00", "here", "none").capBps).toBe("none");
    expect(() => parseWindow("22:00-06:00", "here")).toThrow(/does not say how much it allows/);
  });

  test("tells everything that is wrong with it", () => {
    const parsed = tryParseWindow("someday 25:00-26:00 10M");
    expect("problems" in parsed && parsed.problems.map(({ problem }) => problem)).toEqual([
      expect.stringContaining('"someday"'),
      expect.stringContaining('"25:00"'),
      expect.stringContaining('"26:00"'),
      expect.stringContaining('"10M"'),
    ]);
    expect(() => parseWindow("whenever", "here")).toThrow(/not a window of time/);
    expect(() => parseWindow("24:00-06:00 off", "here")).toThrow(/"24:00"/);
  });
});

test("a plan from JSON tells all that is wrong, and where", () => {
  const broken = { cap: "20M", windows: ["x", "08:00-09:00 off"], timeZone: "Mars/Base", speed: 1 };
  expect(() => parseBandwidth(broken, "bandwidth.json")).toThrow(SpillwayErrors);
  expect(() => parseBandwidth(broken, "bandwidth.json")).toThrow(
    /^4 problems\n.*no `speed`.*\n.*"20M".*\n.*"x".*\n.*"Mars\/Base"/,
  );
  expect(() => parseBandwidth(null, "here")).toThrow(/must be an object, got null/);
  expect(() => parseBandwidth({ cap: 20 }, "here")).toThrow(/does not say whether/);
  expect(() => parseBandwidth({ windows: "22:00-06:00 off" }, "here")).toThrow(/must be a list/);
});

function hhmm(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}
