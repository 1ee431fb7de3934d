type Schema = Readonly<Record<string, unknown>>;

/**
 * Holds a value against a schema: the part of JSON Schema 2020-12 that `lib/site/openapi.yaml` uses. A keyword that it does not
 * know is a finding, so that nothing passes unjudged.
 * @returns what is wrong, each with its place
 */
export function judge(value: unknown, schema: Schema, document: Schema, at = "$"): string[] {
  const found: string[] = [];
  for (const [keyword, wanted] of Object.entries(schema)) {
    const rule = RULES[keyword];
    if (!rule) found.push(`${at}: the schema's keyword ${keyword} is not known here`);
    else found.push(...rule({ value, wanted, schema, document, at }));
  }
  return found;
}

interface Look {
  readonly value: unknown;
  readonly wanted: unknown;
  readonly schema: Schema;
  readonly document: Schema;
  readonly at: string;
}

const RULES: Readonly<Record<string, (look: Look) => string[]>> = {
  description: () => [],
  default: () => [],
  $ref: ({ value, wanted, document, at }) => judge(value, resolve(String(wanted), document), document, at),
  type: ({ value, wanted, at }) =>
    [wanted].flat().some((type) => isOf(value, type))
      ? []
      : [`${at}: ${JSON.stringify(value)} is no ${wanted}`],
  enum: ({ value, wanted, at }) =>
    (wanted as unknown[]).includes(value) ? [] : [`${at}: ${JSON.stringify(value)} is none of ${wanted}`],
  pattern: ({ value, wanted, at }) =>
    typeof value !== "string" || new RegExp(String(wanted)).test(value) ? [] : [`${at}: not like ${wanted}`],
  minimum: ({ value, wanted, at }) =>
    typeof value !== "number" || value >= (wanted as number) ? [] : [`${at}: ${value} below ${wanted}`],
  maximum: ({ value, wanted, at }) =>
    typeof value !== "number" || value <= (wanted as number) ? [] : [`${at}: ${value} above ${wanted}`],
  maxLength: ({ value, wanted, at }) =>
    typeof value !== "string" || value.length <= (wanted as number) ? [] : [`${at}: longer than ${wanted}`],
  minItems: ({ value, wanted, at }) =>
    !Array.isArray(value) || value.length >= (wanted as number) ? [] : [`${at}: fewer than ${wanted}`],
  maxItems: ({ value, wanted, at }) =>
    !Array.isArray(value) || value.length <= (wanted as number) ? [] : [`${at}: more than ${wanted}`],
  items: ({ value, wanted, document, at }) =>
    Array.isArray(value)
      ? value.flatMap((item, index) => judge(item, wanted as Schema, document, `${at}[${index}]`))
      : [],
  required: ({ value, wanted, at }) =>
    isOf(value, "object")
      ? (wanted as string[]).filter((name) => !(name in (value as object))).map((name) => `${at}: no ${name}`)
      : [],
  properties: ({ value, wanted, document, at }) =>
    isOf(value, "object")
      ? Object.entries(wanted as Record<string, Schema>).flatMap(([name, schema]) =>
          name in (value as object)
            ? judge((value as Record<string, unknown>)[name], schema, document, `${at}.${name}`)
            : [],
        )
      : [],
  additionalProperties: ({ value, wanted, schema, document, at }) => {
    if (!isOf(value, "object")) return [];
    const known = Object.keys((schema.properties ?? {}) as object);
    return Object.entries(value as object)
      .filter(([name]) => !known.includes(name))
      .flatMap(([name, member]) =>
        wanted === false
          ? [`${at}: ${name} is not known`]
          : judge(member, wanted as Schema, document, `${at}.${name}`),
      );
  },
};

/** What a `$ref` within the document points to. */
export function resolve(reference: string, document: Schema): Schema {
  let here: unknown = document;
  for (const part of reference.replace(/^#\//, "").split("/"))
    here = (here as Record<string, unknown>)?.[part];
  if (typeof here !== "object" || here === null) throw new Error(`${reference} points to nothing`);
  return here as Schema;
}

function isOf(value: unknown, type: unknown): boolean {
  switch (type) {
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
