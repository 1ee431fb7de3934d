import { setMaxListeners } from "node:events";
import { performance } from "node:perf_hooks";
import { AbortedError } from "../../errors";
import {
  congestionControl,
  firstLinkRate,
  firstStreams,
  isLossy,
  keepPace,
  lossBetween,
  nextLinkRate,
  nextStreams,
  Pace,
  readTcpCounters,
  watchBandwidth,
  type BandwidthPlan,
  type LinkRate,
  type Streams,
  type StreamsOptions,
  type TcpCounters,
} from "../bandwidth";
import type { ImageTarget, TargetCallOptions, TransferState } from "../wire/target";
import { MAX_LITERAL_BYTES } from "../wire/segment";
import type { Acknowledged } from "./acknowledged";
import type { CanonicalImage } from "./canonical-image";
import type { KnownImages } from "./known-images";
import type { Packer, ReadySegment } from "./packer";
import { plainSegments } from "./plain-segments";
import { codeOf, type Retry } from "./retry";

/** Fewer leave the link idle while their last segments are written at the far side. */
const FEWEST_STREAMS = 8;
/** The number of streams is judged so often. */
const JUDGE_MS = 1_000;
/** Answers that are waited for while their streams go on: a far side whose disk takes a second shall not stop the link. */
const MAX_UNANSWERED = 8;
/** What the link takes is looked at so often. */
const FOLLOW_MS = 200;
const LOSSES_KEPT = 8;
/** Looks in a row without a stream that waited, for one to count. */
const CALM_SAMPLES = 2;
const LARGEST_SEGMENT_BYTES = 2 * 1024 * 1024;
const SMALLEST_SEGMENT_BYTES = 256 * 1024;
/** All that are on their way together take memory at both ends, and a link that is cut sends them again. */
const IN_FLIGHT_BYTES = 32 * 1024 * 1024;
/** A segment that does not arrive whole is sent once more as it is, before its copies are suspected. */
const TRIES_WITH_COPIES = 2;
/** A transfer that the far side has forgotten is opened again, but not for ever. */
const MAX_REOPENED = 3;

/** Under a cap no segment should be on its way for longer: what is on its way when a link is cut is lost. */
const LONGEST_SEGMENT_MS = 5_000;
const SMALLEST_CAPPED_BYTES = 16 * 1024;

/**
 * Bytes of the image that a segment should carry, so that each of so many streams has some. It has whole blocks, so it may carry up
 * to one block more.
 * @param capBps what all streams together may take, bits per second
 */
export function segmentBytes(streams: number, capBps?: number): number {
  const share = Math.floor(IN_FLIGHT_BYTES / Math.max(1, streams));
  const usual = Math.min(LARGEST_SEGMENT_BYTES, MAX_LITERAL_BYTES, Math.max(SMALLEST_SEGMENT_BYTES, share));
  // What follows a pause is not known yet.
  if (!capBps) return usual;
  const capped = Math.floor((capBps * LONGEST_SEGMENT_MS) / 8_000 / Math.max(1, streams));
  return Math.min(usual, Math.max(SMALLEST_CAPPED_BYTES, capped));
}

export interface SenderOptions {
  /** Of the transfer. */
  readonly id: string;
  readonly target: ImageTarget;
  readonly image: CanonicalImage;
  readonly known: KnownImages;
  readonly acknowledged: Acknowledged;
  readonly retry: Retry;
  readonly signal: AbortSignal;
  readonly streams?: Pick<StreamsOptions, "start" | "max">;
  readonly bandwidth: readonly BandwidthPlan[];
  /** What the link carried before, bits per second. */
  readonly linkBps?: number;
  readonly reopen: () => Promise<TransferState>;
  /** Called after each segment that was taken. */
  readonly onSent: (segment: ReadySegment) => void;
}

/** Sends segments over as many streams as the link asks for. The first failure that no retry mends ends all of them. */
export class Sender {
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;
  /** What is allowed. */
  private readonly pace = new Pace();
  /** What the link takes. */
  private readonly linkPace = new Pace();
  private streams: Streams;
  private readonly running = new Set<Promise<void>>();
  /** Segments that were handed over, and whose stream has gone on. */
  private readonly unanswered = new Set<Promise<void>>();
  private readonly numbers = new Set<number>();
  private isExhausted = false;
  private starved = 0;
  private isIdle = false;
  private calm = 0;
  private failure: { readonly error: unknown } | undefined;
  private acknowledgedBytes = 0;
  private reopened = 0;
  /** In each of the last seconds. */
  private losses: readonly number[] = [];
  private isLossy = false;
  private linkRate: LinkRate | undefined;

  constructor(private readonly options: SenderOptions) {
    this.signal = AbortSignal.any([options.signal, this.stop.signal]);
    // Each stream listens to it; Node would warn of a leak beyond ten.
    setMaxListeners(0, this.signal);
    const { linkBps, streams } = options;
    const most = streams?.max ?? FEWEST_STREAMS;
    this.streams = firstStreams({
      ...{ congestionControl: congestionControl(), linkBps, min: Math.min(FEWEST_STREAMS, most) },
      ...streams,
    });
  }

  get streamCount(): number {
    return this.streams.streams;
  }

  /** Bits per second that all streams together may take; undefined: no limit; 0: paused. */
  get capBps(): number | undefined {
    return this.pace.bps;
  }

  /** Did a stream wait for something to send since this was asked last? */
  takeIdle(): boolean {
    const { isIdle } = this;
    this.isIdle = false;
    return isIdle;
  }

  async run(packer: Packer<unknown>): Promise<void> {
    const watched = watchBandwidth(this.signal);
    const plans = () => [...this.options.bandwidth, watched.current()];
    const { retry } = this.options;
    keepPace(this.pace, plans, this.signal, (bps) => retry.setPaused(bps === 0));
    const fail = () =>
      packer.fail(this.failure?.error ?? new AbortedError("stopped while sending the image"));
    this.signal.addEventListener("abort", fail, { once: true });
    const judging = this.judge(packer);
    const following = this.followLink();
    try {
      this.startStreams(packer);
      while (this.running.size > 0) await Promise.race(this.running);
      if (this.failure) throw this.failure.error;
    } finally {
      this.signal.removeEventListener("abort", fail);
      this.stop.abort();
      retry.setPaused(false);
      clearInterval(judging);
      clearInterval(following);
    }
  }

  private startStreams(packer: Packer<unknown>): void {
    for (let number = 0; number < this.streamCount && !this.isExhausted && !this.failure; number++) {
      if (this.numbers.has(number)) continue;
      this.numbers.add(number);
      this.track(
        this.running,
        this.stream(number, packer).finally(() => this.numbers.delete(number)),
      );
    }
  }

  private async stream(number: number, packer: Packer<unknown>): Promise<void> {
    while (number < this.streamCount && !this.signal.aborted) {
      if (!packer.hasReady) {
        this.starved++;
        this.isIdle = true;
      }
      const segment = await packer.next();
      if (!segment) {
        this.isExhausted = true;
        return;
      }
      await this.handOver(segment);
    }
    if (this.signal.aborted) throw new AbortedError("stopped while sending the image");
  }

  /** Delivers a segment; while only its answer is waited for, the stream may go on, unless too many answers are. */
  private async handOver(segment: ReadySegment): Promise<void> {
    let onHandedOver = () => {};
    const handedOver = new Promise<void>((resolve) => (onHandedOver = resolve));
    const delivery = this.deliver(segment, onHandedOver);
    await Promise.race([delivery, handedOver]);
    if (this.unanswered.size >= MAX_UNANSWERED) return delivery;
    this.track(this.unanswered, delivery);
    this.track(this.running, delivery);
  }

  /** The first failure ends all. */
  private track(among: Set<Promise<void>>, work: Promise<void>): void {
    const tracked = work
      .catch((error) => {
        this.failure ??= { error };
        this.stop.abort();
      })
      .finally(() => among.delete(tracked));
    among.add(tracked);
  }

  private async deliver(segment: ReadySegment, onHandedOver: () => void): Promise<void> {
    try {
      await this.put(segment, segment.hasCopies ? TRIES_WITH_COPIES : undefined, onHandedOver);
    } catch (error) {
      if (!segment.hasCopies || !(await this.isMendable(error))) throw error;
      const { image } = this.options;
      const { firstBlock, blockCount } = segment;
      for await (const plain of plainSegments(image, firstBlock, blockCount)) {
        await this.put(plain);
        plain.release();
      }
    } finally {
      segment.release();
    }
  }

  /** Can the same blocks be sent without referring to what the far side does not have, or not as it should be? */
  private async isMendable(error: unknown): Promise<boolean> {
    const code = codeOf(error);
    if (code === "image-corrupt" || code === "image-incomplete") return true;
    if (code !== "image-missing") return false;
    const { known } = this.options;
    const held = new Set((await this.options.reopen()).images);
    known.dropAllBut(held);
    return true;
  }

  private async put(segment: ReadySegment, corruptTries?: number, onHandedOver?: () => void): Promise<void> {
    const { target, id, retry, acknowledged, onSent } = this.options;
    const pace = bothOf(this.pace, this.linkPace);
    const call = { signal: this.signal, retryBudgetMs: 0, pace, onHandedOver };
    for (;;) {
      try {
        await retry.run(() => target.putSegment(id, segment.id, segment.bytes, call), corruptTries);
        break;
      } catch (error) {
        if (codeOf(error) !== "not-found" || ++this.reopened > MAX_REOPENED) throw error;
        await this.options.reopen();
      }
    }
    acknowledged.add(segment.firstBlock, segment.blockCount);
    this.acknowledgedBytes += segment.bytes.length;
    onSent(segment);
  }

  private judge(packer: Packer<unknown>): NodeJS.Timeout {
    let at = performance.now();
    let bytes = this.linkPace.passedBytes;
    let counters: TcpCounters | undefined = readTcpCounters();
    const timer = setInterval(() => {
      const now = performance.now();
      const after = readTcpCounters();
      // Streams that had nothing to send for a while burst into the link's queue when they have: that says nothing of the link.
      this.calm = this.starved > 0 ? 0 : this.calm + 1;
      const loss = lossBetween(counters, after);
      if (loss !== undefined) this.losses = [...this.losses, loss].slice(-LOSSES_KEPT);
      // What the system has taken says more of a second than the few segments that the far side has answered in it.
      const goodputBps = ((this.linkPace.passedBytes - bytes) * 8_000) / (now - at);
      const wasStarved = this.calm < CALM_SAMPLES;
      // Only of what the link was not yet seen to take.
      const isSearching = this.linkRate?.phase === "search" && !wasStarved;
      this.isLossy = isLossy(this.losses, isSearching ? goodputBps / (this.linkPace.bps ?? goodputBps) : 1);
      // What new streams made the queue drop is no reason for more of them.
      const isOwn = loss !== undefined && this.linkPace.bps !== undefined && !this.isLossy;
      this.streams = nextStreams(this.streams, {
        goodputBps: this.acknowledgedBytes > 0 ? goodputBps : 0,
        loss: isOwn ? 0 : loss,
        capBps: this.pace.bps,
        wasStarved,
      });
      [at, bytes, counters] = [now, this.linkPace.passedBytes, after];
      this.starved = 0;
      this.startStreams(packer);
    }, JUDGE_MS);
    timer.unref();
    return timer;
  }

  /** Gives the link what it takes, so that its queue drops nothing. */
  private followLink(): NodeJS.Timeout {
    const { target, linkBps } = this.options;
    let rate = (this.linkRate = firstLinkRate(linkBps));
    const timer = setInterval(() => {
      const seen = target.onTheWay?.();
      if (!seen) return;
      rate = this.linkRate = nextLinkRate(rate, {
        ...{ ...seen, atMs: performance.now(), wasHeld: this.linkPace.takeHeld() },
        deliveredBytes: this.linkPace.passedBytes - seen.unacknowledgedBytes,
        isLossy: this.isLossy,
      });
      this.linkPace.setRate(rate.bps);
    }, FOLLOW_MS);
    timer.unref();
    if (target.onTheWay?.()) this.linkPace.setRate(rate.bps);
    return timer;
  }
}

/** One after the other: nobody takes of the second what the first does not allow. */
function bothOf(one: Pace, other: Pace): NonNullable<TargetCallOptions["pace"]> {
  return {
    get sliceBytes() {
      return Math.min(one.sliceBytes, other.sliceBytes);
    },
    async take(bytes, signal) {
      await one.take(bytes, signal);
      await other.take(bytes, signal);
    },
  };
}
