import type { Provider, ProviderFunction } from "../define";
import type { AnyAttribute, Attributes } from "../schema";
import { entriesOf } from "../values/raw";
import { wireTypeOf } from "../values/wire-type";
import { givenBy, isComputedOnly } from "./wire-schema";

/** A JSON object, as `terraform providers schema -json` writes them. */
export type SchemaJson = { readonly [name: string]: unknown };

/** The whole document: one provider, by source address. */
export interface ProviderSchemaDocument {
  readonly format_version: "1.0";
  readonly provider_schemas: { readonly [source: string]: SchemaJson };
}

function attributeJson(attribute: AnyAttribute, insideComputed: boolean): SchemaJson {
  const { kind, options } = attribute;
  const { required, optional, computed, writeOnly } = givenBy(attribute, insideComputed);
  return {
    ...(kind.shape === "nested"
      ? {
          nested_type: {
            attributes: attributesJson(kind.attributes, isComputedOnly(attribute, insideComputed)),
            nesting_mode: kind.nesting,
          },
        }
      : { type: wireTypeOf(attribute) }),
    description: options.description,
    description_kind: "markdown",
    ...(options.deprecated === undefined ? {} : { deprecated: true }),
    ...(required ? { required } : {}),
    ...(optional ? { optional } : {}),
    ...(computed ? { computed } : {}),
    ...(options.sensitive ? { sensitive: true } : {}),
    ...(writeOnly ? { write_only: true } : {}),
  };
}

function attributesJson(attributes: Attributes, insideComputed = false): SchemaJson {
  return Object.fromEntries(
    [...entriesOf(attributes)]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, attribute]) => [name, attributeJson(attribute, insideComputed)]),
  );
}

function schemaJson(
  attributes: Attributes,
  about: { readonly description: string; readonly version?: number; readonly deprecated?: string },
): SchemaJson {
  return {
    version: about.version ?? 0,
    block: {
      attributes: attributesJson(attributes),
      description: about.description,
      description_kind: "markdown",
      ...(about.deprecated === undefined ? {} : { deprecated: true }),
    },
  };
}

function functionJson(fn: ProviderFunction): SchemaJson {
  return {
    description: fn.description,
    summary: fn.summary,
    return_type: wireTypeOf(fn.returns),
    parameters: entriesOf(fn.parameters).map(([name, attribute]) => ({
      name,
      description: attribute.options.description,
      ...(attribute.mode === "optional" ? { is_nullable: true } : {}),
      type: wireTypeOf(attribute),
    })),
  };
}

/**
 * What `terraform providers schema -json` says of this provider, without Terraform: bindings and documentation are made of it.
 * @param source the provider's address: `registry.terraform.io/acme/shop`
 */
export function providerSchemaJson(provider: Provider, source: string): ProviderSchemaDocument {
  const all = <T>(parts: Readonly<Record<string, T>>, make: (part: T) => SchemaJson): SchemaJson =>
    Object.fromEntries(
      Object.entries(parts)
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([name, part]) => [name, make(part)]),
    );
  const some = (name: string, parts: SchemaJson): SchemaJson =>
    Object.keys(parts).length > 0 ? { [name]: parts } : {};
  return {
    format_version: "1.0",
    provider_schemas: {
      [source]: {
        provider: schemaJson(provider.config, { description: provider.description }),
        ...some(
          "resource_schemas",
          all(provider.resources, (resource) => schemaJson(resource.schema, resource)),
        ),
        ...some(
          "data_source_schemas",
          all(provider.dataSources, (part) => schemaJson(part.schema, part)),
        ),
        ...some("functions", all(provider.functions, functionJson)),
      },
    },
  };
}
