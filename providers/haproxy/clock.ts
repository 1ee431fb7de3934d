/**
 * The time in HAProxy's tables, whose values have 32 bits: fifths of a second since 2020, good until 2047.
 */
export const TICK_MS = 200;
export const EPOCH_MS = Date.UTC(2020, 0, 1);

/** HAProxy's expression for the present tick. */
export const NOW_EXPRESSION = `date(0,ms),sub(${EPOCH_MS}),div(${TICK_MS})`;

/** The first tick that is not before `ms` since 1970. */
export function tickAt(ms: number): number {
  return Math.ceil((ms - EPOCH_MS) / TICK_MS);
}
