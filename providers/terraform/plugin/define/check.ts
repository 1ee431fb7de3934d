import { isWriteOnly, type AnyAttribute, type Attributes } from "../schema";
import { messageOf } from "../../../../lib/errors";
import { checkValue } from "../runtime/validate";
import { defaultOf } from "../values/defaults";
import type { Provider } from "./provider";
import type { Resource } from "./resource";

const NAME = /^[a-z_][a-z0-9_]*$/;
/** Names that Terraform keeps for itself at the root of a block. */
const RESERVED_IN_RESOURCES = new Set([
  "connection",
  "count",
  "depends_on",
  "for_each",
  "lifecycle",
  "provider",
  "provisioner",
]);
const RESERVED_IN_PROVIDERS = new Set(["alias", "version"]);

/** Every mistake in a provider's schemas that would otherwise be found by Terraform, or by a user. */
export function checkProvider(provider: Provider): string[] {
  const mistakes: string[] = [];
  if (!/^[a-z][a-z0-9-]*$/.test(provider.name)) mistakes.push(`its name is not lower-case: ${provider.name}`);
  checkAttributes("provider", provider.config, mistakes);
  for (const name of Object.keys(provider.config)) {
    if (RESERVED_IN_PROVIDERS.has(name))
      mistakes.push(`provider.${name}: Terraform keeps this name for itself`);
  }
  for (const [type, part] of [
    ...Object.entries(provider.resources),
    ...Object.entries(provider.dataSources),
  ]) {
    if (!type.startsWith(`${provider.name}_`)) mistakes.push(`${type}: must start with ${provider.name}_`);
    if (!part.description) mistakes.push(`${type}: has no description`);
    checkAttributes(type, part.schema, mistakes, part.kind === "resource");
    for (const name of Object.keys(part.schema)) {
      if (RESERVED_IN_RESOURCES.has(name))
        mistakes.push(`${type}.${name}: Terraform keeps this name for itself`);
    }
    if (part.kind === "resource") checkResource(type, part, mistakes);
  }
  for (const [name, fn] of Object.entries(provider.functions)) {
    if (!NAME.test(name)) mistakes.push(`function ${name}: names are lower-case with underscores`);
    if (!fn.description || !fn.summary) mistakes.push(`function ${name}: has no description or no summary`);
    checkAttributes(`function ${name}`, fn.parameters, mistakes);
  }
  return mistakes;
}

function checkResource(type: string, resource: Resource<unknown>, mistakes: string[]): void {
  const version = resource.version ?? 0;
  for (let old = 0; old < version; old += 1) {
    if (!resource.upgrade?.[old]) mistakes.push(`${type}: has version ${version} but no upgrade from ${old}`);
  }
  if (resource.update) return;
  for (const [name, attribute] of Object.entries(resource.schema)) {
    const given = attribute.mode !== "computed" && attribute.mode !== "computedOrNull";
    if (given && !attribute.options.forceNew && !attribute.options.timeouts && !isWriteOnly(attribute)) {
      mistakes.push(`${type}.${name}: can change in place, but there is no update; mark it forceNew()`);
    }
  }
}

function checkAttributes(
  place: string,
  attributes: Attributes,
  mistakes: string[],
  isResource = false,
  insideSet = false,
): void {
  for (const [name, attribute] of Object.entries(attributes)) {
    const where = `${place}.${name}`;
    const { kind, options } = attribute;
    if (!NAME.test(name)) mistakes.push(`${where}: names are lower-case with underscores`);
    if (!options.description) mistakes.push(`${where}: has no description`);
    if (options.timeouts && !(isResource && name === "timeouts")) {
      mistakes.push(`${where}: timeouts belong to a resource, under the name timeouts`);
    }
    if (attribute.mode === "default") checkDefault(where, name, attribute, mistakes);
    if (insideSet && isWriteOnly(attribute)) mistakes.push(`${where}: write-only values cannot be in a set`);
    if (insideSet && kind.shape === "leaf" && kind.form === "dynamic") {
      mistakes.push(`${where}: dynamic values cannot be in a set`);
    }
    if (kind.shape === "nested") {
      checkAttributes(where, kind.attributes, mistakes, false, insideSet || kind.nesting === "set");
    } else if (kind.shape === "collection") {
      checkElement(where, kind.element, mistakes);
    }
  }
}

function checkDefault(where: string, name: string, attribute: AnyAttribute, mistakes: string[]): void {
  try {
    const [problem] = checkValue(attribute, defaultOf(attribute, name), []);
    if (problem) mistakes.push(`${where}: its default does not fit: ${problem.summary}`);
  } catch (thrown) {
    mistakes.push(`${where}: its default does not fit: ${messageOf(thrown)}`);
  }
}

function checkElement(where: string, element: AnyAttribute, mistakes: string[]): void {
  if (element.mode !== "required")
    mistakes.push(`${where}: an element cannot be ${element.mode}; only the collection can`);
  if (element.kind.shape === "nested")
    mistakes.push(`${where}: use nestedList, nestedSet or nestedMap for objects`);
  if (element.kind.shape === "leaf" && element.kind.form === "dynamic") {
    mistakes.push(`${where}: elements cannot be dynamic; make the whole attribute dynamic`);
  }
  if (element.kind.shape === "collection") checkElement(where, element.kind.element, mistakes);
}
