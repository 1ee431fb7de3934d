/** What the status line shows: the run as it stands. */
export interface Standing {
  readonly demandRps: number;
  /** Members up times what one carries, all sites. */
  readonly capacityRps: number;
  /** Good answers in the last moment, by site; shares are told from them. */
  readonly servedBySite: Readonly<Record<string, number>>;
  readonly sessionsBySite: Readonly<Record<string, number>>;
  readonly failed: number;
  /** Phase or wait, if there is one. */
  readonly now?: string;
}

const BAR_WIDE = 20;

/**
 * One line, at most `columns` wide: time, demand against capacity, share and users by site, failures, phase. What does not fit is left
 * out from the right.
 */
export function statusText(standing: Standing, clock: string, columns: number): string {
  const { demandRps, capacityRps, servedBySite, sessionsBySite } = standing;
  const served = Object.values(servedBySite).reduce((sum, count) => sum + count, 0);
  const sites = [...new Set([...Object.keys(servedBySite), ...Object.keys(sessionsBySite)])];
  const parts = [
    `${clock} ${bar(demandRps, capacityRps)} ${Math.round(demandRps)} of ${Math.round(capacityRps)}/s`,
    `failed ${standing.failed}`,
    ...sites.map((site) => {
      const share = served > 0 ? Math.round(((servedBySite[site] ?? 0) / served) * 100) : 0;
      return `${site} ${share} %, ${Math.round(sessionsBySite[site] ?? 0)} users`;
    }),
    ...(standing.now === undefined ? [] : [standing.now]),
  ];
  let text = "";
  for (const part of parts) {
    const longer = text === "" ? part : `${text} | ${part}`;
    if (longer.length > columns) break;
    text = longer;
  }
  return text === "" ? parts[0].slice(0, Math.max(0, columns)) : text;
}

/** Demand as part of capacity: `[########----]`; full and marked when it is beyond. */
function bar(demandRps: number, capacityRps: number): string {
  const part = capacityRps > 0 ? demandRps / capacityRps : demandRps > 0 ? 2 : 0;
  const full = Math.min(BAR_WIDE, Math.round(part * BAR_WIDE));
  return `[${(part > 1 ? "!" : "#").repeat(full)}${"-".repeat(BAR_WIDE - full)}]`;
}
