import { formatDuration } from "../duration";
import type { DecisionFigures } from "./decision";

/** `412 rps`, `3.5 rps` */
export function rps(value: number): string {
  return `${value >= 10 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} rps`;
}

/** `132 %`; with digits, `80.4 %`. */
export function percent(value: number, digits = 0): string {
  return `${Number((value * 100).toFixed(digits))} %`;
}

/** `1 cloud member`, `3 cloud members` */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** `cloud 60, onprem 40` */
export function weightsText(weights: Readonly<Record<string, number>>): string {
  return Object.entries(weights)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([site, weight]) => `${site} ${weight}`)
    .join(", ");
}

/**
 * The figures of a decision, and how the utilisation compares with a limit: `demand 412 rps, …: 103 % > 80 %`. Whole percent, but for
 * figures that would then look the same.
 */
export function judged(
  figures: DecisionFigures,
  relation: ">" | "<" | "is not above" | "is not below",
  limit: number,
): string {
  const { demandRps, forecastRps, leadTimeMs, onPremCapacityRps, utilisation } = figures;
  const needs = `demand ${rps(demandRps)}, forecast ${rps(forecastRps)} in ${formatDuration(leadTimeMs)}, on-premises capacity ${rps(onPremCapacityRps)}`;
  if (onPremCapacityRps <= 0) return `${needs}: no member up${utilisation > 0 ? "" : " and no demand"}`;
  const digits = [0, 1, 2].find((each) => percent(utilisation, each) !== percent(limit, each)) ?? 2;
  return `${needs}: ${percent(utilisation, digits)} ${relation} ${percent(limit, digits)}`;
}
