import fc from "fast-check";
import { Decimal } from "../../../../../providers/terraform/plugin";

const digits = fc
  .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 60n }), fc.integer({ min: -40, max: 40 }))
  .map(([negative, coefficient, exponent]) => `${negative ? "-" : ""}${coefficient}e${exponent}`);

test("a decimal is the same number however it is written", () => {
  fc.assert(
    fc.property(digits, (text) => {
      const decimal = Decimal.of(text);
      expect(Decimal.of(decimal.toString()).equals(decimal)).toBe(true);
      expect(decimal.toNumber()).toBe(Number(text) === 0 ? 0 : Number(text));
    }),
  );
});

test("every double has exact digits that give it back", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (double) => {
      expect(Number(Decimal.exactly(double).toString())).toBe(double === 0 ? 0 : double);
    }),
  );
});

test("digits are plain decimal notation", () => {
  expect(Decimal.exactly(0.1).toString()).toBe("0.1000000000000000055511151231257827021181583404541015625");
  expect(
    ["1e3", "-1.50", "0.001", "-0", "00.5", "1e-3", "123.456e1"].map((text) => Decimal.of(text).toString()),
  ).toEqual(["1000", "-1.5", "0.001", "0", "0.5", "0.001", "1234.56"]);
  expect(Decimal.exactly(5e-324).toString()).toHaveLength(1_076);
});

test("what is no number is refused", () => {
  for (const text of ["", "x", "1,5", "0x10", "Infinity", "--1", "1e"])
    expect(() => Decimal.of(text)).toThrow(RangeError);
  expect(() => Decimal.exactly(Infinity)).toThrow(RangeError);
  expect(() => Decimal.of("1.5").toBigInt()).toThrow("not a whole number: 1.5");
});
