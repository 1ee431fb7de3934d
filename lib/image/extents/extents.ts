/**
 * Ascending, disjoint, half-open ranges of bytes that do not touch one another. At most {@link MAX_RANGES} of them; 16 bytes
 * of memory each.
 */
export class Extents {
  /** No range at all. */
  static readonly none = new Extents(new Float64Array(0));

  private constructor(private readonly edges: Float64Array) {}

  /** Ranges in any order, overlapping or not. Empty ones are left out. */
  static of(ranges: Iterable<readonly [start: number, end: number]>): Extents {
    const sorted = [...ranges].filter(([start, end]) => start < end).sort(([one], [other]) => one - other);
    const builder = new ExtentsBuilder(Infinity);
    for (const [start, end] of sorted) builder.add(start, end);
    return builder.finish();
  }

  /** The one range from 0 to `end`. */
  static whole(end: number): Extents {
    return end > 0 ? new Extents(Float64Array.of(0, end)) : Extents.none;
  }

  /** Takes over `edges` (start, end, start, end ...), which must be as the class says. */
  static fromEdges(edges: Float64Array): Extents {
    return new Extents(edges);
  }

  /** How many ranges. */
  get count(): number {
    return this.edges.length / 2;
  }

  /** How many bytes they are together. */
  get bytes(): number {
    let sum = 0;
    for (let i = 0; i < this.edges.length; i += 2) sum += this.edges[i + 1]! - this.edges[i]!;
    return sum;
  }

  start(i: number): number {
    return this.edges[2 * i]!;
  }

  end(i: number): number {
    return this.edges[2 * i + 1]!;
  }

  intersect(other: Extents): Extents {
    return combine(this.edges, other.edges, (inThis, inOther) => inThis && inOther);
  }

  subtract(other: Extents): Extents {
    return combine(this.edges, other.edges, (inThis, inOther) => inThis && !inOther);
  }

  union(other: Extents): Extents {
    return combine(this.edges, other.edges, (inThis, inOther) => inThis || inOther);
  }

  /** The ranges within [from, to), clipped. */
  *within(from: number, to: number): Iterable<readonly [start: number, end: number]> {
    for (let i = this.firstEndingAfter(from); i < this.count && this.start(i) < to; i++) {
      yield [Math.max(from, this.start(i)), Math.min(to, this.end(i))];
    }
  }

  /** How many bytes of [from, to) are in one of the ranges. */
  bytesWithin(from: number, to: number): number {
    let sum = 0;
    for (const [start, end] of this.within(from, to)) sum += end - start;
    return sum;
  }

  private firstEndingAfter(position: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.end(middle) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** More ranges than this are joined across the smallest of their gaps: 16 MiB of memory. */
export const MAX_RANGES = 2 ** 20;

/** Takes ranges by ascending start and merges them. Memory is bounded: where they are too many, small gaps count as in them. */
export class ExtentsBuilder {
  private edges = new Float64Array(64);
  private length = 0;
  private joined = 0;

  /** Ranges are clipped to end by `limit`. */
  constructor(
    private readonly limit: number,
    private readonly maxRanges = MAX_RANGES,
  ) {}

  /** `start` must not be before that of any range added earlier. Empty ranges are left out. */
  add(start: number, end: number): void {
    const last = Math.min(end, this.limit);
    if (start >= last) return;
    if (this.length > 0 && start <= this.edges[this.length - 1]! + this.joined) {
      if (last > this.edges[this.length - 1]!) this.edges[this.length - 1] = last;
      return;
    }
    if (this.length === 2 * this.maxRanges) {
      this.joinSmallGaps();
      this.add(start, end);
      return;
    }
    if (this.length === this.edges.length) {
      const grown = new Float64Array(Math.min(2 * this.length, 2 * this.maxRanges));
      grown.set(this.edges);
      this.edges = grown;
    }
    this.edges[this.length++] = start;
    this.edges[this.length++] = last;
  }

  /** What was added. The builder is of no more use. */
  finish(): Extents {
    return Extents.fromEdges(this.edges.slice(0, this.length));
  }

  private joinSmallGaps(): void {
    // Doubling until half the room is free keeps the whole linear, however many ranges come.
    while (this.length > this.maxRanges) {
      this.joined = Math.max(4096, 2 * this.joined);
      let kept = 2;
      for (let i = 2; i < this.length; i += 2) {
        if (this.edges[i]! <= this.edges[kept - 1]! + this.joined) {
          this.edges[kept - 1] = this.edges[i + 1]!;
        } else {
          this.edges[kept++] = this.edges[i]!;
          this.edges[kept++] = this.edges[i + 1]!;
        }
      }
      this.length = kept;
    }
  }
}

/** Where `keep` says so, walking both lists by their edges: between two edges nothing changes. */
function combine(
  one: Float64Array,
  other: Float64Array,
  keep: (inOne: boolean, inOther: boolean) => boolean,
): Extents {
  const edges = new Float64Array(one.length + other.length);
  let length = 0;
  let i = 0;
  let j = 0;
  let keeping = false;
  while (i < one.length || j < other.length) {
    const nextOne = i < one.length ? one[i]! : Infinity;
    const nextOther = j < other.length ? other[j]! : Infinity;
    const edge = nextOne < nextOther ? nextOne : nextOther;
    if (nextOne === edge) i++;
    if (nextOther === edge) j++;
    // An odd position is inside a range.
    const kept = keep((i & 1) === 1, (j & 1) === 1);
    if (kept === keeping) continue;
    keeping = kept;
    edges[length++] = edge;
  }
  return Extents.fromEdges(edges.slice(0, length));
}
