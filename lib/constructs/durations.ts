import { Token } from "cdktf";

const UNITS = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/**
 * Milliseconds as the provider's attributes write them: `30s`, `1m30s`, `1500ms`. A token stays one.
 * @internal
 */
export function hclDuration(ms: number): string;
export function hclDuration(ms: number | undefined): string | undefined;
export function hclDuration(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  if (Token.isUnresolved(ms)) return `${Token.asString(ms)}ms`;
  if (ms === 0) return "0s";
  if (ms % 1_000 !== 0) return `${ms}ms`;
  let rest = ms;
  return UNITS.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? `${count}${unit}` : "";
  }).join("");
}
