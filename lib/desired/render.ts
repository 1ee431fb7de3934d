import { checkParameters } from "./check";
import { parseVariables } from "./parse";
import type { DesiredParameters } from "./parameters";

/**
 * The text of a variable file after some bursts' parameters were set in it. Variables keep their order and, unless they change,
 * their text; a burst whose parameters are already so counts as unchanged, however it is laid out. New ones come last.
 * @param before the present text; undefined for none
 */
export function renderParameters(
  before: string | undefined,
  place: string,
  parameters: Readonly<Record<string, DesiredParameters>>,
): string {
  if (before === undefined || before.trim() === "")
    return layOut(Object.entries(parameters).map(([name, value]) => [name, renderOne(value)]));
  const { root } = parseVariables(before, place);
  const wanted = new Map(Object.entries(parameters));
  let changed = false;
  const entries: [string, string][] = root.members.map(({ key, value }) => {
    const present = before.slice(value.start, value.end);
    const next = wanted.get(key);
    wanted.delete(key);
    if (!next) return [key, present];
    const now = checkParameters(before, place, key, value, undefined, []);
    if (now && sameParameters(now, next)) return [key, present];
    changed = true;
    return [key, renderOne(next)];
  });
  if (wanted.size === 0 && !changed) return before;
  return layOut([
    ...entries,
    ...[...wanted].map(([name, value]): [string, string] => [name, renderOne(value)]),
  ]);
}

/** Are the two the same decision, reason included? */
export function sameParameters(a: DesiredParameters, b: DesiredParameters): boolean {
  return renderOne(a) === renderOne(b);
}

function layOut(entries: readonly (readonly [string, string])[]): string {
  return `{\n${entries.map(([name, value]) => `  ${JSON.stringify(name)}: ${value}`).join(",\n")}\n}\n`;
}

/** Keys in one fixed order and sites sorted, one to a line, so that a decision is a diff of the lines that it changes. */
function renderOne(value: DesiredParameters): string {
  const ordered = {
    burst: value.burst,
    cloud_members: value.cloud_members,
    weights: Object.fromEntries(Object.entries(value.weights).sort(([a], [b]) => (a < b ? -1 : 1))),
    image_digest: value.image_digest,
    reason: value.reason,
  };
  return JSON.stringify(ordered, null, 2).replaceAll("\n", "\n  ");
}
