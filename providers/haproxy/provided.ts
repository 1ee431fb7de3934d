import { poolNames } from "./names";
import type { StatRow } from "./parse";
import type { SavedPool } from "./saved-pools";
import type { HaproxySettings } from "./settings";
import { stanzaNumber } from "./stanza";

/** How the pools' stanzas that a HAProxy runs differ from those that it should. */
export interface StanzaDifference {
  /** Pools without one. */
  readonly missing: readonly SavedPool[];
  /** Pools whose stanza is of other settings. */
  readonly outdated: readonly SavedPool[];
  /** Backends of pools that are not asked for. */
  readonly surplus: readonly string[];
}

/** Compares the rows of `show stat` with what should run. Pure. */
export function compareStanzas(
  rows: readonly StatRow[],
  pools: readonly SavedPool[],
  settings: HaproxySettings,
): StanzaDifference {
  const running = new Map(
    rows
      .filter(({ proxy, name }) => name === "BACKEND" && /^spillway\.[^.]+\.members$/.test(proxy))
      .map((row) => [row.proxy, row.number("iid")]),
  );
  const missing: SavedPool[] = [];
  const outdated: SavedPool[] = [];
  for (const pool of pools) {
    const number = running.get(poolNames(pool.spec.name).backend);
    if (number === undefined) missing.push(pool);
    else if (number !== stanzaNumber(pool.spec, settings)) outdated.push(pool);
  }
  const wanted = new Set(pools.map(({ spec }) => poolNames(spec.name).backend));
  return { missing, outdated, surplus: [...running.keys()].filter((proxy) => !wanted.has(proxy)) };
}
