/** Demand at one moment. */
export interface Sample {
  readonly at: number;
  readonly rps: number;
}

export interface Forecast {
  /** Demand now: the median of the last few samples, so that one odd sample counts for nothing. */
  readonly levelRps: number;
  /** Its trend, requests per second, per second. */
  readonly slopePerSecond: number;
  /** How far it was looked ahead, milliseconds: at most as far as there are samples back. */
  readonly horizonMs: number;
  /** Demand expected after `horizonMs`. At least 0, at most {@link MOST_GROWTH} times the level. */
  readonly forecastRps: number;
}

const LEVEL_SAMPLES = 3;
/** Fewer samples make no trend. */
const TREND_SAMPLES = 12;
/** More samples than this are thinned: the trend is a median over all pairs. */
const MOST_SAMPLES = 60;
/** A forecast never says more than this times the demand there is. */
export const MOST_GROWTH = 3;

/**
 * What demand will be `leadTimeMs` from now, by the trend of the samples. The trend is the Theil–Sen slope (the median of the slopes
 * of all pairs): up to 29 % of the samples may be wild without moving it. It must be seen both in all samples and in the last third,
 * and the flatter of the two counts: a step tilts one or the other, never both. A trend is not stretched further ahead than it was seen.
 */
export function forecast(samples: readonly Sample[], leadTimeMs: number): Forecast {
  const usable = samples.filter((sample) => Number.isFinite(sample.at) && Number.isFinite(sample.rps));
  const sorted = [...usable].sort((a, b) => a.at - b.at);
  if (sorted.length === 0) return { levelRps: 0, slopePerSecond: 0, horizonMs: 0, forecastRps: 0 };
  const levelRps = Math.max(0, median(sorted.slice(-LEVEL_SAMPLES).map((sample) => sample.rps)));
  const spanMs = (sorted.at(-1)?.at ?? 0) - (sorted[0]?.at ?? 0);
  const horizonMs = Math.max(0, Math.min(leadTimeMs, spanMs));
  const slopePerSecond =
    sorted.length < TREND_SAMPLES
      ? 0
      : flatter(theilSen(thin(sorted)), theilSen(thin(sorted.slice(-Math.floor(sorted.length / 3)))));
  const raw = levelRps + (slopePerSecond * horizonMs) / 1_000;
  return {
    levelRps,
    slopePerSecond,
    horizonMs,
    forecastRps: Math.min(Math.max(0, raw), levelRps * MOST_GROWTH),
  };
}

function flatter(a: number, b: number): number {
  if (a * b <= 0) return 0;
  return Math.abs(a) < Math.abs(b) ? a : b;
}

function theilSen(samples: readonly Sample[]): number {
  const slopes: number[] = [];
  samples.forEach((later, index) => {
    for (const earlier of samples.slice(0, index)) {
      if (later.at > earlier.at) slopes.push(((later.rps - earlier.rps) * 1_000) / (later.at - earlier.at));
    }
  });
  return slopes.length === 0 ? 0 : median(slopes);
}

/** Keeps the ends, and evenly what is between. */
function thin(samples: readonly Sample[]): readonly Sample[] {
  if (samples.length <= MOST_SAMPLES) return samples;
  const step = (samples.length - 1) / (MOST_SAMPLES - 1);
  return Array.from({ length: MOST_SAMPLES }, (_, index) => samples[Math.round(index * step)] as Sample);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
