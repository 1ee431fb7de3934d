import type { Path } from "../diagnostic";
import { UNKNOWN, type AnyAttribute, type Attributes } from "../schema";
import { fromHandler, HandlerValueError, objectFromHandler } from "../values/from-handler";
import { asObject, entriesOf, type Raw, type RawObject } from "../values/raw";

/**
 * A finished state of a handler as Terraform gets it.
 * @param complete whether computed values must be there (a state just read may be what a failed create has left)
 * @throws HandlerValueError
 */
export function finishedState(
  what: string,
  attributes: Attributes,
  value: unknown,
  hints: readonly (Raw | undefined)[],
  complete: boolean,
): RawObject {
  const state = objectFromHandler(attributes, value, hints);
  const open = openPaths(attributes, state, complete, []);
  if (open.length > 0) {
    const [first] = open as [Path];
    throw new HandlerValueError(
      first,
      `${what} must give it a value, got ${at(state, first) === null ? "null" : "unknown"}`,
    );
  }
  return state;
}

function at(state: Raw, path: Path): Raw {
  return path.reduce<Raw>((value, step) => (value as RawObject)[step] ?? null, state);
}

function openPaths(attributes: Attributes, object: RawObject, complete: boolean, path: Path): Path[] {
  return entriesOf(attributes).flatMap(([name, attribute]) => {
    const value = object[name] ?? null;
    if (value === null) return complete && mustBeThere(attribute) ? [[...path, name]] : [];
    return openInside(attribute, value, complete, [...path, name]);
  });
}

function mustBeThere({ mode }: AnyAttribute): boolean {
  return mode === "required" || mode === "default" || mode === "computed" || mode === "optionalComputed";
}

function openInside(attribute: AnyAttribute, value: Raw, complete: boolean, path: Path): Path[] {
  if (value === UNKNOWN) return [path];
  const { kind } = attribute;
  if (kind.shape === "leaf" || value === null) return [];
  if (kind.nesting === "single") return openPaths(kind.attributes, asObject(value) ?? {}, complete, path);
  return Object.entries(value).flatMap(([key, part]: [string, Raw]) => {
    const below = [...path, Array.isArray(value) ? Number(key) : key];
    if (part === UNKNOWN) return [below];
    return kind.shape === "collection"
      ? openInside(kind.element, part, complete, below)
      : openPaths(kind.attributes, asObject(part) ?? {}, complete, below);
  });
}

/**
 * The best that can be saved of an operation that did not finish: what the handler says is there, else what was planned, and null
 * for what nobody knows.
 */
export function salvagedState(attributes: Attributes, given: unknown, planned: RawObject): RawObject {
  const values = (given !== null && typeof given === "object" ? given : {}) as Record<string, unknown>;
  const state: RawObject = {};
  for (const [name, attribute] of entriesOf(attributes)) {
    let value = planned[name] ?? null;
    if (values[name] !== undefined) {
      try {
        value = fromHandler(attribute, values[name], [value], [name]);
      } catch {
        // The defect is reported where it was found; here everything else is to be kept.
      }
    }
    state[name] = withoutUnknowns(value);
  }
  return state;
}

function withoutUnknowns(value: Raw): Raw {
  if (value === UNKNOWN) return null;
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.filter((part) => part !== UNKNOWN).map(withoutUnknowns);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withoutUnknowns(part as Raw)]));
}
