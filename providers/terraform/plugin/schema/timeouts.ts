import { formatDuration, parseDurationMs } from "../../../../lib/duration";
import { Attribute, type Leaf, type Nested } from "./attribute";
import { a } from "./builder";

/** The operations that may have a timeout. */
export type TimeoutOperation = "create" | "read" | "update" | "delete";

type TimeoutAttributes<O extends string> = { readonly [N in O]: Attribute<Leaf<string>, "optional"> };

/**
 * The conventional `timeouts` attribute. Put it into a resource's schema under the name `timeouts`: the runtime aborts the
 * operation's `ctx.signal` when the time is over. A change of only this attribute calls no handler.
 *
 * @example timeouts: timeouts({ create: "24h", delete: "1h" })
 * @throws Error if a default is not a duration
 */
export function timeouts<const D extends { readonly [O in TimeoutOperation]?: string }>(
  defaults: D,
): Attribute<Nested<"single", TimeoutAttributes<keyof D & string>>, "optional"> {
  const milliseconds: Record<string, number> = {};
  const attributes: Record<string, Attribute<Leaf<string>, "optional">> = {};
  for (const [operation, text] of Object.entries(defaults) as [string, string][]) {
    const ms = parseDurationMs(text);
    if (ms === undefined) throw new Error(`timeouts: the default of ${operation} is not a duration: ${text}`);
    milliseconds[operation] = ms;
    attributes[operation] = a
      .string()
      .optional()
      .check((given) =>
        parseDurationMs(given) === undefined ? "must be a duration such as 30s, 5m or 1h30m" : undefined,
      )
      .describe(
        `How long ${operation} may take, as a duration such as \`90s\` or \`1h\`. Default: ${formatDuration(ms)}.`,
      );
  }
  return new Attribute(
    {
      shape: "nested",
      nesting: "single",
      attributes: attributes as TimeoutAttributes<keyof D & string>,
    } as const,
    "optional" as const,
  )
    .describe("How long the operations on this resource may take.")
    .with({ timeouts: milliseconds });
}
