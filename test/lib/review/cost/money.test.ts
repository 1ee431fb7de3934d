import fc from "fast-check";
import { moneyText } from "../../../../lib/review/cost";

test.each<[number, string]>([
  [0, "$0"],
  [0.00001, "<$0.0001"],
  [-0.00001, "-<$0.0001"],
  [0.00052, "$0.0005"],
  [0.005, "$0.005"],
  [0.0225, "$0.0225"],
  [0.03, "$0.03"],
  [0.0995, "$0.10"],
  [0.19, "$0.19"],
  [-1.5, "-$1.50"],
  [99.99, "$99.99"],
  [99.996, "$100"],
  [138.7, "$139"],
  [12345.6, "$12346"],
])("%p is %s", (amount, text) => {
  expect(moneyText(amount, "USD")).toBe(text);
});

test("another currency is named, and what is said is never off by more than half of its last digit", () => {
  expect(moneyText(12.5, "EUR")).toBe("EUR 12.50");
  fc.assert(
    fc.property(fc.double({ min: 0.0001, max: 1e6, noNaN: true }), (amount) => {
      const said = Number(moneyText(amount, "USD").slice(1));
      const digit = amount >= 99.995 ? 1 : amount >= 0.0995 ? 0.01 : 0.0001;
      expect(Math.abs(said - amount)).toBeLessThanOrEqual(digit / 2 + 1e-9);
    }),
  );
});
