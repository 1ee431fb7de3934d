import { isDeepStrictEqual } from "node:util";
import { decode, encode, ExtData } from "@msgpack/msgpack";
import fc from "fast-check";
import { UNKNOWN } from "../../../../../providers/terraform/plugin";
import {
  isNullBytes,
  NULL_BYTES,
  pack,
  unchanged,
  unpack,
} from "../../../../../providers/terraform/plugin/values/msgpack";
import type { Raw } from "../../../../../providers/terraform/plugin/values/raw";

const key = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constant("__proto__"));
const value = fc.letrec<{ raw: Raw }>((tie) => ({
  raw: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer({ min: -70_000, max: 70_000 }),
    fc.string(),
    fc.string({ unit: "binary", minLength: 250, maxLength: 260 }),
    fc.constant(UNKNOWN),
    fc.array(tie("raw")),
    fc.dictionary(key, tie("raw")) as fc.Arbitrary<Raw>,
  ),
})).raw;

test("what is packed is unpacked", () => {
  fc.assert(fc.property(value, (raw) => expect(unpack(pack(raw))).toEqual(raw)));
});

test("another implementation reads what is packed, and what it packs is unpacked", () => {
  const known = fc.letrec<{ raw: Raw }>((tie) => ({
    raw: fc.oneof(
      { maxDepth: 3 },
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.string({ unit: "grapheme" }),
      fc.uint8Array() as unknown as fc.Arbitrary<Raw>,
      fc.array(tie("raw"), { maxLength: 20 }),
      fc.dictionary(
        fc.string().filter((name) => name !== "__proto__"),
        tie("raw"),
        { noNullPrototype: true, maxKeys: 20 },
      ) as fc.Arbitrary<Raw>,
    ),
  })).raw;
  fc.assert(
    fc.property(known, (raw) => {
      expect(normal(decode(pack(raw)))).toEqual(normal(raw));
      expect(normal(unpack(encode(raw)))).toEqual(normal(raw));
    }),
  );
});

/** Bytes compare by content, whatever their class. */
function normal(raw: unknown): unknown {
  if (raw instanceof Uint8Array) return [...raw];
  if (Array.isArray(raw)) return raw.map(normal);
  if (raw !== null && typeof raw === "object") {
    return Object.fromEntries(Object.entries(raw).map(([name, part]) => [name, normal(part)]));
  }
  return raw;
}

test("long texts, lists, maps and bytes are packed with heads of every size", () => {
  for (const length of [0, 15, 16, 31, 32, 255, 256, 65_536]) {
    const raws: Raw[] = [
      "é".repeat(length),
      Array.from({ length }, () => 1),
      Object.fromEntries(Array.from({ length }, (_, index) => [`k${index}`, index])),
    ];
    for (const raw of raws) {
      // Jest's own comparison of long lists takes seconds.
      expect(isDeepStrictEqual(unpack(pack(raw)), raw)).toBe(true);
      expect(isDeepStrictEqual(decode(pack(raw)), raw)).toBe(true);
    }
    expect(Buffer.from(unpack(pack(new Uint8Array(length))) as Uint8Array)).toHaveLength(length);
  }
});

test("numbers keep every digit: doubles come as all their digits, 64 bits as bigint, more as text", () => {
  const numbers: [unknown, Raw][] = [
    [0.5, "0.5"],
    [0.1, "0.1000000000000000055511151231257827021181583404541015625"],
    [3, 3],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2 ** 70, "1180591620717411303424"],
    [2n ** 64n - 1n, 2n ** 64n - 1n],
    [-(2n ** 63n), -(2n ** 63n)],
    [7n, 7],
  ];
  for (const [sent, raw] of numbers) expect(unpack(encode(sent, { useBigInt64: true }))).toBe(raw);
  expect(unpack(Uint8Array.of(0xca, 0x3f, 0x40, 0, 0))).toBe("0.75");
  expect(unpack(pack(2n ** 64n - 1n))).toBe("18446744073709551615");
  expect(unpack(pack(-(2n ** 63n)))).toBe(-(2n ** 63n));
});

test("an extension of any code is an unknown value", () => {
  for (const type of [0, 12, 100, 127]) {
    for (const length of [0, 1, 2, 3, 4, 8, 16, 20, 300, 70_000]) {
      expect(unpack(encode([new ExtData(type, new Uint8Array(length)), 1]))).toEqual([UNKNOWN, 1]);
    }
  }
});

test("bytes that are no whole value are refused, wherever they end", () => {
  const whole = pack({
    a: [1, "two", 300, -70_000, 1e12, null, UNKNOWN, "x".repeat(40)],
    b: Uint8Array.of(1, 2),
  });
  for (let end = 0; end < whole.length; end += 1)
    expect(() => unpack(whole.subarray(0, end))).toThrow("the value ends too early");
  expect(() => unpack(Buffer.concat([whole, Buffer.of(1)]))).toThrow("1 bytes after the value");
  expect(() => unpack(Uint8Array.of(0xc1))).toThrow("no value begins with 0xc1");
  expect(() => unpack(Uint8Array.of(0x81, 1, 1))).toThrow("a key is not a string");
});

test("what did not change goes back as it came, unless a double is in it", () => {
  const whole = encode({ a: 1, b: ["x"] });
  expect(unchanged(whole, unpack(whole))).toBe(whole);
  const double = encode({ a: 0.1 });
  expect(unchanged(double, unpack(double))).toEqual(
    pack({ a: "0.1000000000000000055511151231257827021181583404541015625" }),
  );
  expect(isNullBytes(NULL_BYTES) && isNullBytes(new Uint8Array(0)) && !isNullBytes(whole)).toBe(true);
});
