import * as fc from "fast-check";
import {
  firstLinkRate,
  isLossy,
  nextLinkRate,
  type LinkRate,
  type LinkSample,
} from "../../../../lib/image/bandwidth";

interface Link {
  readonly bps: number;
  readonly rttMs: number;
  /** Of the bottleneck. */
  readonly queueBytes: number;
}

const TICK_MS = 200;

/** A sender that always has something, over a link whose queue drops what does not fit; what is dropped is sent again later. */
function run(link: Link, seconds: number, change: (second: number) => Partial<Link> = () => ({})) {
  let rate: LinkRate = firstLinkRate();
  let [delivered, waiting, dropped] = [0, 0, 0];
  const took: number[] = [];
  for (let tick = 0; tick * TICK_MS < seconds * 1_000; tick++) {
    const now = { ...link, ...change((tick * TICK_MS) / 1_000) };
    const sent = ((rate.bps ?? now.bps * 4) * TICK_MS) / 8_000;
    const carried = Math.min(waiting + sent, (now.bps * TICK_MS) / 8_000);
    waiting += sent - carried;
    dropped += Math.max(0, waiting - now.queueBytes);
    waiting = Math.min(waiting, now.queueBytes);
    delivered += carried;
    took.push((carried * 8_000) / TICK_MS);
    const underway = (carried * now.rttMs) / TICK_MS;
    const sample: LinkSample = {
      ...{ atMs: (tick + 1) * TICK_MS, deliveredBytes: delivered, wasHeld: true },
      ...{ unacknowledgedBytes: waiting + underway, roundTripMs: now.rttMs },
    };
    rate = nextLinkRate(rate, sample);
  }
  const average = (from: number) => {
    const ticks = took.slice((from * 1_000) / TICK_MS);
    return ticks.reduce((sum, each) => sum + each, 0) / ticks.length;
  };
  return { rate, delivered, dropped, average };
}

const WAN: Link = { bps: 96e6, rttMs: 50, queueBytes: 1.2e6 };

describe("the rate that a link is given", () => {
  it("fills a link within two seconds, and then keeps it full without flooding its queue", () => {
    const { average, dropped, delivered } = run(WAN, 30);
    expect(average(2)).toBeGreaterThan(0.94 * WAN.bps);
    expect(dropped).toBeLessThan(delivered / 500);
  });

  it("fills most of any link whose queue takes two round trips", () => {
    fc.assert(
      fc.property(fc.integer({ min: 60, max: 2_000 }), fc.integer({ min: 10, max: 150 }), (mbit, rttMs) => {
        const bps = mbit * 1e6;
        const { average, dropped, delivered } = run(
          { bps, rttMs, queueBytes: (bps * rttMs * 2) / 8_000 },
          30,
        );
        expect(average(8)).toBeGreaterThan(0.85 * bps);
        expect(dropped).toBeLessThan(delivered / 50);
      }),
    );
  });

  it("follows a link that becomes slower within ten seconds, and one that becomes faster", () => {
    const slower = run(WAN, 40, (second) => (second < 10 ? {} : { bps: 40e6 }));
    expect(slower.rate.bps).toBeLessThan(46e6);
    const faster = run(WAN, 60, (second) => (second < 10 ? {} : { bps: 200e6 }));
    expect(faster.average(45)).toBeGreaterThan(170e6);
  });

  it("holds nobody back where the link itself loses some", () => {
    const sample = { atMs: 0, deliveredBytes: 0, unacknowledgedBytes: 0, wasHeld: true };
    let rate = nextLinkRate(firstLinkRate(), sample);
    rate = nextLinkRate(rate, { ...sample, atMs: 200, deliveredBytes: 500_000, isLossy: true });
    expect(rate.bps).toBeUndefined();
    rate = nextLinkRate(rate, { ...sample, atMs: 400, deliveredBytes: 1_000_000 });
    expect(rate.bps).toBeGreaterThan(20e6);
  });

  it("learns nothing while there is nothing to send", () => {
    const before = run(WAN, 10).rate;
    const last = before.recent.at(-1) as LinkSample;
    const idle = { ...last, atMs: last.atMs + 1_000, unacknowledgedBytes: 0, wasHeld: false };
    expect(nextLinkRate(before, idle).bps).toBe(before.bps);
    const little = { ...idle, deliveredBytes: last.deliveredBytes + 1_000 };
    expect(nextLinkRate(before, little).bps).toBe(before.bps);
  });

  it("is what it was after a cut, and after a while with little to send", () => {
    const before = run(WAN, 20).rate;
    for (const little of [0, 20_000]) {
      let rate = before;
      let { atMs, deliveredBytes } = before.recent.at(-1) as LinkSample;
      const step = (bytes: number, wasHeld: boolean) => {
        [atMs, deliveredBytes] = [atMs + TICK_MS, deliveredBytes + bytes];
        const unacknowledgedBytes = wasHeld ? 700_000 : little;
        rate = nextLinkRate(rate, { atMs, deliveredBytes, unacknowledgedBytes, wasHeld, roundTripMs: 50 });
      };
      for (let tick = 0; tick < 300; tick++) step(little, false);
      const whole = (WAN.bps * TICK_MS) / 8_000;
      step(whole / 10, true);
      for (let tick = 0; tick < 5; tick++) {
        step(whole, true);
        expect(rate.bps).toBeGreaterThan(0.85 * WAN.bps);
      }
    }
  });

  it("is a positive number, or no limit, whatever is measured", () => {
    const numbers = fc.double({ min: 0, max: 1e13, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            atMs: numbers,
            deliveredBytes: fc.double({ min: -1e9, max: 1e13, noNaN: true }),
            unacknowledgedBytes: numbers,
            wasHeld: fc.boolean(),
            isLossy: fc.boolean(),
          }),
          { maxLength: 40 },
        ),
        (samples) => {
          let rate = firstLinkRate();
          for (const sample of samples) {
            rate = nextLinkRate(rate, sample);
            if (rate.bps !== undefined) expect(rate.bps).toBeGreaterThan(0);
          }
        },
      ),
    );
  });
});

describe("a link", () => {
  it("is lossy when it loses some in each of five seconds, much in each of three, or much while little is sent", () => {
    expect(isLossy([0.001, 0.001, 0.001, 0.001, 0.001], 1)).toBe(true);
    expect(isLossy([0.01, 0.01, 0.01], 1)).toBe(true);
    expect(isLossy([0.01], 0.4)).toBe(true);
  });

  it("is not lossy for a burst that its flooded queue dropped", () => {
    expect(isLossy([], 0.1)).toBe(false);
    expect(isLossy([0.04, 0.01], 0.9)).toBe(false);
    expect(isLossy([0.04, 0.01, 0, 0.02, 0.001], 0.9)).toBe(false);
    expect(isLossy([0.001], 0.2)).toBe(false);
  });
});
