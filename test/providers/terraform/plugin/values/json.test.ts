import fc from "fast-check";
import { Decimal } from "../../../../../providers/terraform/plugin";
import { parseJson } from "../../../../../providers/terraform/plugin/values/json";

test("JSON without large numbers reads as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      // A long number somewhere makes it take the careful way.
      const careful = parseJson(` [ ${text} , 12345678901234567890 ] `) as unknown[];
      expect(JSON.stringify(careful[0], jsonOfNumbers)).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});

/** Digits that a double does not hold, as the double that JSON.parse makes of them. */
function jsonOfNumbers(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

test("numbers that a double does not hold keep their digits", () => {
  expect(
    parseJson(`{"a":9007199254740993,"b":-12345678901234567890123,"c":[1.5,0.1,1e3,9007199254740993.5]}`),
  ).toEqual({
    a: 9007199254740993n,
    b: -12345678901234567890123n,
    c: [1.5, 0.1, 1000, Decimal.of("9007199254740993.5")],
  });
});

test("a key may have any name", () => {
  const parsed = parseJson(`{"__proto__":{"x":1},"n":12345678901234567890}`) as object;
  expect(Object.keys(parsed)).toEqual(["__proto__", "n"]);
  expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
});

test("what is not JSON is refused", () => {
  const big = "12345678901234567890";
  for (const text of [
    `[${big}`,
    `{"a":${big},}`,
    `[${big} 1]`,
    `{a:${big}}`,
    `"${big}`,
    `${big}x`,
    `[tru,${big}]`,
    `[,${big}]`,
  ]) {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  }
});
