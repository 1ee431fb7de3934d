import { UNKNOWN, type AnyAttribute, type Attributes, type Unknown } from "../schema";
import { Decimal } from "./decimal";

/**
 * A value as Terraform sends it. A number is a JavaScript number if it is whole and below 2^53, a bigint if it is whole and has 64
 * bits, and all its decimal digits in a string otherwise. A set is an array. The plan is made of these, so that what no
 * handler touches goes back exactly as it came.
 */
export type Raw = null | boolean | number | bigint | string | Unknown | Uint8Array | Raw[] | RawObject;
export interface RawObject {
  [name: string]: Raw;
}

/** The object behind a resource's or nested attribute's value, if there is one. */
export function asObject(raw: Raw | undefined): RawObject | null {
  return raw !== null &&
    typeof raw === "object" &&
    !Array.isArray(raw) &&
    raw !== UNKNOWN &&
    !(raw instanceof Uint8Array)
    ? (raw as RawObject)
    : null;
}

const entriesByAttributes = new WeakMap<Attributes, readonly (readonly [string, AnyAttribute])[]>();

/** `Object.entries`, once for each schema. */
export function entriesOf(attributes: Attributes): readonly (readonly [string, AnyAttribute])[] {
  let entries = entriesByAttributes.get(attributes);
  if (!entries) entriesByAttributes.set(attributes, (entries = Object.entries(attributes)));
  return entries;
}

/** Are two numbers, as Terraform sends them, the same number? */
export function sameNumber(left: number | bigint | string, right: number | bigint | string): boolean {
  if (left === right) return true;
  if (typeof left === "number" && typeof right === "number") return false;
  return decimalOf(left).equals(decimalOf(right));
}

/** Every digit of a number as Terraform sends it. */
export function decimalOf(raw: number | bigint | string): Decimal {
  return typeof raw === "number" ? Decimal.exactly(raw) : Decimal.of(raw);
}

/** A text that two values of an attribute share exactly if they are equal: numbers by value, sets without order. */
export function canonical(attribute: AnyAttribute, raw: Raw): string {
  if (raw === null) return "null";
  if (raw === UNKNOWN) return "?";
  const { kind } = attribute;
  if (kind.shape === "leaf") {
    if (kind.form === "dynamic")
      return JSON.stringify(raw, (_, part: unknown) => (typeof part === "bigint" ? `${part}` : part));
    if (typeof raw === "string" && (kind.form === "string" || kind.form === "bool"))
      return JSON.stringify(raw);
    return typeof raw === "boolean" ? String(raw) : decimalOf(raw as number | bigint | string).toString();
  }
  const part = (value: Raw): string =>
    kind.shape === "collection" ? canonical(kind.element, value) : canonicalObject(kind.attributes, value);
  if (kind.nesting === "single") return part(raw);
  if (kind.nesting === "map") {
    const map = raw as RawObject;
    return `{${Object.keys(map)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${part(map[key]!)}`)
      .join()}}`;
  }
  const parts = (raw as Raw[]).map(part);
  return `[${(kind.nesting === "set" ? parts.sort() : parts).join()}]`;
}

function canonicalObject(attributes: Attributes, raw: Raw): string {
  const object = asObject(raw);
  if (!object) return raw === UNKNOWN ? "?" : "null";
  return `{${entriesOf(attributes)
    .map(([name, attribute]) => canonical(attribute, object[name] ?? null))
    .join()}}`;
}

/** Are two values of an attribute equal: numbers by value, sets without order? */
export function sameValue(attribute: AnyAttribute, left: Raw, right: Raw): boolean {
  if (left === right) return true;
  if (left === null || right === null || left === UNKNOWN || right === UNKNOWN) return false;
  const { kind } = attribute;
  if (kind.shape === "leaf") {
    if (kind.form === "dynamic") return canonical(attribute, left) === canonical(attribute, right);
    if (kind.form === "string" || kind.form === "bool") return false;
    return sameNumber(left as number | bigint | string, right as number | bigint | string);
  }
  const same = (one: Raw, other: Raw): boolean =>
    kind.shape === "collection"
      ? sameValue(kind.element, one, other)
      : sameObject(kind.attributes, asObject(one), asObject(other), one, other);
  if (kind.nesting === "single") return same(left, right);
  if (kind.nesting === "set") return canonical(attribute, left) === canonical(attribute, right);
  if (kind.nesting === "list") {
    const [one, other] = [left as Raw[], right as Raw[]];
    return one.length === other.length && one.every((value, index) => same(value, other[index]!));
  }
  const [one, other] = [left as RawObject, right as RawObject];
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => key in other && same(one[key]!, other[key]!))
  );
}

function sameObject(
  attributes: Attributes,
  one: RawObject | null,
  other: RawObject | null,
  oneRaw: Raw,
  otherRaw: Raw,
): boolean {
  if (!one || !other) return oneRaw === otherRaw;
  return entriesOf(attributes).every(([name, attribute]) =>
    sameValue(attribute, one[name] ?? null, other[name] ?? null),
  );
}

/** Are two objects of a schema equal, leaving out some attributes? */
export function sameState(
  attributes: Attributes,
  one: RawObject,
  other: RawObject,
  except?: (a: AnyAttribute) => boolean,
): boolean {
  return entriesOf(attributes).every(
    ([name, attribute]) =>
      except?.(attribute) || sameValue(attribute, one[name] ?? null, other[name] ?? null),
  );
}
