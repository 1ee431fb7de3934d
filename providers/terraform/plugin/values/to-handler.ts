import { UNKNOWN, type AnyAttribute, type Attributes, type Json } from "../schema";
import { decimalOf, entriesOf, asObject, type Raw, type RawObject } from "./raw";

/** A value as the handlers get it. The schema's own types describe it; here it is only known by its schema. */
export function toHandler(attribute: AnyAttribute, raw: Raw): unknown {
  if (raw === null || raw === UNKNOWN) return raw;
  const { kind } = attribute;
  if (kind.shape === "leaf") return leafToHandler(kind.form, raw);
  if (kind.shape === "collection") {
    const { element } = kind;
    if (element.kind.shape === "leaf" && (element.kind.form === "string" || element.kind.form === "bool")) {
      return Array.isArray(raw) ? [...raw] : { ...(raw as RawObject) };
    }
    return mapParts(raw, (part) => toHandler(element, part));
  }
  if (kind.nesting === "single") return objectToHandler(kind.attributes, raw);
  return mapParts(raw, (part) => objectToHandler(kind.attributes, part));
}

/** An object of a schema as the handlers get it. */
export function objectToHandler(attributes: Attributes, raw: Raw): unknown {
  const object = asObject(raw);
  if (!object) return raw;
  const result: Record<string, unknown> = {};
  for (const [name, attribute] of entriesOf(attributes))
    result[name] = toHandler(attribute, object[name] ?? null);
  return result;
}

function mapParts(raw: Raw, convert: (part: Raw) => unknown): unknown {
  if (Array.isArray(raw)) return raw.map(convert);
  const result: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(raw as RawObject)) result[key] = convert(part);
  return result;
}

function leafToHandler(form: string, raw: Raw): unknown {
  switch (form) {
    case "number":
    case "integer":
      return Number(raw);
    case "bigint": {
      const decimal = decimalOf(raw as number | bigint | string);
      return decimal.isInteger ? decimal.toBigInt() : decimal.toNumber();
    }
    case "decimal":
      return decimalOf(raw as number | bigint | string);
    case "dynamic":
      return dynamicToHandler(raw);
    default:
      return raw;
  }
}

/** A dynamic value comes as its type, in JSON, and its value. */
function dynamicToHandler(raw: Raw): unknown {
  if (!Array.isArray(raw) || !(raw[0] instanceof Uint8Array)) return raw;
  const type = JSON.parse(Buffer.from(raw[0]).toString("utf8")) as unknown;
  return jsonOf(type, raw[1] ?? null);
}

function jsonOf(type: unknown, raw: Raw): Json | typeof UNKNOWN {
  if (raw === null || raw === UNKNOWN) return raw as null | typeof UNKNOWN;
  if (type === "number") return Number(raw);
  if (type === "dynamic") return dynamicToHandler(raw) as Json;
  if (!Array.isArray(type)) return raw as Json;
  const [shape, inner] = type as [string, unknown];
  if (shape === "tuple")
    return (raw as Raw[]).map((part, index) => jsonOf((inner as unknown[])[index], part) as Json);
  if (shape === "list" || shape === "set") return (raw as Raw[]).map((part) => jsonOf(inner, part) as Json);
  return Object.fromEntries(
    Object.entries(raw as RawObject).map(([key, part]) => [
      key,
      jsonOf(shape === "object" ? (inner as Record<string, unknown>)[key] : inner, part) as Json,
    ]),
  );
}
