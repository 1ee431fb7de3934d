/** Latencies until here are those of a cold machine. */
const QUIET_FROM_MS = 3_000;
const QUIET_UNTIL_MS = 10_000;
const SECOND_MS = 1_000;
/** Balance is restored when so many seconds in a row are good. */
const GOOD_SECONDS = 3;
/** Users get so long to follow a shift. */
const SHIFT_MS = 10_000;
/** A share is only told of at least so long, at most of so long. */
const SHARE_WINDOW_MS = [3_000, 10_000];

/**
 * The figures of one run. Pure.
 * @param {object} run
 * @param {{atMs, offered, failed, sites}[]} run.buckets quarter seconds; `sites`: latencies of good answers by site
 * @param {{atMs: number, weights: Record<string, number>}[]} run.shifts what the name server answered from when on
 * @param {string} run.cloud the name of the site
 * @param {number} run.breachMs when demand first was too much for home
 * @param {number} run.fallMs when demand began to fall
 */
export function figuresOf({ buckets, shifts, cloud, breachMs, fallMs }) {
  const atCloud = buckets.filter(({ sites }) => (sites[cloud]?.length ?? 0) > 0);
  const after = (bucket) => (bucket === undefined ? undefined : Math.max(0, bucket.atMs - breachMs));
  const quietP95Ms = p95(buckets.filter(({ atMs }) => atMs >= QUIET_FROM_MS && atMs < QUIET_UNTIL_MS));
  const first = after(atCloud[0]);
  return {
    firstCloudMs: first,
    balancedMs:
      first === undefined
        ? undefined
        : balancedAfter(buckets, quietP95Ms, breachMs, breachMs + first, fallMs),
    homeMs: after(atCloud.at(-1)),
    shareErrorPct: shareError(buckets, shifts, cloud, fallMs),
    quietP95Ms,
    holdP95Ms: p95(buckets.filter(({ atMs }) => atMs >= fallMs - SHIFT_MS && atMs < fallMs)),
    worstP95Ms: Math.max(...seconds(buckets).map(({ p95Ms }) => p95Ms)),
  };
}

/** The beginning of the first good seconds in a row since the first user was served by the cloud. */
function balancedAfter(buckets, quietP95Ms, breachMs, fromMs, untilMs) {
  const all = seconds(buckets).filter(({ atMs }) => atMs + SECOND_MS > fromMs && atMs < untilMs);
  const isGood = ({ p95Ms }) => p95Ms < 2 * quietP95Ms;
  const at = all.findIndex(
    (_, i) => i + GOOD_SECONDS <= all.length && all.slice(i, i + GOOD_SECONDS).every(isGood),
  );
  return at === -1 ? undefined : Math.max(0, all[at].atMs - breachMs);
}

/** The worst of all shifts by which the cloud got users: how far its share was from its weight, in points, from 10 s after it on. */
function shareError(buckets, shifts, cloud, fallMs) {
  const errors = shifts.flatMap(({ atMs, weights }, i) => {
    const fromMs = atMs + SHIFT_MS;
    const untilMs = Math.min(shifts[i + 1]?.atMs ?? Infinity, fallMs, fromMs + SHARE_WINDOW_MS[1]);
    if (!(weights[cloud] > 0) || untilMs - fromMs < SHARE_WINDOW_MS[0]) return [];
    const share = shareOf(
      buckets.filter((bucket) => bucket.atMs >= fromMs && bucket.atMs < untilMs),
      cloud,
    );
    return [Math.abs(share - weights[cloud])];
  });
  return errors.length === 0 ? undefined : round(Math.max(...errors));
}

function shareOf(buckets, site) {
  const count = (of) => buckets.reduce((sum, { sites }) => sum + of(sites), 0);
  const all = count((sites) => Object.values(sites).reduce((sum, { length }) => sum + length, 0));
  return (100 * count((sites) => sites[site]?.length ?? 0)) / all;
}

function seconds(buckets) {
  const bySecond = new Map();
  for (const bucket of buckets) {
    const atMs = Math.floor(bucket.atMs / SECOND_MS) * SECOND_MS;
    if (!bySecond.has(atMs)) bySecond.set(atMs, []);
    bySecond.get(atMs).push(bucket);
  }
  return [...bySecond].map(([atMs, some]) => ({ atMs, p95Ms: p95(some) }));
}

/** Nearest rank; 0 of none. */
function p95(buckets) {
  const all = buckets.flatMap(({ sites }) => Object.values(sites).flat()).sort((one, other) => one - other);
  return all.length === 0 ? 0 : round(all[Math.ceil(0.95 * all.length) - 1]);
}

function round(value) {
  return Math.round(value * 10) / 10;
}
