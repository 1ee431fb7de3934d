import { createHash } from "node:crypto";
import {
  blockCountOf,
  blockLengthOf,
  BLOCK_BYTES,
  imageDigest,
  isZeros,
  LEAF_OF_ZEROS,
  leafOf,
  leafOfZeros,
} from "../../../../lib/image/wire/digest";

describe("the digest of an image", () => {
  it("is SHA-256 over its size and the leaves of its blocks, in this very form", () => {
    const leaves = [leafOf(Buffer.from("one")), leafOf(Buffer.from("two"))];
    const head = Buffer.from(
      "spillway image 1\n" + "\x01\x00\x10\x00\x00\x00\x00\x00" + "\x00\x00\x10\x00",
      "latin1",
    );
    const expected = createHash("sha256")
      .update(Buffer.concat([head, ...leaves]))
      .digest("hex");
    expect(imageDigest(BLOCK_BYTES + 1, leaves)).toBe(`sha256:${expected}`);
    expect(imageDigest(BLOCK_BYTES + 1, [Buffer.concat(leaves)])).toBe(`sha256:${expected}`);
  });

  it("changes with the size and with the order of the blocks", () => {
    const [one, two] = [leafOf(Buffer.from("one")), leafOf(Buffer.from("two"))];
    const all = [
      imageDigest(2 ** 21, [one, two]),
      imageDigest(2 ** 21, [two, one]),
      imageDigest(2 ** 21 - 1, [one, two]),
    ];
    expect(new Set(all).size).toBe(3);
  });

  it("never changes for what it was given once", () => {
    expect(LEAF_OF_ZEROS.toString("hex")).toBe(
      "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58",
    );
    expect(imageDigest(BLOCK_BYTES, [LEAF_OF_ZEROS])).toBe(
      "sha256:655c2a6ac3583ffad412b0d02fb6f14d92d588b8c41125ce55fbdd10e1a21a0f",
    );
  });
});

describe("blocks", () => {
  it("of zeros are told from all others, whatever their length", () => {
    for (const length of [1, 2, 4095, 4096, 700_001, BLOCK_BYTES]) {
      expect(isZeros(Buffer.alloc(length))).toBe(true);
      expect(leafOfZeros(length)).toEqual(leafOf(Buffer.alloc(length)));
      for (const at of [0, length >> 1, length - 1, length >> 2]) {
        const bytes = Buffer.alloc(length);
        bytes[at] = 1;
        expect(isZeros(bytes)).toBe(false);
      }
    }
  });

  it("are a mebibyte, but for the last", () => {
    expect([1, BLOCK_BYTES, BLOCK_BYTES + 1].map(blockCountOf)).toEqual([1, 1, 2]);
    expect(blockLengthOf(BLOCK_BYTES + 7, 0)).toBe(BLOCK_BYTES);
    expect(blockLengthOf(BLOCK_BYTES + 7, 1)).toBe(7);
  });
});
