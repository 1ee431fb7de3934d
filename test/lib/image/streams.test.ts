import * as fc from "fast-check";
import { firstStreams, nextStreams } from "../../../lib/image/streams";

/** Counts that follow one another on a link where that many streams bring that goodput. */
function adapt(goodput: (streams: number) => number, start = 4, max = 16): number[] {
  let count = firstStreams(start, max);
  const counts = [count.streams];
  for (let window = 0; window < 8; window++) {
    count = nextStreams(count, goodput(count.streams), max);
    counts.push(count.streams);
  }
  return counts;
}

describe("the number of streams", () => {
  it("goes back to the start on a link that one stream fills", () => {
    expect(adapt(() => 12e6).slice(0, 4)).toEqual([4, 8, 4, 4]);
  });

  it("grows to the most on a link whose loss holds each stream back", () => {
    expect(adapt((streams) => streams * 600_000).slice(0, 4)).toEqual([4, 8, 16, 16]);
  });

  it("stays at what fills the link", () => {
    expect(adapt((streams) => Math.min(streams, 8) * 1e6).at(-1)).toBe(8);
  });

  it("is never less than one or more than the most, and comes to rest", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -3, max: 100 }),
        fc.integer({ min: 1, max: 64 }),
        fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 12, maxLength: 12 }),
        (start, max, goodputs) => {
          let count = firstStreams(start, max);
          for (const goodput of goodputs) {
            expect(count.streams).toBeGreaterThanOrEqual(1);
            expect(count.streams).toBeLessThanOrEqual(max);
            count = nextStreams(count, goodput, max);
          }
          expect(count.isSettled).toBe(true);
        },
      ),
    );
  });
});
