/** A figure for each site, by name. */
export type BySite = Readonly<Record<string, number>>;

/**
 * Splits users over sites: whole weights that add up to 100, in proportion to `capacity × health × performance`, by the largest
 * remainder. No weight is further than 1 from its exact share, and a site with a higher score never has the lower weight.
 *
 * A site whose share is 0, or rounds to 0, is left out: weight 0 is not out of service (several global balancers still answer
 * with it). The result is `{}` when no site has any share. Sites are in the order of their names; ties go to the first.
 *
 * @param capacity what each site can carry, in any unit; only sites named here take part
 * @param health 0 (down) to 1 (all up), missing for 1
 * @param performance a factor for how well a site serves its users, missing for 1
 * @throws RangeError for a figure that is negative or not a number
 */
export function split(
  capacity: BySite,
  health: BySite = {},
  performance: BySite = {},
): Record<string, number> {
  const sites = Object.keys(capacity).sort();
  const factors = [
    factor("capacity", capacity, sites),
    factor("health", health, sites),
    factor("performance", performance, sites),
  ];
  const scores = sites.map((_, at) => factors.reduce((product, of) => product * (of[at] ?? 0), 1));
  const sum = scores.reduce((total, score) => total + score, 0);
  if (sum === 0) return {};
  const exact = scores.map((score) => (score / sum) * 100);
  const weights = exact.map(Math.floor);
  let left = 100 - weights.reduce((total, weight) => total + weight, 0);
  const byRemainder = sites
    .map((_, at) => ({ at, remainder: (exact[at] ?? 0) - (weights[at] ?? 0), score: scores[at] ?? 0 }))
    .filter(({ score }) => score > 0)
    .sort((one, other) => other.remainder - one.remainder || other.score - one.score || one.at - other.at);
  for (const { at } of byRemainder) {
    if (left <= 0) break;
    weights[at] = (weights[at] ?? 0) + 1;
    left -= 1;
  }
  return Object.fromEntries(
    sites.flatMap((site, at) => ((weights[at] ?? 0) > 0 ? [[site, weights[at] ?? 0] as const] : [])),
  );
}

/** The figures of the sites taking part, scaled to at most 1 so that products neither overflow nor depend on the unit. */
function factor(name: string, figures: BySite, sites: readonly string[]): number[] {
  const values = sites.map((site) => {
    const value = Object.hasOwn(figures, site) ? figures[site] : 1;
    if (value === undefined || !Number.isFinite(value) || value < 0) {
      throw new RangeError(`${name} of site "${site}" must be 0 or more, got ${value}`);
    }
    return value;
  });
  const largest = Math.max(0, ...values);
  return largest > 0 ? values.map((value) => value / largest) : values;
}
