import { LeafTable } from "../../../../lib/image/far/leaf-table";
import { BLOCK_BYTES, LEAF_OF_ZEROS } from "../../../../lib/image/wire";
import { arrivedPrefixes } from "../../../../lib/image/near/arrived";

describe("what is told of the blocks that have arrived", () => {
  it("ends with the last of them, however large the image is", () => {
    const table = new LeafTable(2 ** 44);
    expect(table.prefixes()).toBe("");
    table.set(2, LEAF_OF_ZEROS, "verified");
    table.set(5_000, LEAF_OF_ZEROS, "verified");
    table.clear(5_000);
    const hasArrived = arrivedPrefixes(table.prefixes());
    expect(Buffer.from(table.prefixes(), "base64").length).toBe(3 * 8);
    expect([1, 2, 3, 5_000].map((block) => hasArrived(block, undefined, BLOCK_BYTES))).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  it("leaves out blocks that are so far behind that nobody would take an answer with them", () => {
    const table = new LeafTable(2 ** 44);
    table.set(2 ** 22 - 1, LEAF_OF_ZEROS, "verified");
    table.set(2 ** 24 - 1, LEAF_OF_ZEROS, "verified");
    expect(table.prefixes().length).toBeLessThan(64 * 2 ** 20);
    const hasArrived = arrivedPrefixes(table.prefixes());
    expect(hasArrived(2 ** 22 - 1, undefined, BLOCK_BYTES)).toBe(true);
    expect(hasArrived(2 ** 24 - 1, undefined, BLOCK_BYTES)).toBe(false);
  });
});
