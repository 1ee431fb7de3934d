import { formatPath, type Path } from "../diagnostic";
import { isWriteOnly, UNKNOWN, type AnyAttribute, type Attributes, type LeafForm } from "../schema";
import { Decimal } from "./decimal";
import { asObject, entriesOf, type Raw, type RawObject } from "./raw";
import { toHandler } from "./to-handler";

/** A handler gave a value that its schema does not allow: a defect of the provider, not of the configuration. */
export class HandlerValueError extends Error {
  override readonly name = "HandlerValueError";

  constructor(path: Path, problem: string) {
    super(`\`${formatPath(path)}\` ${problem}`);
  }
}

/**
 * A handler's object as Terraform gets it. `hints` are earlier values of the same object: a number that the handler left as it
 * got it goes back with all its digits.
 * @throws HandlerValueError
 */
export function objectFromHandler(
  attributes: Attributes,
  value: unknown,
  hints: readonly (Raw | undefined)[],
  path: Path = [],
): RawObject {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new HandlerValueError(path, `must be an object, got ${describe(value)}`);
  }
  const given = value as Record<string, unknown>;
  const hintObjects = hints.map(asObject);
  const result: RawObject = {};
  for (const [name, attribute] of entriesOf(attributes)) {
    const part = given[name];
    // Write-only values are for the handler's eyes: they never leave it, even if it returns them.
    const left = isWriteOnly(attribute);
    result[name] =
      part === undefined || part === null || left
        ? null
        : fromHandler(
            attribute,
            part,
            hintObjects.map((hint) => hint?.[name]),
            [...path, name],
          );
  }
  for (const name in given) {
    if (!(name in attributes)) throw new HandlerValueError([...path, name], "is not in the schema");
  }
  return result;
}

/** One value as Terraform gets it. See {@link objectFromHandler}. */
export function fromHandler(
  attribute: AnyAttribute,
  value: unknown,
  hints: readonly (Raw | undefined)[],
  path: Path,
): Raw {
  if (value === UNKNOWN) return UNKNOWN;
  if (value === null || value === undefined) return null;
  const { kind } = attribute;
  if (kind.shape === "leaf") return leafFromHandler(attribute, kind.form, value, hints, path);
  const convert = (part: unknown, partHints: readonly (Raw | undefined)[], at: Path): Raw => {
    if (kind.shape === "nested") {
      return part === UNKNOWN ? UNKNOWN : objectFromHandler(kind.attributes, part, partHints, at);
    }
    if (part === null || part === undefined) throw new HandlerValueError(at, "must not be null");
    return fromHandler(kind.element, part, partHints, at);
  };
  if (kind.nesting === "single") return convert(value, hints, path);
  if (kind.nesting === "map") {
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new HandlerValueError(path, `must be a map, got ${describe(value)}`);
    }
    const objects = hints.map(asObject);
    const result: RawObject = {};
    for (const [key, part] of Object.entries(value)) {
      if (part === undefined) continue;
      result[key] = convert(
        part,
        objects.map((hint) => hint?.[key]),
        [...path, key],
      );
    }
    return result;
  }
  if (!Array.isArray(value)) throw new HandlerValueError(path, `must be an array, got ${describe(value)}`);
  const lists = hints.filter((hint): hint is Raw[] => Array.isArray(hint));
  return value.map((part: unknown, index) =>
    convert(part, kind.nesting === "set" ? lists.flat() : lists.map((list) => list[index]), [...path, index]),
  );
}

function leafFromHandler(
  attribute: AnyAttribute,
  form: LeafForm,
  value: unknown,
  hints: readonly (Raw | undefined)[],
  path: Path,
): Raw {
  switch (form) {
    case "string":
      if (typeof value !== "string")
        throw new HandlerValueError(path, `must be a string, got ${describe(value)}`);
      return value;
    case "bool":
      if (typeof value !== "boolean")
        throw new HandlerValueError(path, `must be true or false, got ${describe(value)}`);
      return value;
    case "dynamic":
      return dynamicFromHandler(attribute, value, hints, path);
    case "bigint":
      if (typeof value !== "bigint")
        throw new HandlerValueError(path, `must be a bigint, got ${describe(value)}`);
      return exactly(Decimal.of(value));
    case "decimal":
      if (!(value instanceof Decimal))
        throw new HandlerValueError(path, `must be a Decimal, got ${describe(value)}`);
      return exactly(value);
    default:
      if (typeof value !== "number" || !Number.isFinite(value)) {
        throw new HandlerValueError(path, `must be a finite number, got ${describe(value)}`);
      }
      // What Terraform sent for this very double has all the digits; the double may have fewer, even if it is whole.
      return (hints.find((hint) => isNumeric(hint) && Number(hint) === value) as Raw) ?? shortest(value);
  }
}

function isNumeric(raw: Raw | undefined): boolean {
  return typeof raw === "number" || typeof raw === "bigint" || (typeof raw === "string" && raw !== "");
}

/** A number that a handler made is the decimal that it prints as. */
function shortest(value: number): Raw {
  return Number.isSafeInteger(value) ? value : Decimal.of(value).toString();
}

/** Whole numbers that a double holds go as numbers, everything else by its digits: Terraform's numbers are decimal. */
function exactly(decimal: Decimal): Raw {
  const number = decimal.toNumber();
  return Number.isSafeInteger(number) && decimal.isInteger ? number : decimal.toString();
}

function dynamicFromHandler(
  attribute: AnyAttribute,
  value: unknown,
  hints: readonly (Raw | undefined)[],
  path: Path,
): Raw {
  const text = JSON.stringify(value);
  if (text === undefined) throw new HandlerValueError(path, `must be a JSON value, got ${describe(value)}`);
  const same = hints.find(
    (hint) => Array.isArray(hint) && JSON.stringify(toHandler(attribute, hint)) === text,
  );
  if (same !== undefined) return same;
  return [Buffer.from(JSON.stringify(typeOfJson(value)), "utf8"), rawOfJson(value)];
}

function typeOfJson(value: unknown): unknown {
  if (value === null) return "dynamic";
  if (typeof value === "boolean") return "bool";
  if (typeof value !== "object") return typeof value;
  if (Array.isArray(value)) return ["tuple", value.map(typeOfJson)];
  return ["object", Object.fromEntries(Object.entries(value).map(([key, part]) => [key, typeOfJson(part)]))];
}

function rawOfJson(value: unknown): Raw {
  if (typeof value === "number") return exactly(Decimal.of(value));
  if (Array.isArray(value)) return value.map(rawOfJson);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, rawOfJson(part)]));
  }
  return value as Raw;
}

/** The kind of value, never the value: it may be a secret. */
function describe(value: unknown): string {
  if (value === UNKNOWN) return "an unknown value";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Decimal) return "a Decimal";
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
