import * as fc from "fast-check";
import { ChunkTable } from "../../../lib/image/chunk-table";

describe("the table of chunks", () => {
  it("gives what a map would give, first come first kept", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 3 })), {
          maxLength: 300,
        }),
        (entries) => {
          const table = new ChunkTable(entries.length);
          const map = new Map<string, number>();
          entries.forEach(([first, second], number) => {
            const keys = Uint32Array.of(first * 99_999_989, second, 0, 0);
            const expected = map.get(`${first},${second}`);
            expect(table.find(keys, 0)).toBe(expected);
            expect(table.add(keys, 0, number)).toBe(expected ?? number);
            if (expected === undefined) map.set(`${first},${second}`, number);
          });
          for (const [key, number] of map) {
            const [first, second] = key.split(",").map(Number);
            expect(table.find(Uint32Array.of(first * 99_999_989, second, 0, 0), 0)).toBe(number);
          }
        },
      ),
    );
  });

  it("stays fast when someone chose keys that begin alike", () => {
    const count = 200_000;
    const keys = new Uint32Array(count * 4);
    for (let i = 0; i < count; i++) keys[i * 4 + 1] = i;
    const table = new ChunkTable(count);
    const started = performance.now();
    for (let i = 0; i < count; i++) table.add(keys, i * 4, i);
    // In a table that places keys by their beginning this takes minutes.
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(table.find(keys, (count - 1) * 4)).toBe(count - 1);
  });

  it("holds nothing when it is empty", () => {
    expect(new ChunkTable(0).find(Uint32Array.of(1, 2, 3, 4), 0)).toBeUndefined();
  });
});
