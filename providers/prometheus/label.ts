import { SpillwayError } from "../../lib/errors";

/** A label's value as PromQL writes it. */
export function quoted(value: string): string {
  return JSON.stringify(value);
}

/** `{a="x", b=~"y"}`; parts that are undefined are left out. */
export function selector(
  parts: Readonly<Record<string, string | undefined>>,
  ...more: readonly string[]
): string {
  const pairs = Object.entries(parts).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${quoted(value)}`],
  );
  return `{${[...pairs, ...more].join(",")}}`;
}

/** A range as PromQL writes it: `30s`. @throws SpillwayError */
export function range(ms: number): string {
  if (Number.isInteger(ms) && ms > 0) return `${ms}ms`;
  throw new SpillwayError({
    place: "a ready-made query",
    problem: `\`overMs\` must be a whole number of milliseconds above 0, got ${ms}`,
    mend: "Take at least two scrape intervals.",
  });
}
