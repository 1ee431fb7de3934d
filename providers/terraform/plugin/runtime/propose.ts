import { UNKNOWN, type AnyAttribute, type Attributes } from "../schema";
import { defaultOf } from "../values/defaults";
import { asObject, entriesOf, sameState, sameValue, type Raw, type RawObject } from "../values/raw";

/**
 * What a resource will be by its schema alone, before the resource's own `modifyPlan`: what the configuration says; else the
 * default; else, for what the provider computes, the prior value - or unknown, if anything changes and the value may too.
 */
export function proposePlan(attributes: Attributes, config: RawObject, prior: RawObject | null): RawObject {
  if (!prior) return propose(attributes, config, null, true);
  const kept = propose(attributes, config, prior, false);
  // Other timeouts for the next operation change nothing about the resource.
  const unchanged = sameState(
    attributes,
    kept,
    prior,
    (attribute) => attribute.options.timeouts !== undefined,
  );
  return unchanged ? kept : propose(attributes, config, prior, true);
}

/** @param open whether computed values are unknown, unless they are kept */
function propose(
  attributes: Attributes,
  config: RawObject,
  prior: RawObject | null,
  open: boolean,
): RawObject {
  const result: RawObject = {};
  for (const [name, attribute] of entriesOf(attributes)) {
    result[name] = proposeValue(
      attribute,
      name,
      config[name] ?? null,
      prior ? (prior[name] ?? null) : undefined,
      open,
    );
  }
  return result;
}

/** @param prior undefined if there was no such object before */
function proposeValue(
  attribute: AnyAttribute,
  name: string,
  config: Raw,
  prior: Raw | undefined,
  open: boolean,
): Raw {
  switch (attribute.mode) {
    case "writeOnly":
    case "requiredWriteOnly":
      return null;
    case "computed":
    case "computedOrNull":
      return proposeComputed(attribute, prior, open);
    case "optionalComputed":
    case "optionalComputedOrNull":
      return config === null
        ? proposeComputed(attribute, prior, open)
        : proposeConfigured(attribute, config, prior, open);
    case "default":
      return proposeConfigured(attribute, config ?? defaultOf(attribute, name), prior, open);
    default:
      return proposeConfigured(attribute, config, prior, open);
  }
}

function proposeComputed(attribute: AnyAttribute, prior: Raw | undefined, open: boolean): Raw {
  if (prior === undefined) return UNKNOWN;
  if (!open) return prior;
  // A null that is kept would be a promise that it stays null.
  return attribute.options.keepPrior && prior !== null ? prior : UNKNOWN;
}

function proposeConfigured(attribute: AnyAttribute, config: Raw, prior: Raw | undefined, open: boolean): Raw {
  const { kind } = attribute;
  if (kind.shape !== "nested" || config === null || config === UNKNOWN) return config;
  const part = (value: Raw, before: Raw | undefined): Raw => {
    const object = asObject(value);
    return object ? propose(kind.attributes, object, asObject(before), open) : value;
  };
  switch (kind.nesting) {
    case "single":
      return part(config, prior);
    case "list": {
      const before = Array.isArray(prior) ? prior : [];
      return (config as Raw[]).map((value, index) => part(value, before[index]));
    }
    case "map": {
      const before = asObject(prior);
      return Object.fromEntries(
        Object.entries(config as RawObject).map(([key, value]) => [key, part(value, before?.[key])]),
      );
    }
    case "set": {
      const left = Array.isArray(prior) ? [...prior] : [];
      return (config as Raw[]).map((value) => part(value, takeMatch(kind.attributes, asObject(value), left)));
    }
  }
}

/** The prior element of a set that the configuration's element still describes. Each is taken once. */
function takeMatch(attributes: Attributes, config: RawObject | null, left: Raw[]): Raw | undefined {
  if (!config) return undefined;
  const at = left.findIndex((candidate) => {
    const object = asObject(candidate);
    return object !== null && sameState(attributes, propose(attributes, config, object, false), object);
  });
  return at < 0 ? undefined : left.splice(at, 1)[0];
}

/** The attributes marked `forceNew()` whose planned value is not the prior one. */
export function forcedReplacements(
  attributes: Attributes,
  planned: RawObject,
  prior: RawObject,
): (string | number)[][] {
  const paths: (string | number)[][] = [];
  const walk = (inner: Attributes, after: RawObject, before: RawObject | null, at: (string | number)[]) => {
    for (const [name, attribute] of entriesOf(inner)) {
      const [one, other] = [after[name] ?? null, before?.[name] ?? null];
      if (sameValue(attribute, one, other)) continue;
      if (attribute.options.forceNew) paths.push([...at, name]);
      else descend(attribute, one, other, [...at, name]);
    }
  };
  const descend = ({ kind }: AnyAttribute, after: Raw, before: Raw, at: (string | number)[]) => {
    if (kind.shape !== "nested" || after === null || after === UNKNOWN) return;
    const visit = (value: Raw, prior: Raw | undefined, path: (string | number)[]) => {
      const object = asObject(value);
      if (object) walk(kind.attributes, object, asObject(prior), path);
    };
    if (kind.nesting === "single") visit(after, before, at);
    else if (kind.nesting === "list") {
      (after as Raw[]).forEach((value, i) =>
        visit(value, Array.isArray(before) ? before[i] : undefined, [...at, i]),
      );
    } else if (kind.nesting === "map") {
      for (const [key, value] of Object.entries(after as RawObject))
        visit(value, asObject(before)?.[key], [...at, key]);
    } else if (entriesOf(kind.attributes).some(([, attribute]) => attribute.options.forceNew)) {
      // Elements of a set have no path of their own.
      paths.push(at);
    }
  };
  walk(attributes, planned, prior, []);
  return paths;
}
