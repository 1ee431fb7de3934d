/** What was seen over a second or so. */
export interface StreamsSample {
  /** Bits per second that the far side has taken. */
  readonly goodputBps: number;
  /** Share of segments that were sent again, 0 to 1. @default - not known: goodput alone decides */
  readonly loss?: number;
  /** Bits per second that are allowed. @default - no limit */
  readonly capBps?: number;
  /** Streams waited for something to send, so that goodput says nothing of the link. @default false */
  readonly wasStarved?: boolean;
}

export interface StreamsOptions {
  /** `cubic`, `bbr`. @default - not known, taken for one that loss slows down */
  readonly congestionControl?: string;
  /** @default 1 */
  readonly min?: number;
  /** @default 64; 4 with bbr */
  readonly max?: number;
  /** @default 8; 2 with bbr */
  readonly start?: number;
  /** What the link carried before, bits per second: many streams are opened at once where it is lossy. @default - not known */
  readonly linkBps?: number;
}

/** How many streams are used, and what has been learnt of the link. */
export interface Streams {
  readonly streams: number;
  /** One sentence. */
  readonly why: string;
  readonly min: number;
  readonly max: number;
  readonly start: number;
  readonly linkBps?: number;
  /** Another count is being tried. */
  readonly trial?: {
    readonly from: number;
    /** With `from` streams. */
    readonly goodputBps: number;
    readonly loss?: number;
    readonly seconds: number;
  };
  /** The last second at the present count, none being tried. */
  readonly lastBps?: number;
  /** The best that the present count brought lately. */
  readonly settledBps?: number;
  /** Seconds at rest, and how many of them until more are tried again. */
  readonly rested: number;
  readonly restSeconds: number;
  /** Fewer than these were found to carry less. */
  readonly floor: number;
  /** Loss slows a stream down; false with bbr. */
  readonly isSlowedByLoss: boolean;
  /** More streams lost more and carried no more: what is lost is lost in the queue that they fill themselves. */
  readonly isLossTheirOwn?: boolean;
  /** Of the last seconds, newest last. */
  readonly losses: readonly number[];
}

/** BBR fills a link with one stream whatever the loss, and several only push each other into the queue. */
const BBR_MAX = 4;
const BBR_START = 2;
const MAX = 64;
const START = 8;
/** Twice the streams must bring so much more, which a second that is odd by 5 % does not feign. */
const WORTH_MORE = 1.12;
/** Where nothing is lost, only small windows hold streams back, and then twice as many carry nearly twice as much. */
const WORTH_MORE_CLEAN = 1.3;
/** A link that loses so much is worth its last percents: a stream too many costs it next to nothing. */
const HEAVY_LOSS = 0.003;
const WORTH_MORE_HEAVY = 1.03;
/** Loss that grows so much with twice the streams is made by them: that of the link stays. */
const THEIR_OWN = 1.5;
/** And so little more goodput comes with it. */
const THEIR_OWN_GAIN = 1.06;
/** Where so much is lost, windows are a few segments: whatever the cause, more streams make it worse. */
const TOO_MUCH_LOSS = 0.1;
/** What several streams of BBR lose when they push each other into the queue. */
const BBR_SHEDS = 0.02;
/** Half the streams must keep so much. */
const KEEPS = 0.95;
/** Below, a link is taken for one that loses nothing: a full queue alone sends some again. */
const NIL_LOSS = 0.000_3;
/**
 * New streams flood the queue until they have found their rate, and a second of that loses many times what the link does. So the loss
 * of the link is the least of so many seconds.
 */
const LOSS_SECONDS = 3;
/** A stream that loses the share p carries about 1.22 × MSS / (RTT × √p): Mathis et al., 1997. */
const MATHIS = 1.22;
const MSS_BITS = 1_448 * 8;
const LONG_RTT_MS = 20;
/** A stream without loss is given that long to open its window. */
const TRIAL_SECONDS = 2;
const FIRST_REST = 4;
const LONGEST_REST = 32;
const FELL = 0.7;

export function firstStreams(options: StreamsOptions = {}): Streams {
  const isBbr = options.congestionControl?.startsWith("bbr") ?? false;
  const max = clamp(options.max ?? (isBbr ? BBR_MAX : MAX), 1, MAX);
  const min = clamp(options.min ?? 1, 1, max);
  const start = clamp(options.start ?? (isBbr ? BBR_START : START), min, max);
  return {
    streams: start,
    why: isBbr ? "bbr fills a link with few" : "where it begins",
    min,
    max,
    start,
    ...(options.linkBps === undefined ? {} : { linkBps: options.linkBps }),
    rested: 0,
    restSeconds: FIRST_REST,
    floor: min,
    isSlowedByLoss: !isBbr,
    losses: [],
  };
}

/**
 * The count for the next second. Where something is lost, twice as many while that brings an eighth more, else back; where nothing is
 * lost, half as many while they carry as much, and twice as many when half carried half. Loss holds each stream of cubic to a rate of its own (about 1.22 × MSS / (RTT × √loss)), so that a
 * lossy link takes many; a clean one is filled by one or two.
 */
export function nextStreams(before: Streams, sample: StreamsSample): Streams {
  const { goodputBps, capBps, loss } = sample;
  // An outage, a pause, or nothing to send: nothing is learnt.
  if (sample.wasStarved || goodputBps <= 0 || capBps === 0) return before;
  const losses = loss === undefined ? [] : [...before.losses, loss].slice(-LOSS_SECONDS);
  const now = { ...before, losses };
  if (capBps !== undefined && goodputBps >= 0.9 * capBps)
    return rest({ ...now, lastBps: goodputBps }, goodputBps, "they fill what is allowed");
  if (now.trial) return now.trial.from < now.streams ? judgeMore(now, sample) : judgeFewer(now, sample);
  return atRest(now, sample);
}

function atRest(now: Streams, sample: StreamsSample): Streams {
  const { goodputBps } = sample;
  const loss = lossOfLink(now);
  const isClean =
    loss !== undefined &&
    (now.isSlowedByLoss ? loss < NIL_LOSS || now.isLossTheirOwn === true : loss >= BBR_SHEDS);
  const { lastBps, settledBps } = now;
  const seen = { ...now, lastBps: goodputBps, rested: now.rested + 1 };
  if (lastBps === undefined || settledBps === undefined) {
    // Streams that lose nothing open their windows by themselves: wait until they no longer do.
    if (isClean && (lastBps === undefined || goodputBps >= lastBps * WORTH_MORE)) return seen;
    // Each new stream of a full link that loses nothing floods its queue once: not before it has been filled for a while.
    const isSlow = now.linkBps !== undefined && goodputBps < now.linkBps * FELL;
    if (isClean && now.isSlowedByLoss && !isSlow) return rest(seen, goodputBps, "nothing is lost");
    return isSureOfLoss(now, goodputBps) ? more(seen, sample) : seen;
  }
  // One odd second is no change of the link.
  const lately = Math.max(goodputBps, lastBps);
  if (lately < settledBps * FELL) {
    const fell = {
      ...seen,
      ...{ settledBps: goodputBps, restSeconds: FIRST_REST, floor: now.min, isLossTheirOwn: false },
    };
    const isStillClean = loss !== undefined && loss < NIL_LOSS;
    return isStillClean || now.streams === now.max
      ? fell
      : more({ ...fell, losses: now.losses.slice(-1) }, sample);
  }
  const kept = { ...seen, settledBps: Math.max(goodputBps, settledBps) };
  if (isClean && now.rested >= 1 && kept.rested < LONGEST_REST) return fewer(kept, goodputBps);
  if (isClean && kept.rested < LONGEST_REST) return kept;
  // A link that began to lose: from as few as a clean one needs it would take long to get there by doubling.
  const began =
    now.isSlowedByLoss && loss !== undefined && now.streams < now.start && lately < settledBps * 0.9;
  if (began) return more({ ...kept, floor: now.min }, sample);
  return kept.rested >= now.restSeconds ? more(kept, sample) : kept;
}

/**
 * Is what was lost lost by the link? The queue, too, drops some when new streams flood it, but not in each of several seconds. What
 * holds streams back as much as Mathis says of a long link need not be waited for.
 */
function isSureOfLoss(now: Streams, goodputBps: number): boolean {
  const loss = lossOfLink(now);
  if (loss === undefined || now.losses.length === LOSS_SECONDS) return true;
  const impliedRttMs = (1_000 * MATHIS * MSS_BITS * now.streams) / (goodputBps * Math.sqrt(loss));
  return loss >= HEAVY_LOSS && impliedRttMs >= LONG_RTT_MS;
}

function judgeMore(now: Streams, sample: StreamsSample): Streams {
  const trial = now.trial as NonNullable<Streams["trial"]>;
  const { goodputBps } = sample;
  const loss = now.isSlowedByLoss ? sample.loss : undefined;
  const gain = goodputBps / trial.goodputBps;
  const grows = loss !== undefined && trial.loss !== undefined && loss > trial.loss * THEIR_OWN + NIL_LOSS;
  const ofLink = now.isSlowedByLoss ? lossOfLink(now) : undefined;
  if (gain >= (grows ? WORTH_MORE : worthAt(ofLink))) {
    const found = { ...now, floor: now.min, restSeconds: FIRST_REST, isLossTheirOwn: false };
    return now.streams === now.max ? rest(found, goodputBps, "as many as there may be") : more(found, sample);
  }
  if (trial.seconds + 1 < TRIAL_SECONDS) return { ...now, trial: { ...trial, seconds: trial.seconds + 1 } };
  const isLossTheirOwn = grows && gain < THEIR_OWN_GAIN;
  const isHeavy = (ofLink ?? 0) >= HEAVY_LOSS && !isLossTheirOwn;
  const streams = isHeavy ? Math.round((trial.from + now.streams) / 2) : trial.from;
  const back = { ...now, streams, isLossTheirOwn, restSeconds: Math.min(now.restSeconds * 2, LONGEST_REST) };
  return rest(back, trial.goodputBps, `${now.streams} brought no more`);
}

function judgeFewer(now: Streams, sample: StreamsSample): Streams {
  const trial = now.trial as NonNullable<Streams["trial"]>;
  if (sample.goodputBps < trial.goodputBps * KEEPS) {
    const back = { ...now, streams: trial.from, floor: trial.from };
    // Half of them carry about half: their windows are what holds them back, and twice as many may carry twice as much.
    if (sample.goodputBps < trial.goodputBps * FELL) return more(back, { goodputBps: trial.goodputBps });
    return rest(back, trial.goodputBps, `${now.streams} brought less`);
  }
  return rest({ ...now, rested: 0 }, sample.goodputBps, `they carry as much as ${trial.from}`);
}

function more(now: Streams, { goodputBps }: StreamsSample): Streams {
  const { streams, max, linkBps, start } = now;
  const loss = lossOfLink(now);
  if (streams >= max) return rest(now, goodputBps, "as many as there may be");
  if (now.isSlowedByLoss && (loss ?? 0) >= TOO_MUCH_LOSS)
    return rest(
      { ...now, isLossTheirOwn: true },
      goodputBps,
      `${percent(loss ?? 0)} are lost: no more than these`,
    );
  const isLossy = now.isSlowedByLoss && loss !== undefined && loss >= NIL_LOSS;
  const forTheLink = isLossy && linkBps !== undefined ? (streams * linkBps) / goodputBps : 0;
  const afterClean = isLossy && streams < start ? start : 0;
  const next = Math.min(max, Math.max(streams * 2, afterClean, Math.min(forTheLink, streams * 8)));
  return {
    ...now,
    streams: Math.round(next),
    why: isLossy ? `each is held back by the loss of ${percent(loss)}` : "to see whether more carry more",
    trial: { from: streams, goodputBps, loss, seconds: 0 },
    settledBps: goodputBps,
    rested: 0,
  };
}

function fewer(now: Streams, goodputBps: number): Streams {
  const half = Math.max(now.min, Math.floor(now.streams / 2));
  const least = now.isSlowedByLoss ? Math.min(BBR_START, now.start) : 1;
  if (half >= now.streams || half < now.floor || now.streams <= least) return now;
  return {
    ...now,
    streams: half,
    why: "nothing is lost but by their own doing: fewer may carry as much",
    trial: { from: now.streams, goodputBps, seconds: 0 },
    rested: 0,
  };
}

function rest({ trial: _, ...now }: Streams, goodputBps: number, why: string): Streams {
  return { ...now, settledBps: goodputBps, lastBps: goodputBps, rested: 0, why };
}

function lossOfLink({ losses }: Streams): number | undefined {
  return losses.length === 0 ? undefined : Math.min(...losses);
}

function worthAt(loss: number | undefined): number {
  if (loss === undefined) return WORTH_MORE;
  return loss < NIL_LOSS ? WORTH_MORE_CLEAN : loss < HEAVY_LOSS ? WORTH_MORE : WORTH_MORE_HEAVY;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, Math.round(value)));
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}
