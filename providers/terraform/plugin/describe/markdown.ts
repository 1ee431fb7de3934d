import type { Provider, ProviderFunction } from "../define";
import { isWriteOnly, type AnyAttribute, type Attributes } from "../schema";
import { entriesOf } from "../values/raw";
import { wireTypeOf, type WireType } from "../values/wire-type";

/** The documentation of a provider in Markdown, one page by name: `index`, `resources/…`, `data-sources/…`, `functions/…`. */
export function providerMarkdown(provider: Provider): Readonly<Record<string, string>> {
  const pages: Record<string, string> = {};
  pages.index = page(`Provider \`${provider.name}\``, provider.description, argumentsOf(provider.config));
  for (const [type, resource] of Object.entries(provider.resources)) {
    const sections = [argumentsOf(resource.schema), exportsOf(resource.schema)];
    if (resource.importState)
      sections.push(`## Import\n\n\`\`\`sh\nterraform import ${type}.example ID\n\`\`\`\n`);
    pages[`resources/${type}`] = page(`Resource \`${type}\``, resource.description, ...sections);
  }
  for (const [type, source] of Object.entries(provider.dataSources)) {
    pages[`data-sources/${type}`] = page(
      `Data source \`${type}\``,
      source.description,
      argumentsOf(source.schema),
      exportsOf(source.schema),
    );
  }
  for (const [name, fn] of Object.entries(provider.functions)) {
    pages[`functions/${name}`] = functionPage(provider.name, name, fn);
  }
  return pages;
}

function page(title: string, description: string, ...sections: string[]): string {
  return [`# ${title}\n`, `${description}\n`, ...sections.filter((section) => section !== "")].join("\n");
}

function isComputedOnly(attribute: AnyAttribute): boolean {
  return attribute.mode === "computed" || attribute.mode === "computedOrNull";
}

function argumentsOf(attributes: Attributes): string {
  const lines = linesOf(attributes, (attribute) => !isComputedOnly(attribute), 0);
  return lines.length > 0 ? `## Arguments\n\n${lines.join("\n")}\n` : "";
}

function exportsOf(attributes: Attributes): string {
  const lines = linesOf(attributes, isComputedOnly, 0);
  return lines.length > 0 ? `## Attributes\n\n${lines.join("\n")}\n` : "";
}

function linesOf(
  attributes: Attributes,
  which: (attribute: AnyAttribute) => boolean,
  depth: number,
): string[] {
  return entriesOf(attributes)
    .filter(([, attribute]) => which(attribute))
    .flatMap(([name, attribute]) => {
      const { kind, options } = attribute;
      const line = `${"  ".repeat(depth)}- \`${name}\` (${traitsOf(attribute).join(", ")}) ${options.description}`;
      return kind.shape === "nested" ? [line, ...linesOf(kind.attributes, () => true, depth + 1)] : [line];
    });
}

function traitsOf(attribute: AnyAttribute): string[] {
  const { mode, options } = attribute;
  const traits = [typeName(attribute)];
  if (mode === "required" || mode === "requiredWriteOnly") traits.push("required");
  else if (mode === "default")
    traits.push(`default \`${JSON.stringify(options.defaultValue, jsonOfNumbers)}\``);
  else if (!isComputedOnly(attribute)) traits.push("optional");
  if (mode === "optionalComputed" || mode === "optionalComputedOrNull") traits.push("computed if left out");
  if (isWriteOnly(attribute)) traits.push("write-only");
  if (options.forceNew) traits.push("a change replaces the resource");
  if (options.sensitive) traits.push("sensitive");
  if (options.deprecated !== undefined) traits.push(`deprecated: ${options.deprecated}`);
  return traits;
}

function jsonOfNumbers(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

function typeName(attribute: AnyAttribute): string {
  const { kind } = attribute;
  if (kind.shape !== "nested") return typeText(wireTypeOf(attribute));
  return kind.nesting === "single" ? "object" : `${kind.nesting} of objects`;
}

function typeText(type: WireType): string {
  if (typeof type === "string") return type === "dynamic" ? "any" : type;
  const [name, inner] = type;
  return typeof inner === "string" || Array.isArray(inner)
    ? `${name} of ${typeText(inner as WireType)}`
    : name;
}

function functionPage(provider: string, name: string, fn: ProviderFunction): string {
  const parameters = entriesOf(fn.parameters);
  const signature = `provider::${provider}::${name}(${parameters.map(([parameter]) => parameter).join(", ")})`;
  const lines = parameters.map(
    ([parameter, attribute]) =>
      `- \`${parameter}\` (${typeName(attribute)}) ${attribute.options.description}`,
  );
  return page(
    `Function \`${name}\``,
    `${fn.summary}\n\n${fn.description}`,
    `## Signature\n\n\`\`\`text\n${signature} ${typeName(fn.returns)}\n\`\`\`\n`,
    `## Arguments\n\n${lines.join("\n")}\n`,
  );
}
