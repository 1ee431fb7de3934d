import { asArray, asObject, type JsonObject, type JsonValue } from "./json";
import { SENSITIVE } from "./model";

/**
 * Shorter masked strings are replaced only where they are the whole value: inside longer text they would hit by chance.
 */
const SHORTEST_INNER_SECRET = 6;

/**
 * Everything secret in a plan. A provider can copy a masked input into an attribute without a mask, so a mask is not enough: every
 * string that is masked anywhere is kept out everywhere.
 */
export class Redactor {
  private readonly whole: ReadonlySet<string>;
  private readonly inner: readonly string[];

  constructor(secrets: Iterable<string>) {
    this.whole = new Set([...secrets].filter((secret) => secret !== ""));
    this.inner = [...this.whole]
      .filter((secret) => secret.length >= SHORTEST_INNER_SECRET)
      .sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  }

  text(text: string): string {
    if (this.whole.has(text)) return SENSITIVE;
    let result = text;
    for (const secret of this.inner) result = result.replaceAll(secret, SENSITIVE);
    return result;
  }

  value(value: JsonValue): JsonValue {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.value(item as JsonValue));
    const object = asObject(value);
    if (!object) return value;
    return Object.fromEntries(
      Object.entries(object).map(([key, inner]) => [this.text(key), this.value(inner)]),
    );
  }
}

/** `value` with everything masked by `mask` (Terraform's `*_sensitive`) replaced. */
export function applyMask(value: JsonValue, mask: JsonValue | undefined): JsonValue {
  if (mask === true) return SENSITIVE;
  if (Array.isArray(value)) {
    const masks = asArray(mask);
    return value.map((item, index) => applyMask(item as JsonValue, masks[index]));
  }
  const object = asObject(value);
  const masks = asObject(mask);
  if (!object || !masks) return value;
  return Object.fromEntries(
    Object.entries(object).map(([key, inner]) => [key, applyMask(inner, masks[key])]),
  );
}

/** Every string masked anywhere in the plan. */
export function secretsOf(plan: JsonObject): Set<string> {
  const found = new Set<string>();
  for (const key of ["resource_changes", "resource_drift"]) {
    for (const entry of asArray(plan[key])) collectChange(asObject(entry)?.change, found);
  }
  for (const entry of asArray(plan.deferred_changes)) {
    collectChange(asObject(asObject(entry)?.resource_change)?.change, found);
  }
  for (const change of Object.values(asObject(plan.output_changes) ?? {})) collectChange(change, found);
  collectState(asObject(plan.planned_values), found);
  collectState(asObject(asObject(plan.prior_state)?.values), found);
  collectVariables(plan, found);
  return found;
}

function collectChange(change: JsonValue | undefined, found: Set<string>): void {
  const object = asObject(change);
  if (!object) return;
  collectMasked(object.before, object.before_sensitive, found);
  collectMasked(object.after, object.after_sensitive, found);
}

function collectState(values: JsonObject | undefined, found: Set<string>): void {
  if (!values) return;
  for (const output of Object.values(asObject(values.outputs) ?? {})) {
    const object = asObject(output);
    if (object?.sensitive === true) collectStrings(object.value, found);
  }
  collectModule(asObject(values.root_module), found);
}

function collectModule(module: JsonObject | undefined, found: Set<string>): void {
  if (!module) return;
  for (const resource of asArray(module.resources)) {
    const object = asObject(resource);
    collectMasked(object?.values, object?.sensitive_values, found);
  }
  for (const child of asArray(module.child_modules)) collectModule(asObject(child), found);
}

function collectVariables(plan: JsonObject, found: Set<string>): void {
  const declared = asObject(asObject(asObject(plan.configuration)?.root_module)?.variables);
  const values = asObject(plan.variables);
  for (const [name, declaration] of Object.entries(declared ?? {})) {
    if (asObject(declaration)?.sensitive === true) collectStrings(asObject(values?.[name])?.value, found);
  }
}

function collectMasked(value: JsonValue | undefined, mask: JsonValue | undefined, found: Set<string>): void {
  if (mask === true) return collectStrings(value, found);
  if (Array.isArray(value)) {
    const masks = asArray(mask);
    value.forEach((item, index) => collectMasked(item as JsonValue, masks[index], found));
    return;
  }
  const object = asObject(value);
  const masks = asObject(mask);
  if (object && masks) {
    for (const [key, inner] of Object.entries(object)) collectMasked(inner, masks[key], found);
  }
}

function collectStrings(value: JsonValue | undefined, found: Set<string>): void {
  if (typeof value === "string") found.add(value);
  else if (Array.isArray(value)) value.forEach((item) => collectStrings(item as JsonValue, found));
  else Object.values(asObject(value) ?? {}).forEach((item) => collectStrings(item, found));
}
