import type { Provider, ProviderFunction } from "../define";
import { isWriteOnly, type AnyAttribute, type Attributes } from "../schema";
import {
  MARKDOWN,
  NESTING,
  type AttributeWire,
  type DraftOf,
  type FunctionSignature,
  type Schema,
} from "../protocol/messages";
import { entriesOf } from "../values/raw";
import { wireTypeOf } from "../values/wire-type";

/** Who gives the value, as the wire says it. Inside something that only the provider gives, everything is. */
export function givenBy(attribute: AnyAttribute, insideComputed: boolean) {
  const { mode } = attribute;
  const required = !insideComputed && (mode === "required" || mode === "requiredWriteOnly");
  const computed = insideComputed || !(required || mode === "optional" || mode === "writeOnly");
  const optional = !insideComputed && !required && mode !== "computed" && mode !== "computedOrNull";
  return { required, optional, computed, writeOnly: isWriteOnly(attribute) };
}

/** Are the attributes below it only given by the provider? */
export function isComputedOnly(attribute: AnyAttribute, insideComputed: boolean): boolean {
  return insideComputed || attribute.mode === "computed" || attribute.mode === "computedOrNull";
}

function attributeWire(name: string, attribute: AnyAttribute, insideComputed: boolean): AttributeWire {
  const { kind, options } = attribute;
  const type =
    kind.shape === "nested"
      ? {
          nestedType: {
            attributes: attributesWire(kind.attributes, isComputedOnly(attribute, insideComputed)),
            nesting: NESTING[kind.nesting],
          },
        }
      : { type: Buffer.from(JSON.stringify(wireTypeOf(attribute))) };
  return {
    name,
    ...type,
    description: options.description,
    descriptionKind: MARKDOWN,
    ...givenBy(attribute, insideComputed),
    sensitive: options.sensitive,
    deprecated: options.deprecated !== undefined,
  };
}

function attributesWire(attributes: Attributes, insideComputed = false): AttributeWire[] {
  return entriesOf(attributes).map(([name, attribute]) => attributeWire(name, attribute, insideComputed));
}

/** A schema as Terraform asks for it. */
export function schemaWire(
  attributes: Attributes,
  about: { readonly description: string; readonly version?: number; readonly deprecated?: string },
): DraftOf<typeof Schema> {
  return {
    version: about.version ?? 0,
    block: {
      attributes: attributesWire(attributes),
      description: about.description,
      descriptionKind: MARKDOWN,
      deprecated: about.deprecated !== undefined,
    },
  };
}

/** A function's signature as Terraform asks for it. Unknown arguments never reach a function. */
export function functionWire(fn: ProviderFunction): DraftOf<typeof FunctionSignature> {
  return {
    parameters: entriesOf(fn.parameters).map(([name, attribute]) => ({
      name,
      type: Buffer.from(JSON.stringify(wireTypeOf(attribute))),
      allowNullValue: attribute.mode === "optional",
      description: attribute.options.description,
      descriptionKind: MARKDOWN,
    })),
    return: { type: Buffer.from(JSON.stringify(wireTypeOf(fn.returns))) },
    summary: fn.summary,
    description: fn.description,
    descriptionKind: MARKDOWN,
  };
}

/** Everything that Terraform wants to know of a provider before it uses it. */
export function providerWire(provider: Provider) {
  const all = <T, R>(parts: Readonly<Record<string, T>>, make: (part: T) => R): Record<string, R> =>
    Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, make(part)]));
  return {
    provider: schemaWire(provider.config, { description: provider.description }),
    resourceSchemas: all(provider.resources, (resource) => schemaWire(resource.schema, resource)),
    dataSourceSchemas: all(provider.dataSources, (source) => schemaWire(source.schema, source)),
    functions: all(provider.functions, functionWire),
  };
}
