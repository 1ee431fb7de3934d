import type { PolicyState } from "../policy";
import { SiteDirectory } from "../site/client";
import { ShiftAhead } from "../steps";
import type { BurstManifest, BurstPolicy } from "./manifest";

/** Caches get that many TTLs to forget answers with the higher one. */
const TTLS_AHEAD = 2;

/** Lowers the TTL of the burst's record at its name server; undefined when no agent has it. */
export function shiftAheadOf({ record, sites }: BurstManifest, signal: AbortSignal): ShiftAhead | undefined {
  const { nameServerSite } = record;
  // Whose DNS is the platform's has nobody who could lower it.
  if (nameServerSite === undefined) return undefined;
  const directory = new SiteDirectory({ [nameServerSite]: sites[nameServerSite] });
  return new ShiftAhead(directory, { signal, progress: () => undefined });
}

/** Are users about to be shifted: out, as soon as demand is seen too high, or home, as soon as it was low for nearly long enough? */
export function isShiftForeseen(
  state: Pick<PolicyState, "phase" | "above" | "belowSince">,
  policy: Pick<BurstPolicy, "homeAfterMs">,
  ttlSeconds: number,
  now: number,
): boolean {
  switch (state.phase) {
    case "quiet":
      return state.above > 0;
    case "bursting":
    case "homing":
      return true;
    case "burst":
      return (
        state.belowSince !== undefined &&
        now - state.belowSince >= policy.homeAfterMs - TTLS_AHEAD * 1_000 * ttlSeconds
      );
  }
}
