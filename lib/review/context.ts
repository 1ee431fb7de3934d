import { asArray, asObject, asString, type JsonObject, type JsonValue } from "./json";
import type { ConfiguredResource, PlanContext, StandingResource } from "./model";
import { applyMask, type Redactor } from "./secrets";

/** Reads configuration and prior state of a plan's JSON. */
export function planContext(plan: JsonObject, redactor: Redactor): PlanContext {
  const configuration = asObject(plan.configuration);
  const configured: Record<string, ConfiguredResource> = {};
  readModule(asObject(configuration?.root_module), "", configured, redactor);
  return {
    configured,
    providers: providers(plan, configuration, redactor),
    standing: standing(plan, redactor),
  };
}

function readModule(
  module: JsonObject | undefined,
  prefix: string,
  found: Record<string, ConfiguredResource>,
  redactor: Redactor,
): void {
  if (!module) return;
  for (const entry of asArray(module.resources)) {
    const resource = asObject(entry);
    const address = asString(resource?.address);
    if (!resource || address === undefined) continue;
    const references: Record<string, readonly string[]> = {};
    collect(resource.expressions, "", references, redactor);
    found[`${prefix}${address}`] = {
      provider: asString(resource.provider_config_key) ?? "",
      references,
    };
  }
  for (const [name, call] of Object.entries(asObject(module.module_calls) ?? {})) {
    readModule(asObject(asObject(call)?.module), `${prefix}module.${name}.`, found, redactor);
  }
}

/**
 * An expression has `references` or a `constant_value`; all else is a block, or a list of them. In a configuration written as JSON, a
 * text with references in it has both.
 */
function collect(
  value: JsonValue | undefined,
  path: string,
  found: Record<string, readonly string[]>,
  redactor: Redactor,
): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item as JsonValue, path, found, redactor);
    return;
  }
  const object = asObject(value);
  if (!object) return;
  if (path !== "" && Array.isArray(object.references)) {
    const names = asArray(object.references).map((name) => redactor.text(String(name)));
    found[path] = [...(found[path] ?? []), ...names];
    return;
  }
  if (path !== "" && "constant_value" in object) {
    found[path] ??= [];
    return;
  }
  for (const [key, inner] of Object.entries(object)) {
    collect(inner, path === "" ? key : `${path}.${key}`, found, redactor);
  }
}

function providers(
  plan: JsonObject,
  configuration: JsonObject | undefined,
  redactor: Redactor,
): Record<string, { region?: string }> {
  const found: Record<string, { region?: string }> = {};
  for (const [key, entry] of Object.entries(asObject(configuration?.provider_config) ?? {})) {
    const expression = asObject(asObject(asObject(entry)?.expressions)?.region);
    const region = expression?.references
      ? ofVariable(plan, expression)
      : asString(expression?.constant_value);
    found[key] = region === undefined ? {} : { region: redactor.text(region) };
  }
  return found;
}

/** The root module's variable that a setting is, when it is nothing else. */
function ofVariable(plan: JsonObject, expression: JsonObject | undefined): string | undefined {
  const [only, ...others] = asArray(expression?.references).map(String);
  const name = /^var\.([\w-]+)$/.exec(only ?? "")?.[1];
  if (name === undefined || others.length > 0) return undefined;
  return asString(asObject(asObject(plan.variables)?.[name])?.value);
}

function standing(plan: JsonObject, redactor: Redactor): StandingResource[] {
  const changed = new Set(
    asArray(plan.resource_changes).flatMap((entry) => {
      const change = asObject(entry);
      return [asString(change?.address), asString(change?.previous_address)];
    }),
  );
  const found: StandingResource[] = [];
  const read = (module: JsonObject | undefined): void => {
    for (const entry of asArray(module?.resources)) {
      const resource = asObject(entry);
      const address = asString(resource?.address);
      const values = asObject(resource?.values);
      if (!resource || address === undefined || !values || changed.has(address)) continue;
      const masked = asObject(redactor.value(applyMask(values, resource.sensitive_values))) ?? {};
      found.push({
        address: redactor.text(address),
        baseAddress: withoutKeys(address),
        mode: resource.mode === "data" ? "data" : "managed",
        type: asString(resource.type) ?? "unknown",
        values: masked,
      });
    }
    for (const child of asArray(module?.child_modules)) read(asObject(child));
  };
  read(asObject(asObject(asObject(plan.prior_state)?.values)?.root_module));
  return found.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

/** An address without any instance key, its modules' neither: as the configuration has it. */
export function withoutKeys(address: string): string {
  return address.replace(/\[(?:\d+|"(?:[^"\\]|\\.)*")\]/g, "");
}
