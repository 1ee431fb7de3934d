import fc from "fast-check";
import { phasesOf, type PhaseSignal } from "../../../cli/demo/phases";
import type { SiteEvent } from "../../../lib/site/api";
import type { Progress } from "../../../lib/wait";

const options = { cloudSite: "cloud", startedAt: 1_000_000, endedAt: 1_120_000 };

const site = (s: number, kind: SiteEvent["kind"], name = "cloud"): PhaseSignal => ({
  at: 1_000_000 + s * 1_000,
  from: "site",
  site: name,
  kind,
});
const wait = (s: number, step: Progress["step"], subject = "cloud/shop", done = false): PhaseSignal => ({
  at: 1_000_000 + s * 1_000,
  from: "progress",
  step,
  subject,
  done,
});
const hook = (s: number, kind: "out" | "home" | "apply-ended"): PhaseSignal => ({
  at: 1_000_000 + s * 1_000,
  from: "hook",
  kind,
});

const out = [
  hook(10, "out"),
  wait(11, "transfer"),
  wait(13, "transfer"),
  site(15, "image-complete"),
  wait(15.1, "transfer", "cloud/sha256:1", true),
  site(15.5, "pool-created"),
  wait(15.6, "launch"),
  site(15.8, "member-launched"),
  site(18, "member-up"),
  site(18.5, "member-up"),
  wait(18.9, "admit"),
  site(22, "gate-opened"),
  site(22.5, "record-changed", "onprem"),
  wait(22.6, "direct", "shop.example.test"),
  wait(25, "direct", "shop.example.test"),
  hook(26, "apply-ended"),
];
const home = [
  hook(64, "home"),
  site(65, "record-changed", "onprem"),
  wait(65.5, "quiesce"),
  wait(90, "quiesce"),
  site(91, "member-draining"),
  site(91.2, "member-draining"),
  site(91.5, "member-ended"),
  wait(91.6, "take-down"),
  site(92, "pool-gone"),
  hook(93, "apply-ended"),
];

const seconds = (signals: readonly PhaseSignal[]) =>
  phasesOf(signals, options).map(({ name, startMs, endMs }) => [name, startMs / 1_000, endMs / 1_000]);

describe("phases of a run", () => {
  it("are told from what sites, waits and the hook said", () => {
    expect(seconds([...out, ...home])).toEqual([
      ["transfer", 11, 15],
      ["launch", 15.5, 18.5],
      ["admit", 18.5, 22],
      ["shift", 22, 25],
      ["burst", 25, 65],
      ["drain", 65, 91],
      ["take-down", 91, 92],
    ]);
  });

  it("do not depend on the order in which the three were collected", () => {
    const expected = seconds([...out, ...home]);
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...out, ...home], { minLength: out.length + home.length }),
        (mixed) => {
          expect(seconds(mixed)).toEqual(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("need no hook: applies by hand are told by what the sites and the waits said", () => {
    const byHand = [...out, ...home].filter(({ from }) => from !== "hook");
    expect(seconds(byHand).map(([name]) => name)).toEqual([
      "transfer",
      "launch",
      "admit",
      "shift",
      "burst",
      "drain",
      "take-down",
    ]);
    expect(seconds(byHand)[4]).toEqual(["burst", 25, 65]);
  });

  it("have no transfer when the image is there already", () => {
    const there = [
      wait(11, "transfer", "cloud/sha256:1", true),
      ...out.filter((one) => one.at > 1_015_000),
      ...home,
    ];
    expect(seconds(there)[0]).toEqual(["launch", 15.5, 18.5]);
  });

  it("do not take the other site's image, pool and gate for the burst's", () => {
    const quiet = [
      wait(1, "transfer", "onprem/sha256:1"),
      site(2, "pool-created", "onprem"),
      site(3, "member-up", "onprem"),
      site(4, "gate-opened", "onprem"),
      site(5, "record-changed", "onprem"),
      hook(6, "apply-ended"),
    ];
    expect(seconds(quiet)).toEqual([]);
    expect(seconds([...quiet, ...out, ...home])).toEqual(seconds([...out, ...home]));
  });

  it("go back to a shift when demand returns in mid-drain", () => {
    const cancelled = [
      ...out,
      ...home.filter((one) => one.at < 1_091_000),
      hook(90.5, "out"),
      site(91, "record-changed", "onprem"),
      hook(92, "apply-ended"),
    ];
    expect(seconds(cancelled).slice(4)).toEqual([
      ["burst", 25, 65],
      ["drain", 65, 90.5],
      ["shift", 90.5, 91],
      ["burst", 91, 120],
    ]);
  });

  it("end a launch that failed, and begin anew with the next try", () => {
    const failing = [...out.filter((one) => one.at < 1_018_000), site(17, "pool-failed"), wait(20, "launch")];
    expect(seconds(failing)).toEqual([
      ["transfer", 11, 15],
      ["launch", 15.5, 17],
      ["launch", 20, 120],
    ]);
  });

  it("keep resizes of the pool within the burst", () => {
    const resized = [
      ...out,
      site(40, "member-launched"),
      site(42, "member-up"),
      site(50, "member-draining"),
      ...home,
    ];
    expect(seconds(resized)).toEqual(seconds([...out, ...home]));
  });

  it("let a shift last until the answers that users hold have run out", () => {
    const shifted = phasesOf([...out, ...home], { ...options, recordTtlMs: 5_000 });
    expect(shifted.slice(3, 5)).toEqual([
      { name: "shift", startMs: 22_000, endMs: 30_000 },
      { name: "burst", startMs: 30_000, endMs: 65_000 },
    ]);
    const brief = phasesOf([...out, ...home], { ...options, recordTtlMs: 600_000 });
    expect(brief.slice(3, 5)).toEqual([
      { name: "shift", startMs: 22_000, endMs: 65_000 },
      { name: "burst", startMs: 65_000, endMs: 65_000 },
    ]);
  });

  it("do not take a member that left the pool earlier, and ends in mid-drain, for the take-down", () => {
    expect(seconds([...out, ...home, site(70, "member-ended")])).toEqual(seconds([...out, ...home]));
  });

  it("never overlap, never run backwards, and stay within the run, whatever is said", () => {
    const kinds = [
      "image-complete",
      "pool-created",
      "member-up",
      "gate-opened",
      "record-changed",
      "member-draining",
      "pool-failed",
      "pool-gone",
    ] as const;
    const steps = ["transfer", "launch", "admit", "direct", "quiesce", "take-down"] as const;
    const at = fc.integer({ min: 0, max: 119 });
    const signal = fc.oneof(
      fc.tuple(at, fc.constantFrom(...kinds)).map(([s, kind]) => site(s, kind)),
      fc
        .tuple(at, fc.constantFrom(...steps), fc.boolean())
        .map(([s, step, done]) => wait(s, step, "cloud/shop", done)),
      fc
        .tuple(at, fc.constantFrom("out" as const, "home" as const, "apply-ended" as const))
        .map(([s, kind]) => hook(s, kind)),
    );
    fc.assert(
      fc.property(fc.array(signal, { maxLength: 40 }), (signals) => {
        let last = 0;
        for (const phase of phasesOf(signals, { ...options, recordTtlMs: 4_000 })) {
          expect(phase.startMs).toBeGreaterThanOrEqual(last);
          expect(phase.endMs).toBeGreaterThanOrEqual(phase.startMs);
          last = phase.endMs;
        }
        expect(last).toBeLessThanOrEqual(120_000);
      }),
    );
  });
});
