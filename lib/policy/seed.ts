import { formatBytes, formatDuration } from "../duration";
import { count } from "./words";

/** What there is to know about an image that a site may go on holding between bursts. Prices are in any one currency. */
export interface SeedQuestion {
  /** Bytes that the site stores. */
  readonly sizeBytes: number;
  /** Bytes that would cross the link without the seed. @default `sizeBytes` */
  readonly coldBytes?: number;
  /** Bytes that cross it with the seed: the last delta. @default 0 */
  readonly warmBytes?: number;
  /** For a GB (10⁹ bytes) over a month. */
  readonly storagePricePerGbMonth: number;
  /** For a GB that crosses the link. @default 0 */
  readonly transferPricePerGb?: number;
  /** Bits per second. */
  readonly linkBps: number;
  /** How long a transfer may take from the decision to burst. */
  readonly leadTimeMs: number;
  /** Observed or expected. */
  readonly burstsPerMonth: number;
  /**
   * What a minute costs in which the cloud is late. Without it, a seed without which the lead time is missed is kept at any price.
   * @default - not known
   */
  readonly lateMinutePrice?: number;
}

/** Whether a seed is worth its keep, and by what. */
export interface SeedVerdict {
  readonly keep: boolean;
  /** One sentence with the figures. */
  readonly reason: string;
  /** Storage, for a month. */
  readonly costPerMonth: number;
  /** Transfers and late minutes that it saves in a month. */
  readonly savedPerMonth: number;
  /** Transfer time that it saves a burst. */
  readonly savedMsPerBurst: number;
  /** How much later than wanted the cloud would be without it, and is with it. */
  readonly lateMsWithout: number;
  readonly lateMsWith: number;
}

/** No link is taken for slower: one without a rate would take for ever. */
const SLOWEST_BPS = 1_000;

/**
 * Keep or drop the seed: what its storage costs a month, against the transfers and the late minutes it saves. A seed that is worth
 * just what it costs is kept.
 * @throws RangeError for a figure that is negative or not a number
 */
export function keepSeed(question: SeedQuestion): SeedVerdict {
  for (const [name, value] of Object.entries(question)) {
    if (value === undefined || (Number.isFinite(value) && value >= 0)) continue;
    throw new RangeError(`${name} of a seed must be 0 or more, got ${value}`);
  }
  const { sizeBytes, linkBps, leadTimeMs, burstsPerMonth, lateMinutePrice } = question;
  const coldBytes = question.coldBytes ?? sizeBytes;
  const warmBytes = Math.min(question.warmBytes ?? 0, coldBytes);
  const [coldMs, warmMs] = [transferMs(coldBytes, linkBps), transferMs(warmBytes, linkBps)];
  const lateMsWithout = Math.max(0, coldMs - leadTimeMs);
  const lateMsWith = Math.max(0, warmMs - leadTimeMs);
  const costPerMonth = (sizeBytes / 1e9) * question.storagePricePerGbMonth;
  const transferSaved = ((coldBytes - warmBytes) / 1e9) * (question.transferPricePerGb ?? 0);
  const lateSaved = ((lateMsWithout - lateMsWith) / 60_000) * (lateMinutePrice ?? 0);
  const savedPerMonth = burstsPerMonth * (transferSaved + lateSaved);
  const isNeeded = lateMinutePrice === undefined && burstsPerMonth > 0 && lateMsWithout > lateMsWith;
  const keep = isNeeded || savedPerMonth >= costPerMonth;
  const figures = {
    costPerMonth,
    savedPerMonth,
    savedMsPerBurst: coldMs - warmMs,
    lateMsWithout,
    lateMsWith,
  };
  return { keep, reason: inWords(question, figures, { keep, isNeeded, coldMs, warmMs }), ...figures };
}

function transferMs(bytes: number, linkBps: number): number {
  return (bytes * 8_000) / Math.max(linkBps, SLOWEST_BPS);
}

function inWords(
  { sizeBytes, leadTimeMs, burstsPerMonth }: SeedQuestion,
  { costPerMonth, savedPerMonth, savedMsPerBurst, lateMsWithout }: Omit<SeedVerdict, "keep" | "reason">,
  about: {
    readonly keep: boolean;
    readonly isNeeded: boolean;
    readonly coldMs: number;
    readonly warmMs: number;
  },
): string {
  const costs = `the seed of ${formatBytes(sizeBytes)} costs ${money(costPerMonth)} a month`;
  const times = `a transfer takes ${formatDuration(about.warmMs)} with it and ${formatDuration(about.coldMs)} without`;
  if (about.isNeeded)
    return `${costs}; ${times}, ${formatDuration(lateMsWithout)} more than the ${formatDuration(leadTimeMs)} wanted: it is kept whatever it costs`;
  const saves = `saves ${formatDuration(savedMsPerBurst)} a burst and, with ${count(burstsPerMonth, "burst")} a month, ${money(savedPerMonth)}`;
  return `${costs} and ${saves}; ${times}: ${about.keep ? "it is worth keeping" : "it is not worth keeping"}`;
}

/** Without a currency: it is the one of the prices given. */
function money(amount: number): string {
  return amount === 0 || amount >= 0.01 ? amount.toFixed(2) : "less than 0.01";
}
