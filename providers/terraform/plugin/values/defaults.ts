import { UNKNOWN, type AnyAttribute, type Attributes } from "../schema";
import { fromHandler } from "./from-handler";
import { entriesOf, type Raw, type RawObject } from "./raw";

const defaults = new WeakMap<AnyAttribute, Raw>();

/**
 * The default of an attribute as Terraform gets it; the attributes of a nested default have their own defaults filled in.
 * @throws HandlerValueError if it does not fit its schema
 */
export function defaultOf(attribute: AnyAttribute, name: string): Raw {
  let raw = defaults.get(attribute);
  if (raw === undefined)
    defaults.set(attribute, (raw = filled(attribute, attribute.options.defaultValue, name)));
  return raw;
}

function filled(attribute: AnyAttribute, value: unknown, name: string): Raw {
  const { kind } = attribute;
  if (kind.shape !== "nested" || value === null || typeof value !== "object")
    return fromHandler(attribute, value, [], [name]);
  if (kind.nesting === "single") return filledObject(kind.attributes, value as Record<string, unknown>);
  if (Array.isArray(value))
    return value.map((part) => filledObject(kind.attributes, part as Record<string, unknown>));
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      filledObject(kind.attributes, part as Record<string, unknown>),
    ]),
  );
}

function filledObject(attributes: Attributes, value: Record<string, unknown>): RawObject {
  const result: RawObject = {};
  for (const [name, attribute] of entriesOf(attributes)) {
    const given = value[name];
    if (given !== undefined && given !== null) result[name] = filled(attribute, given, name);
    else if (attribute.mode === "default") result[name] = defaultOf(attribute, name);
    else if (attribute.mode.startsWith("computed") || attribute.mode.startsWith("optionalComputed"))
      result[name] = UNKNOWN;
    else result[name] = null;
  }
  return result;
}
