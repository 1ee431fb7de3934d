/** What was seen of a link since the transfer began. */
export interface LinkSample {
  /** Milliseconds, of a clock that never goes back. */
  readonly atMs: number;
  /** Bytes that the far side's system has acknowledged, in all. */
  readonly deliveredBytes: number;
  /** Bytes that were handed over and are not acknowledged. */
  readonly unacknowledgedBytes: number;
  /** The rate held something back since the sample before: else nothing is learnt of what the link takes. */
  readonly wasHeld: boolean;
  /** The time that a byte takes there and its acknowledgement back while nothing else is under way. @default - the least that was seen */
  readonly roundTripMs?: number;
  /** The link itself loses some: see {@link isLossy}. @default false */
  readonly isLossy?: boolean;
}

/** The rate that a link is given, and what has been learnt of it. */
export interface LinkRate {
  /** Bits per second; undefined: as fast as it goes. */
  readonly bps?: number;
  /** Looking for what it takes, or staying there. */
  readonly phase: "search" | "hold";
  /** The last samples. */
  readonly recent: readonly LinkSample[];
  /** What it took, bits per second, each averaged over some samples: of the last in which something was held back. */
  readonly rates: readonly number[];
  /** The shortest time that a byte was under way. */
  readonly leastDelayMs: number;
  /** Samples of the search in which it took less than it was given, or queued. */
  readonly full: number;
  /** It was seen to queue since it is held. */
  readonly hasQueued: boolean;
}

const FIRST_BPS = 50e6;
/** Twice at a time would overflow a queue of one round trip before the first is acknowledged. */
const SEARCH_GAIN = 1.5;
/** It takes less than this share of what it is given: then it is full. */
const TAKES = 0.8;
const FULL_SAMPLES = 3;
/** What it took at most is believed for about ten seconds of having enough to send: a link may become slower. */
const BEST_SAMPLES = 50;
const SHORTEST_SAMPLE_MS = 100;
const SAMPLES_AVERAGED = 4;
/** Bytes wait in a queue: more than so many times the least delay, and some for the coarseness of the samples. */
const QUEUES = 2.5;
const QUEUES_MS = 15;
const IS_CLEAR = 2;
const IS_CLEAR_MS = 10;
const UP = 1.05;
const UP_UNTIL_FULL = 1.15;
const MOST_UNTIL_FULL = 1.3;
/** A queue shall be gone in so long. */
const DRAIN_S = 1;
/** It is never given less than this share of what it took lately. */
const LEAST = 0.93;
const MOST = 1.08;
/** It begins with so many times what it took while it was not held. */
const AFTER_LOSS = 1.25;
/** A link that loses so much by itself holds each stream back: a rate would only hold them back more. */
const LOSSY = 0.000_3;
const LOSSY_SECONDS = 5;
const HEAVY = 0.004;
const HEAVY_SECONDS = 3;
const HELD_BACK = 0.6;

/** @param knownBps what the link carried before, bits per second */
export function firstLinkRate(knownBps?: number): LinkRate {
  const bps = knownBps === undefined ? FIRST_BPS : Math.max(FIRST_BPS, knownBps);
  return { bps, phase: "search", recent: [], rates: [], leastDelayMs: Infinity, full: 0, hasQueued: false };
}

/**
 * The rate until the next sample, about a fifth of a second. Streams that find out by themselves what a link takes flood its queue
 * until it drops a burst, and need seconds to recover. So all together are given a rate: one that grows until the link takes no more,
 * then one that keeps its queue short: bytes that are not acknowledged, divided by the rate at which they are, is the time that
 * each is under way (Little's law), and what this is beyond the least that was seen they spend in the queue.
 */
export function nextLinkRate(now: LinkRate, sample: LinkSample): LinkRate {
  const before = now.recent.at(-1);
  if (before && sample.atMs - before.atMs < SHORTEST_SAMPLE_MS) return now;
  const recent = [...now.recent, sample].slice(-SAMPLES_AVERAGED - 1);
  const bps = before ? rateBetween(before, sample) : 0;
  if (!(bps > 0)) return { ...now, recent };
  const averageBps = rateBetween(recent[0], sample);
  // What is acknowledged late is acknowledged at once: a single sample says too much of what the link takes.
  const isTelling = sample.wasHeld && recent.length > SAMPLES_AVERAGED;
  const rates = isTelling ? [...now.rates, averageBps].slice(-BEST_SAMPLES) : now.rates;
  const delayMs = (sample.unacknowledgedBytes * 8_000) / averageBps;
  const leastDelayMs =
    sample.roundTripMs ??
    (sample.wasHeld && delayMs > 1 ? Math.min(now.leastDelayMs, delayMs) : now.leastDelayMs);
  const seen = { ...now, recent, rates, leastDelayMs };
  if (sample.isLossy) return { ...seen, bps: undefined, phase: "search", full: 0 };
  const best = Math.max(averageBps, ...rates);
  if (now.bps === undefined) return { ...seen, bps: Math.max(FIRST_BPS, best * AFTER_LOSS) };
  if (!sample.wasHeld) return seen;
  return now.phase === "search" ? search(seen, bps, delayMs) : hold(seen, averageBps, best, delayMs);
}

function rateBetween(one: LinkSample, other: LinkSample): number {
  return ((other.deliveredBytes - one.deliveredBytes) * 8_000) / (other.atMs - one.atMs);
}

function search(seen: LinkRate, bps: number, delayMs: number): LinkRate {
  const given = seen.bps ?? bps;
  const isQueueing = delayMs > seen.leastDelayMs * QUEUES + QUEUES_MS;
  if (!isQueueing && bps >= given * TAKES) return { ...seen, bps: Math.max(given, bps * SEARCH_GAIN) };
  const full = seen.full + 1;
  // Once or twice may be chance: it goes on from what was taken.
  return { ...seen, bps: Math.min(given, bps), full, phase: full < FULL_SAMPLES ? "search" : "hold" };
}

function hold(seen: LinkRate, bps: number, best: number, delayMs: number): LinkRate {
  const given = seen.bps ?? best;
  const { leastDelayMs } = seen;
  if (delayMs < leastDelayMs * IS_CLEAR + IS_CLEAR_MS) {
    // The search may have ended for another reason than that the link was full: a far side that was busy, or this one.
    const [up, most] = seen.hasQueued ? [UP, MOST] : [UP_UNTIL_FULL, MOST_UNTIL_FULL];
    return { ...seen, bps: Math.min(given * up, best * most) };
  }
  if (delayMs < leastDelayMs * QUEUES + QUEUES_MS) return { ...seen, bps: Math.min(given, best) };
  const queuedBits = ((delayMs - leastDelayMs * IS_CLEAR) * bps) / 1_000;
  return { ...seen, bps: Math.max(best * LEAST, bps - queuedBits / DRAIN_S), hasQueued: true };
}

/**
 * Does a link lose some by itself? A queue that is flooded drops some as well, but not in each of several seconds, and not while little
 * is sent.
 * @param losses share of segments that were lost in each of the last seconds, 0 to 1, newest last
 * @param takenShare of the rate that it was given, in the last second
 */
export function isLossy(losses: readonly number[], takenShare: number): boolean {
  const least = (seconds: number) => (losses.length < seconds ? 0 : Math.min(...losses.slice(-seconds)));
  const isHeldBack = takenShare < HELD_BACK && (losses.at(-1) ?? 0) >= HEAVY;
  return isHeldBack || least(HEAVY_SECONDS) >= HEAVY || least(LOSSY_SECONDS) >= LOSSY;
}
