export interface LeadTimeInput {
  /** Image bytes that the cloud does not hold yet. */
  readonly bytesLeft: number;
  /** Bits per second of the link they cross. */
  readonly linkBps: number;
  /** From launch to up. */
  readonly launchMs: number;
  /** From up to admitted. */
  readonly admissionMs: number;
  /** From the record's change until users follow it. */
  readonly dnsTailMs: number;
}

/** A lead time is never said to be longer: a link without a rate would make it infinite. */
export const LONGEST_LEAD_TIME_MS = 30 * 86_400_000;

/** Milliseconds from the decision to burst until the cloud carries users: cloud capacity is never immediate. */
export function leadTime(input: LeadTimeInput): number {
  const transferMs =
    input.bytesLeft <= 0 ? 0 : input.linkBps > 0 ? (input.bytesLeft * 8_000) / input.linkBps : Infinity;
  return Math.min(transferMs + input.launchMs + input.admissionMs + input.dnsTailMs, LONGEST_LEAD_TIME_MS);
}
