/**
 * The time in HAProxy's tables, whose values have 32 bits: milliseconds since 1970, of which the upper bits are gone. Two of them are
 * compared by their difference, as serial numbers are (RFC 1982): right for moments less than 24 days apart.
 */
const MODULUS = 2 ** 32;

/** HAProxy's expression for the present time. */
export const NOW_EXPRESSION = `date(0,ms),mod(${MODULUS})`;

/** A condition of HAProxy: the moment `earlier` (an expression) is before the moment in the variable `later`, or is it. */
export function notAfter(earlier: string, later: string): string {
  return `{ ${sinceThen(earlier, later)} lt ${MODULUS / 2} }`;
}

/** HAProxy's expression for the milliseconds from the moment `earlier` (an expression) to the one in the variable `later`. */
export function sinceThen(earlier: string, later: string): string {
  return `${earlier},neg,add(${later}),add(${MODULUS}),mod(${MODULUS})`;
}

/** A moment as tables hold it; never 0, which stands for none. */
export function tickAt(ms: number): number {
  return Math.round(ms) % MODULUS || 1;
}
