/** Demand: [milliseconds, requests a second], straight between the points. */
export const CURVE = [
  [0, 120],
  [10_000, 120],
  [13_000, 450],
  [38_000, 450],
  [41_000, 120],
];
/** Both watch for the same: more than 0.8 of what home carries, and less than half of it for 3 s. */
export const HOME_RPS = 400;
export const BURST_ABOVE_RPS = 320;
export const HOME_BELOW_RPS = 200;
export const HOME_AFTER_MS = 3_000;
export const LOOK_EVERY_MS = 500;
export const RECORD_TTL_SECONDS = 2;

/** A resolver that ignores the TTL keeps an answer for so long. */
export const TTL_IGNORED_MS = 12_000;
/** Unanswered for so long is failed. */
export const TIMEOUT_MS = 10_000;

/** When demand first was more than home should carry, in milliseconds of the curve. */
export const BREACH_MS = risesAbove(BURST_ABOVE_RPS);
export const FALL_MS = 38_000;
export const LOW_MS = 41_000;

function risesAbove(rate) {
  const after = CURVE.findIndex(([, value]) => value > rate);
  const [[fromMs, from], [toMs, to]] = [CURVE[after - 1], CURVE[after]];
  return Math.round(fromMs + ((rate - from) / (to - from)) * (toMs - fromMs));
}
