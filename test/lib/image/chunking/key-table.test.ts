import fc from "fast-check";
import { KeyTable } from "../../../../lib/image/chunking/key-table";

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const entry = fc.record({
  lo: word,
  hi: word,
  image: fc.integer({ min: 0, max: 255 }),
  offset: fc.oneof(word, fc.integer({ min: 0, max: 2 ** 44 - 1 })),
});

/** Random words that are the same on every run. */
function* words(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    yield (mixed ^ (mixed >>> 15)) >>> 0;
  }
}

test("what was added first for a key is found, whatever the keys and places", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 400 }), (entries) => {
      const table = new KeyTable(400);
      const model = new Map<string, { image: number; offset: number }>();
      for (const { lo, hi, image, offset } of entries) {
        expect(table.add(lo, hi, image, offset)).toBe(true);
        if (!model.has(`${lo} ${hi}`)) model.set(`${lo} ${hi}`, { image, offset });
      }
      expect(table.size).toBe(model.size);
      for (const [key, place] of model) {
        const [lo, hi] = key.split(" ").map(Number);
        const slot = table.find(lo, hi);
        expect({ image: table.imageAt(slot), offset: table.offsetAt(slot) }).toEqual(place);
      }
    }),
  );
});

test("a key that was not added is not found, an empty table finds none", () => {
  const table = new KeyTable(1000);
  expect(table.find(0, 0)).toBe(-1);
  const random = words(1);
  for (let i = 0; i < 1000; i++) table.add(random.next().value, random.next().value, 0, i);
  let found = 0;
  for (let i = 0; i < 1000; i++) if (table.find(random.next().value, random.next().value) !== -1) found++;
  expect(found).toBe(0);
});

test("beyond its budget it refuses new keys and keeps those it has", () => {
  const table = new KeyTable(5);
  for (let i = 0; i < 5; i++) expect(table.add(i, i, 1, i)).toBe(true);
  expect(table.add(5, 5, 1, 5)).toBe(false);
  expect(table.add(3, 3, 2, 9)).toBe(true);
  expect(table.find(5, 5)).toBe(-1);
  expect(table.offsetAt(table.find(3, 3))).toBe(3);
  expect(table.size).toBe(5);
  expect(new KeyTable(0).add(1, 1, 0, 0)).toBe(false);
});

test("a full table takes at most 16 bytes an entry, a young one little", () => {
  const budget = 400_000;
  const table = new KeyTable(budget);
  expect(table.memoryBytes).toBe(0);
  const random = words(2);
  for (let i = 0; i < budget; i++) table.add(random.next().value, random.next().value, 0, i);
  expect(table.size).toBe(budget);
  expect(table.add(random.next().value, random.next().value, 0, 0)).toBe(false);
  // The slack that shards have for uneven shares is a few percent of it.
  expect(table.memoryBytes / budget).toBeLessThan(16.2);
  const again = words(2);
  for (let i = 0; i < budget; i++) {
    if (table.offsetAt(table.find(again.next().value, again.next().value)) !== i)
      throw new Error(`lost ${i}`);
  }
});

test("keys that agree in most of their bits take no longer than others", () => {
  const table = new KeyTable(200_000);
  const started = performance.now();
  for (let i = 2; i < 50_000; i++) {
    table.add(i, 0, 0, i);
    table.add(1, i, 0, i);
  }
  let lost = 0;
  for (let i = 2; i < 50_000; i++) if (table.offsetAt(table.find(i, 0)) !== i) lost++;
  expect(lost).toBe(0);
  expect(performance.now() - started).toBeLessThan(5000);
});
