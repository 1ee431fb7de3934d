import { formatBytes } from "../../../lib/duration";
import type { PartReport } from "../../../lib/image/extents";
import { table } from "../../output";

/** What was found in an image, a line each. */
export function partsTable(parts: readonly PartReport[]): string {
  return table([
    ["OFFSET", "SIZE", "KIND", "TREATED", "IN USE", "WHY"],
    ...parts.map(({ offset, length, kind, treated, inUseBytes, why }) => [
      String(offset),
      formatBytes(length),
      kind,
      treated === "in-use" ? "in use" : "exact",
      formatBytes(inUseBytes),
      why ?? "",
    ]),
  ]);
}
