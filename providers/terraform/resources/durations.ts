import { parseDurationMs } from "../../../lib/duration";

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** Milliseconds of an attribute that was checked to be a duration. */
export function ms(text: string): number {
  const value = parseDurationMs(text);
  if (value === undefined) throw new Error(`not a duration: ${text}`);
  return value;
}

/** A duration as an attribute: as it was written before, if it still means the same, else in the usual form (`1m30s`). */
export function durationText(value: number, before?: string | null): string {
  if (before != null && parseDurationMs(before) === value) return before;
  if (value < 1_000 || value % 1 !== 0) return `${value}ms`;
  let rest = value;
  return UNITS.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? `${count}${unit}` : "";
  }).join("");
}

/** The prior text where the planned one means the same: `90s` for `1m30s` is no change. */
export function sameDuration<T>(planned: T, prior: string | null | undefined): T | string {
  if (typeof planned !== "string" || prior == null) return planned;
  const value = parseDurationMs(planned);
  return value !== undefined && value === parseDurationMs(prior) ? prior : planned;
}
