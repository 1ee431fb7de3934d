import { Token } from "cdktf";
import { rule } from "../../../lib/constructs/validate";
import type { Rule } from "../../../lib/constructs/validate";

/** Tags by key. */
export type AwsTags = Readonly<Record<string, string>>;

/** AWS's limits on tags of a resource. */
export function tagRules(tags: AwsTags | undefined): readonly Rule[] {
  if (tags === undefined || Token.isUnresolved(tags)) return [];
  const keys = Object.keys(tags);
  return [
    rule(
      keys.length <= 48,
      "tags",
      `must be at most 48, got ${keys.length}`,
      "AWS takes 50, of which two are Name and the burst's own.",
    ),
    ...keys.map((key) =>
      rule(
        key.length >= 1 && key.length <= 128 && !/^aws:/i.test(key),
        "tags",
        `must not hold the key ${JSON.stringify(key)}`,
        "Keys have 1 to 128 characters and do not begin with aws:.",
      ),
    ),
    ...Object.entries(tags).map(([key, value]) =>
      rule(
        Token.isUnresolved(value) || value.length <= 256,
        "tags",
        `must have values of at most 256 characters, got ${value.length} for ${JSON.stringify(key)}`,
        "Shorten it.",
      ),
    ),
  ];
}
