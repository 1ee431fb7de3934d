import fc from "fast-check";
import { Extents, ExtentsBuilder } from "../../../../lib/image/extents";

const SIZE = 64;
const ranges = fc.array(fc.tuple(fc.nat(SIZE), fc.nat(SIZE)), { maxLength: 12 });

/** Which positions are in a range: the plainest way to say what extents mean. */
function positions(extents: Extents): boolean[] {
  const found = new Array<boolean>(SIZE).fill(false);
  for (let i = 0; i < extents.count; i++) found.fill(true, extents.start(i), extents.end(i));
  return found;
}

function positionsOf(list: readonly (readonly [number, number])[]): boolean[] {
  const found = new Array<boolean>(SIZE).fill(false);
  for (const [start, end] of list) if (start < end) found.fill(true, start, end);
  return found;
}

function expectCanonical(extents: Extents): void {
  for (let i = 0; i < extents.count; i++) {
    expect(extents.start(i)).toBeLessThan(extents.end(i));
    if (i > 0) expect(extents.start(i)).toBeGreaterThan(extents.end(i - 1));
  }
}

describe("extents", () => {
  it("are ascending, disjoint and merged, whatever order they came in", () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const extents = Extents.of(list);
        expectCanonical(extents);
        expect(positions(extents)).toEqual(positionsOf(list));
        expect(extents.bytes).toBe(positionsOf(list).filter(Boolean).length);
      }),
    );
  });

  it("intersect, subtract and unite as sets of bytes do", () => {
    fc.assert(
      fc.property(ranges, ranges, (one, other) => {
        const [a, b] = [Extents.of(one), Extents.of(other)];
        const [inA, inB] = [positions(a), positions(b)];
        for (const [result, expected] of [
          [a.intersect(b), inA.map((x, i) => x && inB[i])],
          [a.subtract(b), inA.map((x, i) => x && !inB[i])],
          [a.union(b), inA.map((x, i) => x || inB[i])],
        ] as const) {
          expectCanonical(result);
          expect(positions(result)).toEqual(expected);
        }
      }),
    );
  });

  it("give what lies within a window, clipped to it", () => {
    fc.assert(
      fc.property(ranges, fc.nat(SIZE), fc.nat(SIZE), (list, one, other) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        const extents = Extents.of(list);
        const window = from < to ? Extents.of([[from, to]]) : Extents.none;
        const within = Extents.of(extents.within(from, to));
        expect(positions(within)).toEqual(positions(extents.intersect(window)));
        expect(extents.bytesWithin(from, to)).toBe(within.bytes);
      }),
    );
  });

  it("take bounded memory: of too many ranges the smallest gaps are joined, and nothing is lost", () => {
    const builder = new ExtentsBuilder(2 ** 40, 1000);
    const all: [number, number][] = [];
    for (let i = 0, at = 0; i < 50_000; i++) {
      at += 512 * (1 + ((i * 7919) % 997));
      all.push([at, at + 512]);
      builder.add(at, at + 512);
      at += 512;
    }
    const extents = builder.finish();
    expect(extents.count).toBeLessThanOrEqual(1000);
    expectCanonical(extents);
    expect(Extents.of(all).subtract(extents).count).toBe(0);
  });
});
