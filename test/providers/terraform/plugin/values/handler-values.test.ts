import fc from "fast-check";
import {
  a,
  Decimal,
  UNKNOWN,
  type AnyAttribute,
  type Attributes,
} from "../../../../../providers/terraform/plugin";
import {
  fromHandler,
  objectFromHandler,
} from "../../../../../providers/terraform/plugin/values/from-handler";
import { pack, unpack } from "../../../../../providers/terraform/plugin/values/msgpack";
import { decimalOf, sameValue, type Raw } from "../../../../../providers/terraform/plugin/values/raw";
import { objectToHandler, toHandler } from "../../../../../providers/terraform/plugin/values/to-handler";

/** A number in each form in which Terraform sends one. */
const rawNumber: fc.Arbitrary<Raw> = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.bigInt().map((value) => value.toString()),
  fc
    .tuple(fc.bigInt({ min: 1n, max: 10n ** 40n }), fc.integer({ min: 1, max: 40 }))
    .map(([n, e]) => `${Decimal.of(`${n}e-${e}`)}`),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => Decimal.exactly(value).toString()),
);

/** An attribute, and a value of it as Terraform sends it. */
const typed: fc.Arbitrary<{ attribute: AnyAttribute; raw: Raw }> = fc.letrec<{
  typed: { attribute: AnyAttribute; raw: Raw };
}>((tie) => ({
  typed: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({ attribute: fc.constant<AnyAttribute>(a.string()), raw: fc.string() as fc.Arbitrary<Raw> }),
    fc.record({ attribute: fc.constant<AnyAttribute>(a.bool()), raw: fc.boolean() as fc.Arbitrary<Raw> }),
    fc.record({ attribute: fc.constant<AnyAttribute>(a.number()), raw: rawNumber }),
    fc.record({ attribute: fc.constant<AnyAttribute>(a.decimal()), raw: rawNumber }),
    fc.record({
      attribute: fc.constant<AnyAttribute>(a.bigint()),
      raw: fc.bigInt().map((value) => value.toString() as Raw),
    }),
    fc.record({ attribute: fc.constant<AnyAttribute>(a.string()), raw: fc.constant<Raw>(UNKNOWN) }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie("typed"), { noNullPrototype: true }).map((parts) => {
      const attributes: Attributes = Object.fromEntries(
        Object.entries(parts).map(([name, part]) => [
          name,
          (part.attribute as ReturnType<typeof a.string>).optional(),
        ]),
      );
      const object = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.raw]));
      return { attribute: a.nested(attributes) as AnyAttribute, raw: object as Raw };
    }),
    tie("typed").map(({ attribute, raw }) => ({
      attribute: a.list(attribute) as AnyAttribute,
      raw: [raw, raw] as Raw,
    })),
    tie("typed").map(({ attribute, raw }) => ({
      attribute: a.map(attribute) as AnyAttribute,
      raw: { x: raw } as Raw,
    })),
  ),
})).typed;

test("whatever a handler leaves as it got it goes back to the last digit", () => {
  fc.assert(
    fc.property(typed, ({ attribute, raw }) => {
      const received = unpack(pack(raw));
      const back = fromHandler(attribute, toHandler(attribute, received), [received], []);
      expect(sameValue(attribute, unpack(pack(back)), received)).toBe(true);
    }),
  );
});

test("exact numbers need no hint of what they were", () => {
  fc.assert(
    fc.property(rawNumber, (raw) => {
      const decimal = toHandler(a.decimal(), raw) as Decimal;
      expect(
        decimalOf(unpack(pack(fromHandler(a.decimal(), decimal, [], []))) as string).equals(decimal),
      ).toBe(true);
    }),
  );
});

test("a number that a handler makes is the decimal that it prints", () => {
  expect(
    [0.1, 1.5, 1e21, 1e-7, 3, -0].map((value) => unpack(pack(fromHandler(a.number(), value, [], [])))),
  ).toEqual(["0.1", "1.5", "1000000000000000000000", "0.0000001", 3, 0]);
});

test("a handler's value of another type is refused by name", () => {
  const schema = {
    name: a.string(),
    size: a.integer().optional(),
    tags: a.map(a.string()).optional(),
    parts: a.nestedList({ n: a.number() }).optional(),
    exact: a.decimal().optional(),
  };
  const attempt = (value: unknown) => () => objectFromHandler(schema, value, []);
  expect(attempt({ name: 3 })).toThrow("`name` must be a string, got a number");
  expect(attempt({ name: "a", size: NaN })).toThrow("`size` must be a finite number, got NaN");
  expect(attempt({ name: "a", tags: { x: null } })).toThrow("`tags.x` must not be null");
  expect(attempt({ name: "a", parts: [{ n: "1" }] })).toThrow(
    "`parts[0].n` must be a finite number, got a string",
  );
  expect(attempt({ name: "a", exact: 1 })).toThrow("`exact` must be a Decimal, got a number");
  expect(attempt({ name: "a", nme: "b" })).toThrow("`nme` is not in the schema");
  expect(attempt([])).toThrow("must be an object, got an array");
});

test("a dynamic value is JSON with its type, both ways", () => {
  const values = [null, true, "x", 3, 0.1, [1, "a", null], { a: { b: [true] }, c: null }];
  for (const value of values) {
    const raw = value === null ? null : fromHandler(a.dynamic(), value, [], []);
    expect(toHandler(a.dynamic(), unpack(pack(raw)))).toEqual(value);
  }
});

test("write-only values never leave a handler", () => {
  const schema = { secret: a.string().optional().writeOnly() };
  expect(objectFromHandler(schema, { secret: "s" }, [])).toEqual({ secret: null });
  expect(objectToHandler(schema, { secret: "s" })).toEqual({ secret: "s" });
});
