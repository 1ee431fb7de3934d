/** Buckets that latencies are counted in: three to the octave from 0.5 ms to 32 s, so that a quantile is right within 13 %. */
export const BUCKETS = 48;
const FIRST_US = 500;
const PER_OCTAVE = 3;

/** Where bucket `index` ends, microseconds. The last has no end. */
export function bucketEndUs(index: number): number {
  return Math.round(FIRST_US * 2 ** (index / PER_OCTAVE));
}

/** The rules of a frontend that count an answer by `txn.us`, the microseconds it took, in the counters of slot `counter`. */
export function latencyRules(counter: number): string[] {
  return Array.from({ length: BUCKETS }, (_, index) => {
    // The lower end first: most answers are quick, and fail it.
    const from = index === 0 ? "" : ` { var(txn.us) -m int ge ${bucketEndUs(index - 1)} }`;
    const below = index === BUCKETS - 1 ? "" : ` { var(txn.us) -m int lt ${bucketEndUs(index)} }`;
    return `http-response sc-inc-gpc(${index},${counter}) if${from}${below}`;
  });
}

/** A quantile of counted latencies, milliseconds; 0 when nothing was counted. */
export function quantileMs(counts: readonly number[], share: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  let left = Math.ceil(total * share);
  const index = counts.findIndex((count) => (left -= count) <= 0);
  return Number(((FIRST_US * 2 ** ((index - 0.5) / PER_OCTAVE)) / 1_000).toPrecision(3));
}
