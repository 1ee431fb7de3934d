import * as fc from "fast-check";
import {
  firstStreams,
  nextStreams,
  type Streams,
  type StreamsOptions,
} from "../../../../lib/image/bandwidth";

interface Link {
  readonly bps: number;
  readonly rttMs: number;
  readonly loss: number;
  readonly isBbr?: boolean;
  /** What one stream's window lets through. */
  readonly windowBps?: number;
}

const MSS_BITS = 1_448 * 8;

/** A stream of cubic carries min(share, 1.22 × MSS / (RTT × √loss)); one that is new, half of it in its first second. */
function goodput(link: Link, streams: number, fresh: number, noise: number): number {
  const each = Math.min(
    link.isBbr || link.loss === 0
      ? Infinity
      : (1.22 * MSS_BITS) / ((link.rttMs / 1_000) * Math.sqrt(link.loss)),
    link.windowBps ?? Infinity,
  );
  const grown = streams - Math.max(0, fresh) / 2;
  return Math.min(link.bps * 0.965, grown * each) * noise;
}

/** Streams of cubic that share a full link fill its queue until the loss holds each to its share. */
function lossOf(link: Link, streams: number, goodputBps: number): number {
  if (goodputBps < 0.9 * link.bps) return link.loss;
  if (link.isBbr) return Math.min(0.3, link.loss + 0.03 * Math.log2(streams));
  const needed = (1.22 * MSS_BITS) / (((1.5 * link.rttMs) / 1_000) * (link.bps / streams));
  return Math.min(0.3, Math.max(link.loss, needed ** 2));
}

interface Run {
  readonly counts: readonly number[];
  readonly sentBits: number;
  readonly last: Streams;
}

function run(
  link: Link,
  seconds: number,
  options: StreamsOptions = {},
  noises: readonly number[] = [1],
): Run {
  let now = firstStreams({ congestionControl: link.isBbr ? "bbr" : "cubic", ...options });
  const counts = [now.streams];
  let [before, sentBits] = [0, 0];
  for (let second = 0; second < seconds; second++) {
    // The first second begins slowly.
    const noise = (second === 0 ? 0.7 : 1) * (noises[second % noises.length] ?? 1);
    const goodputBps = goodput(link, now.streams, now.streams - before, noise);
    before = now.streams;
    sentBits += goodputBps;
    now = nextStreams(now, { goodputBps, loss: lossOf(link, now.streams, goodputBps) });
    counts.push(now.streams);
  }
  return { counts, sentBits, last: now };
}

const WAN: Link = { bps: 100e6, rttMs: 50, loss: 0 };
const noise = fc.array(fc.double({ min: 0.95, max: 1.05, noNaN: true }), { minLength: 7, maxLength: 7 });

describe("the number of streams", () => {
  it("is 8 at first, 2 with bbr, and within what is asked for", () => {
    expect(firstStreams().streams).toBe(8);
    expect(firstStreams({ congestionControl: "bbr" }).streams).toBe(2);
    expect(firstStreams({ congestionControl: "bbr2", max: 1 }).streams).toBe(1);
    expect(firstStreams({ start: 500 }).streams).toBe(64);
    expect(firstStreams({ min: 12, max: 20 }).streams).toBe(12);
  });

  it("becomes 16 to 32 at 0.1 % loss, and stays where the link is full", () => {
    fc.assert(
      fc.property(noise, (noises) => {
        const { counts } = run({ ...WAN, loss: 0.001 }, 20, {}, noises);
        expect(counts[4]).toBeGreaterThanOrEqual(16);
        // 11 fill it; whether half as many do is tried now and then.
        expect(counts.slice(4).filter((count) => count < 11).length).toBeLessThanOrEqual(2);
        expect(counts.at(-1)).toBeLessThanOrEqual(32);
      }),
    );
  });

  it("reaches 48 or more within four seconds at 1 % loss, and never falls far back", () => {
    fc.assert(
      fc.property(noise, (noises) => {
        const { counts } = run({ ...WAN, loss: 0.01 }, 20, {}, noises);
        expect(Math.max(...counts.slice(0, 5))).toBeGreaterThanOrEqual(48);
        for (const count of counts.slice(5)) expect(count).toBeGreaterThanOrEqual(48);
      }),
    );
  });

  it("is opened at once for a lossy link whose rate is known", () => {
    expect(run({ ...WAN, loss: 0.01 }, 3, { linkBps: 97e6 }).counts[1]).toBeGreaterThanOrEqual(48);
    expect(run(WAN, 3, { linkBps: 97e6 }).counts[1]).toBe(8);
  });

  it("steps back on a link that loses nothing, to what fills it", () => {
    fc.assert(
      fc.property(noise, (noises) => {
        const { counts, sentBits } = run(WAN, 20, {}, noises);
        expect(Math.max(...counts)).toBeLessThanOrEqual(16);
        expect(counts.at(-1)).toBeLessThanOrEqual(8);
        const best = noises.reduce((sum, each) => sum + each, 0) / noises.length;
        expect(sentBits).toBeGreaterThan(18.5 * 96.5e6 * best * 0.97);
      }),
    );
    expect(run(WAN, 20).counts.at(-1)).toBe(2);
  });

  it("grows on a clean link whose windows are small, and stays there", () => {
    const { counts } = run({ ...WAN, windowBps: 5e6 }, 20);
    expect(counts.at(-1)).toBeGreaterThanOrEqual(16);
    expect(Math.min(...counts.slice(8))).toBeGreaterThanOrEqual(16);
  });

  it("stays within 1 and 4 with bbr, whatever is lost", () => {
    fc.assert(
      fc.property(noise, fc.constantFrom(0, 0.001, 0.01, 0.05), (noises, loss) => {
        const { counts, sentBits } = run({ ...WAN, loss, isBbr: true }, 20, {}, noises);
        for (const count of counts) expect([1, 2, 4]).toContain(count);
        expect(sentBits).toBeGreaterThan(0.9 * 19 * 96.5e6);
      }),
    );
  });

  it("does not take the loss of its own queue for the link's, however slow that is", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 500 }),
        fc.integer({ min: 10, max: 150 }),
        noise,
        (mbit, rttMs, noises) => {
          const { counts } = run({ bps: mbit * 1e6, rttMs, loss: 0 }, 40, {}, noises);
          expect(Math.max(...counts)).toBeLessThanOrEqual(48);
          expect(counts.at(-1)).toBeLessThanOrEqual(32);
          expect(
            counts.slice(20).reduce((sum, each) => sum + each, 0) / counts.slice(20).length,
          ).toBeLessThan(28);
        },
      ),
    );
  });

  it("brings most of what the best count would, on any link", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 500 }),
        fc.integer({ min: 5, max: 150 }),
        fc.constantFrom(0, 0.000_5, 0.001, 0.003, 0.01, 0.02),
        noise,
        (mbit, rttMs, loss, noises) => {
          const link = { bps: mbit * 1e6, rttMs, loss };
          const best = goodput(link, 64, 0, 1);
          expect(run(link, 30, {}, noises).sentBits).toBeGreaterThan(0.75 * 30 * best);
        },
      ),
    );
  });

  it("comes to rest: where nothing is gained, more are tried ever more seldom", () => {
    const { counts } = run({ ...WAN, loss: 0.001 }, 120);
    const changes = counts.slice(30).filter((count, at) => at > 0 && count !== counts[29 + at]).length;
    expect(changes).toBeLessThanOrEqual(8);
  });

  it("grows again when a clean link begins to lose", () => {
    let { last: now } = run(WAN, 20);
    expect(now.streams).toBe(2);
    const lossy = { ...WAN, loss: 0.01 };
    for (let second = 0; second < 7; second++)
      now = nextStreams(now, { goodputBps: goodput(lossy, now.streams, 0, 1), loss: 0.01 });
    expect(now.streams).toBeGreaterThanOrEqual(48);
  });

  it("is not changed by one odd second", () => {
    let { last: now } = run({ ...WAN, loss: 0.001 }, 12);
    const rested = now.streams;
    now = nextStreams(now, { goodputBps: 50e6, loss: 0.02 });
    now = nextStreams(now, { goodputBps: 96.5e6, loss: 0.001 });
    expect(now.streams).toBe(rested);
  });

  it("grows by goodput alone where loss is not known", () => {
    let now = firstStreams({ congestionControl: undefined });
    const lossy = { ...WAN, loss: 0.01 };
    for (let second = 0; second < 4; second++)
      now = nextStreams(now, { goodputBps: goodput(lossy, now.streams, 0, 1) });
    expect(now.streams).toBe(64);
  });

  it("learns nothing of a second in which there was nothing to send, nothing arrived, or a cap was full", () => {
    const now = firstStreams();
    expect(nextStreams(now, { goodputBps: 5e6, loss: 0.01, wasStarved: true })).toBe(now);
    expect(nextStreams(now, { goodputBps: 0, loss: 1 })).toBe(now);
    expect(nextStreams(now, { goodputBps: 5e6, loss: 0.01, capBps: 0 })).toBe(now);
    expect(nextStreams(now, { goodputBps: 9.8e6, loss: 0.01, capBps: 10e6 }).streams).toBe(8);
    expect(nextStreams(now, { goodputBps: 5e6, loss: 0.01, capBps: 10e6 }).streams).toBe(16);
  });

  it("is always a whole number within its bounds, whatever is measured", () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            congestionControl: fc.constantFrom("cubic", "bbr", "reno"),
            min: fc.integer({ min: -2, max: 70 }),
            max: fc.integer({ min: -2, max: 99 }),
            start: fc.integer({ min: -2, max: 99 }),
            linkBps: fc.double({ min: 1, max: 1e11, noNaN: true }),
          },
          { requiredKeys: [] },
        ),
        fc.array(
          fc.record(
            {
              goodputBps: fc.double({ min: 0, max: 1e11, noNaN: true }),
              loss: fc.double({ min: 0, max: 1, noNaN: true }),
              capBps: fc.integer({ min: 0, max: 1e9 }),
              wasStarved: fc.boolean(),
            },
            { requiredKeys: ["goodputBps"] },
          ),
          { maxLength: 60 },
        ),
        (options, samples) => {
          let now = firstStreams(options);
          for (const sample of samples) {
            now = nextStreams(now, sample);
            expect(Number.isInteger(now.streams)).toBe(true);
            expect(now.streams).toBeGreaterThanOrEqual(now.min);
            expect(now.streams).toBeLessThanOrEqual(now.max);
            expect(now.why).toMatch(/\w/);
          }
          expect(now.min).toBeGreaterThanOrEqual(1);
          expect(now.max).toBeLessThanOrEqual(64);
        },
      ),
    );
  });
});
