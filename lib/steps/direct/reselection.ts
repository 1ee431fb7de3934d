/** A figure for each site, by name. */
type BySite = Readonly<Record<string, number>>;

/**
 * Which share of each site's users must choose a site anew, so that the weights are reached: the users are distributed as `present`,
 * whoever chooses anew gets a site by the weights `wanted`, whichever he was at. Pure.
 *
 * Of all users a part `m` chooses anew, and site `i` then has `present[i] (1 − f[i]) + m wanted[i]`. That is `wanted[i]` at every
 * site for `f[i] = 1 − r wanted[i] / present[i]` with `r = 1 − m`. No share may be below 0, so the fewest move with the largest `r`
 * for which none is: the smallest `present[i] / wanted[i]`. Of two sites, the one that falls from `1 − c` to `1 − d` lets
 * `(d − c) / (d (1 − c))` choose, which is more than `d − c`, for some of them choose the same site again.
 *
 * A site that comes from nothing has everybody choose, and everybody at a site that leaves does. Where there are three sites or more,
 * one that rises may let users choose as well: without it another that rises further would stay below its weight.
 *
 * @param present users at each site, in any unit; a site that is missing has none
 * @param wanted weights, in any unit; a site that is missing is sent nobody
 * @returns for each site of either, 0 to 1; 0 everywhere when there is nobody, or nowhere to go
 */
export function reselection(present: BySite, wanted: BySite): Record<string, number> {
  const sites = [...new Set([...Object.keys(present), ...Object.keys(wanted)])];
  const here = shares(present, sites);
  const there = shares(wanted, sites);
  const stay = here && there ? Math.min(...there.map((share, at) => ratio(here[at], share))) : undefined;
  return Object.fromEntries(
    sites.map((site, at) => {
      const [from, to] = [here?.[at] ?? 0, there?.[at] ?? 0];
      if (stay === undefined || from === 0) return [site, 0];
      return [site, Math.min(1, Math.max(0, 1 - (stay * to) / from))];
    }),
  );
}

function ratio(present: number, wanted: number): number {
  return wanted > 0 ? present / wanted : Infinity;
}

function shares(figures: BySite, sites: readonly string[]): number[] | undefined {
  const counts = sites.map((site) => (Object.hasOwn(figures, site) ? (figures[site] ?? 0) : 0));
  const sum = counts.reduce((total, count) => total + count, 0);
  return sum > 0 ? counts.map((count) => count / sum) : undefined;
}
