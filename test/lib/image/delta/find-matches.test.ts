import fc from "fast-check";
import { SpillwayError } from "../../../../lib/errors";
import {
  DeltaIndex,
  PageCache,
  findMatches,
  type Allowed,
  type DeltaBase,
  type Match,
} from "../../../../lib/image/delta";

/** Bytes without a pattern, the same for the same seed. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2) | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

function baseOf(number: number, bytes: Uint8Array): DeltaBase & { reads: number } {
  const base = {
    number,
    sizeBytes: bytes.length,
    reads: 0,
    read: async (into: Uint8Array, offset: number) => {
      base.reads++;
      expect(offset + into.length).toBeLessThanOrEqual(bytes.length);
      into.set(bytes.subarray(offset, offset + into.length));
    },
  };
  return base;
}

function indexOf(bases: readonly (readonly [number, Uint8Array])[], memoryBytes = 2 ** 20): DeltaIndex {
  const index = new DeltaIndex({ memoryBytes });
  index.plan(bases.reduce((sum, [, bytes]) => sum + bytes.length, 0));
  for (const [number, bytes] of bases) {
    for (let at = 0; at < bytes.length; at += 2 ** 20)
      index.add(number, at, bytes.subarray(at, at + 2 ** 20));
  }
  return index;
}

async function matchesOf(
  block: Uint8Array,
  bytes: Uint8Array,
  ranges: readonly (readonly [number, number])[] = [[0, block.length]],
): Promise<Match[]> {
  const bases = new Map([[3, baseOf(3, bytes)]]);
  return findMatches(indexOf([[3, bytes]]), block, ranges, bases, new PageCache({ memoryBytes: 0 }));
}

const covered = (matches: readonly Match[]) => matches.reduce((sum, { length }) => sum + length, 0);

/** What must hold of any matches: in order, disjoint, within the ranges, and the bytes are the base's. */
function requireSound(
  matches: readonly Match[],
  block: Uint8Array,
  bytes: Uint8Array,
  ranges: readonly (readonly [number, number])[],
): void {
  let end = 0;
  for (const { at, length, offset } of matches) {
    if (at < end || length <= 0) throw new Error(`a match at ${at} overlaps or is empty`);
    end = at + length;
    if (!ranges.some(([from, to]) => from <= at && end <= to))
      throw new Error(`${at} to ${end} leaves its range`);
    if (Buffer.compare(block.subarray(at, end), bytes.subarray(offset, offset + length)) !== 0)
      throw new Error(`the bytes at ${at} are not those at ${offset}`);
  }
}

/** A base, and a block made of pieces of it, of noise and of repetitions, in any order. */
const edited = fc
  .record({
    seed: fc.integer(),
    baseLength: fc.integer({ min: 0, max: 200_000 }),
    pieces: fc.array(
      fc.record({
        kind: fc.constantFrom("copy", "copy", "noise", "same"),
        from: fc.nat(200_000),
        length: fc.integer({ min: 1, max: 30_000 }),
        changeEvery: fc.constantFrom(0, 7, 40, 300),
      }),
      { maxLength: 10 },
    ),
    cuts: fc.uniqueArray(fc.nat(200_000), { maxLength: 8 }),
  })
  .map(({ seed, baseLength, pieces, cuts }) => {
    const base = noise(baseLength, seed);
    base.fill(7, baseLength >> 1, Math.min(baseLength, (baseLength >> 1) + 5000));
    const block = Buffer.concat(
      pieces.map(({ kind, from, length, changeEvery }) => {
        if (kind === "noise") return noise(length, from);
        if (kind === "same") return Buffer.alloc(length, 7);
        const copy = Buffer.from(base.subarray(from, from + length));
        if (changeEvery > 0) for (let i = 0; i < copy.length; i += changeEvery) copy[i] ^= 1;
        return copy;
      }),
    );
    const ends = cuts.filter((cut) => cut <= block.length).sort((a, b) => a - b);
    const ranges = ends.slice(1).flatMap((end, i) => (i % 2 === 0 ? [[ends[i], end] as const] : []));
    return { base, block, ranges: ranges.length > 0 ? ranges : [[0, block.length] as const] };
  });

test("matches are disjoint, within the ranges, and their bytes are the base's, whatever was changed", async () => {
  await fc.assert(
    fc.asyncProperty(edited, async ({ base, block, ranges }) => {
      requireSound(await matchesOf(block, base, ranges), block, base, ranges);
    }),
    { numRuns: 150 },
  );
});

test("the same bytes give the same matches, however often and with whatever in the cache", async () => {
  await fc.assert(
    fc.asyncProperty(edited, async ({ base, block, ranges }) => {
      const index = indexOf([[3, base]]);
      const bases = new Map([[3, baseOf(3, base)]]);
      const cache = new PageCache({ memoryBytes: 2 ** 24 });
      const first = await findMatches(index, block, ranges, bases, cache);
      expect(await findMatches(index, block, ranges, bases, cache)).toEqual(first);
      expect(await matchesOf(block, base, ranges)).toEqual(first);
    }),
    { numRuns: 30 },
  );
});

test("an inserted byte costs a few bytes, not what follows it", async () => {
  const base = noise(500_000, 1);
  const block = Buffer.concat([
    base.subarray(1000, 200_000),
    Buffer.from("!"),
    base.subarray(200_000, 400_000),
  ]);
  const matches = await matchesOf(block, base);
  requireSound(matches, block, base, [[0, block.length]]);
  expect(covered(matches)).toBe(block.length - 1);
  expect(matches).toHaveLength(2);
});

test("changed bytes inside a match are stepped over", async () => {
  const base = noise(200_000, 2);
  const block = Buffer.from(base);
  for (let i = 50; i < block.length; i += 50) block[i] ^= 255;
  const matches = await matchesOf(block, base);
  expect(covered(matches)).toBeGreaterThan(block.length * 0.97);
});

test("a hint finds what the index does not know", async () => {
  const base = noise(100_000, 4);
  const block = Buffer.concat([noise(1000, 5), base.subarray(5000, 5040), noise(1000, 6)]);
  const bases = new Map([[3, baseOf(3, base)]]);
  const search = (hints: { at: number; base: number; offset: number }[]) =>
    findMatches(
      new DeltaIndex({ memoryBytes: 4096 }),
      block,
      [[1000, 2040]],
      bases,
      new PageCache({ memoryBytes: 0 }),
      undefined,
      hints,
    );
  expect(await search([])).toEqual([]);
  expect(await search([{ at: 1000, base: 3, offset: 5000 }])).toEqual([
    { at: 1000, length: 40, base: 3, offset: 5000 },
  ]);
  expect(await search([{ at: 1000, base: 9, offset: 5000 }])).toEqual([]);
  expect(await search([{ at: 1000, base: 3, offset: 2 ** 40 }])).toEqual([]);
});

test("what may not be referred to is not, and what is beside it is", async () => {
  const base = noise(3 * 2 ** 20, 8);
  const bases = new Map([[255, baseOf(255, base)]]);
  const index = indexOf([[255, base]]);
  const cache = new PageCache({ memoryBytes: 0 });
  const block = base.subarray(2 ** 20 - 100_000, 2 ** 21 - 100_000);
  const search = (allowed: Allowed) => findMatches(index, block, [[0, block.length]], bases, cache, allowed);
  const started = performance.now();
  expect(await search((_, offset, length) => offset + length <= 2 ** 20)).toEqual([
    { at: 0, length: 100_000, base: 255, offset: 2 ** 20 - 100_000 },
  ]);
  expect(await search((_, offset) => offset >= 2 ** 20)).toEqual([
    { at: 100_000, length: 2 ** 20 - 100_000, base: 255, offset: 2 ** 20 },
  ]);
  expect(await search(() => false)).toEqual([]);
  expect(performance.now() - started).toBeLessThan(6000);
});

test("a base that shrank, or is not there any more, gives fewer matches, not wrong ones", async () => {
  const base = noise(200_000, 9);
  const index = indexOf([[3, base]]);
  const shorter = base.subarray(0, 70_000);
  const cache = new PageCache({ memoryBytes: 0 });
  const matches = await findMatches(
    index,
    base,
    [[0, base.length]],
    new Map([[3, baseOf(3, shorter)]]),
    cache,
  );
  expect(matches).toEqual([{ at: 0, length: 70_000, base: 3, offset: 0 }]);
  expect(await findMatches(index, base, [[0, base.length]], new Map(), cache)).toEqual([]);
});

test("a base whose bytes changed since they were indexed gives no wrong match", async () => {
  const base = noise(200_000, 10);
  const index = indexOf([[3, base]]);
  const now = noise(200_000, 11);
  const bases = new Map([[3, baseOf(3, now)]]);
  expect(
    await findMatches(index, base, [[0, base.length]], bases, new PageCache({ memoryBytes: 0 })),
  ).toEqual([]);
});

test("a read that fails is the caller's to hear of, and is tried again next time", async () => {
  const bytes = noise(200_000, 12);
  const good = baseOf(3, bytes);
  const problem = new SpillwayError({
    place: "v1.raw",
    problem: "read failed: EIO",
    mend: "Look at the disk.",
  });
  let failures = 1;
  const base: DeltaBase = {
    number: 3,
    sizeBytes: bytes.length,
    read: async (into, offset) => {
      if (failures-- > 0) throw problem;
      await good.read(into, offset);
    },
  };
  const index = indexOf([[3, bytes]]);
  const cache = new PageCache({ memoryBytes: 0 });
  const search = () => findMatches(index, bytes, [[0, bytes.length]], new Map([[3, base]]), cache);
  await expect(search()).rejects.toBe(problem);
  expect(covered(await search())).toBe(bytes.length);
});

test.each([
  ["one byte repeated", Buffer.alloc(2 ** 20, 0x41)],
  ["a period shorter than a window", Buffer.alloc(2 ** 20, "period; ")],
  ["a period longer than a window", Buffer.alloc(2 ** 20, noise(100, 1))],
  ["a period as long as a page", Buffer.alloc(2 ** 20, noise(4096, 2))],
  ["every second byte changed", noise(2 ** 20, 3).map((byte, i) => (i % 2 ? byte : 0))],
])("%s takes no longer than other bytes", async (_, block) => {
  const base = Buffer.from(block);
  for (let i = 0; i < base.length; i += 97) base[i] ^= 0x80;
  const started = performance.now();
  for (const bytes of [base, block]) {
    const matches = await matchesOf(block, bytes);
    requireSound(matches, block, bytes, [[0, block.length]]);
  }
  expect(performance.now() - started).toBeLessThan(10_000);
});

test("an index keeps to its memory, however much is added to it, and still finds", async () => {
  const index = new DeltaIndex({ memoryBytes: 30_000 });
  expect(index.tableBytes).toBe(16_384);
  const pieces = 16;
  index.plan(pieces * 2 ** 20);
  for (let i = 0; i < pieces; i++) index.add(i, 0, noise(2 ** 20, i + 1));
  const bases = new Map(
    Array.from({ length: pieces }, (_, i) => [i, baseOf(i, noise(2 ** 20, i + 1))] as const),
  );
  const cache = new PageCache({ memoryBytes: 0 });
  const found = await findMatches(index, noise(2 ** 20, 10), [[0, 2 ** 20]], bases, cache);
  expect(found).toEqual([{ at: 0, length: 2 ** 20, base: 9, offset: 0 }]);
});

test("a page is read once while the cache has it, and the cache has no more than it may", async () => {
  const bytes = noise(4 * 2 ** 20, 20);
  const base = baseOf(3, bytes);
  const cache = new PageCache({ memoryBytes: 2 ** 20 });
  const [one, two] = await Promise.all([cache.read(base, 5), cache.read(base, 5)]);
  expect(one).toBe(two);
  expect(base.reads).toBe(1);
  for (let page = 0; page < 64; page++) await cache.read(base, page);
  let held = 0;
  for (let page = 0; page < 64; page++) if (cache.peek(base, page)) held++;
  expect(held).toBe(cache.capacity);
});

test("a place far into a large base is found where it is", async () => {
  const offset = 2 ** 43 + 12_345;
  const bytes = noise(100_000, 21);
  const index = new DeltaIndex({ memoryBytes: 2 ** 16 });
  index.plan(bytes.length);
  index.add(254, offset, bytes);
  const base: DeltaBase = {
    number: 254,
    sizeBytes: offset + bytes.length,
    read: async (into, from) => {
      for (let i = 0; i < into.length; i++) into[i] = bytes[from + i - offset] ?? 0;
    },
  };
  const cache = new PageCache({ memoryBytes: 0 });
  expect(await findMatches(index, bytes, [[0, bytes.length]], new Map([[254, base]]), cache)).toEqual([
    { at: 0, length: bytes.length, base: 254, offset },
  ]);
});

test("a piece or a block larger than a mebibyte is refused", async () => {
  const index = new DeltaIndex({ memoryBytes: 4096 });
  expect(() => index.add(0, 0, new Uint8Array(2 ** 20 + 1))).toThrow(RangeError);
  expect(() => index.candidates(new Uint8Array(2 ** 20 + 1), [])).toThrow(RangeError);
});

test("a block made of crumbs from everywhere costs a bounded number of reads", async () => {
  const crumbBytes = 64;
  const pageBytes = 64 * 1024;
  const block = noise(2 ** 20, 30);
  const crumbs = block.length / crumbBytes;
  const index = new DeltaIndex({ memoryBytes: 2 ** 20 });
  index.plan(block.length);
  let reads = 0;
  const base: DeltaBase = {
    number: 1,
    sizeBytes: crumbs * pageBytes,
    read: async (into, offset) => {
      reads++;
      const crumb = (offset / pageBytes) * crumbBytes;
      into.set(block.subarray(crumb, crumb + crumbBytes));
    },
  };
  for (let i = 0; i < crumbs; i++) {
    index.add(1, i * pageBytes, block.subarray(i * crumbBytes, (i + 1) * crumbBytes));
  }
  const cache = new PageCache({ memoryBytes: 2 ** 20 });
  const matches = await findMatches(index, block, [[0, block.length]], new Map([[1, base]]), cache);
  expect(matches.length).toBeGreaterThan(500);
  // Some ten thousand crumbs are candidates. A match that is looked at may touch the pages beside its own.
  expect(reads).toBeLessThan(3 * 1024 + 64);
});
