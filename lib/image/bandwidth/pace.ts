import { performance } from "node:perf_hooks";
import { AbortedError } from "../../errors";
import { lowestCapAt, type BandwidthPlan } from "./plan";

const LARGEST_SLICE_BYTES = 64 * 1024;
const USUAL_SLICE_BYTES = 16 * 1024;
/** Below a rate that this would hold for too long, slices are smaller. */
const SLICE_MS = 50;
const SMALLEST_SLICE_BYTES = 512;
/** The link never gets more at once than so much time's worth. */
const BURST_MS = 100;
/** A paused pace looks up so often. The timer also keeps the process alive, which has work to do once it may. */
const PAUSED_MS = 1_000;

/** Time, so that a day can be tested in no time. */
export interface PaceClock {
  /** Milliseconds, of a clock that never goes back. */
  now(): number;
  /** Calls back once, unless the function returned is called before. */
  after(ms: number, run: () => void): () => void;
}

const REAL_TIME: PaceClock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

interface Waiter {
  left: number;
  readonly resolve: () => void;
}

/**
 * One pace for all streams: a token bucket whose rate may change while it is used. Those who wait get their turn slice by slice, so
 * that nobody who asks for much keeps out one who asks for little.
 */
export class Pace {
  private bytesPerSecond: number | undefined;
  private tokens = 0;
  private filledAt: number;
  private readonly waiting: Waiter[] = [];
  private cancelTimer: (() => void) | undefined;
  private grantedBytes = 0;
  private wasHeld = false;

  /** @param bps bits per second; undefined: no limit; 0: paused */
  constructor(
    bps?: number,
    private readonly clock: PaceClock = REAL_TIME,
  ) {
    this.bytesPerSecond = bytesOf(bps);
    this.filledAt = clock.now();
  }

  /** Bits per second that are let through at present; undefined: no limit; 0: paused. */
  get bps(): number | undefined {
    return this.bytesPerSecond === undefined ? undefined : this.bytesPerSecond * 8;
  }

  /** Bytes that had their turn since it was made. */
  get passedBytes(): number {
    return this.grantedBytes;
  }

  /** Did anybody wait for a turn since this was asked last? */
  takeHeld(): boolean {
    const { wasHeld } = this;
    this.wasHeld = this.waiting.length > 0;
    return wasHeld;
  }

  /** How much to take and send at once, so that what is sent is even. */
  get sliceBytes(): number {
    return sliceAt(this.bytesPerSecond);
  }

  /** Another rate, at once, also for those who wait. @param bps undefined: no limit; 0: paused */
  setRate(bps: number | undefined): void {
    const next = bytesOf(bps);
    if (next === this.bytesPerSecond) return;
    this.fill();
    this.bytesPerSecond = next;
    this.tokens = next === undefined ? 0 : Math.min(this.tokens, capacityAt(next));
    this.serve();
  }

  /** Waits for the turn of so many bytes. @throws AbortedError, and then the bytes that had their turn are gone */
  take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(new AbortedError("stopped"));
    if (bytes <= 0) return Promise.resolve();
    if (this.bytesPerSecond === undefined && this.waiting.length === 0) {
      this.grantedBytes += bytes;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        const at = this.waiting.indexOf(waiter);
        if (at >= 0) this.waiting.splice(at, 1);
        reject(new AbortedError("stopped"));
        this.serve();
      };
      const waiter: Waiter = {
        left: bytes,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.waiting.push(waiter);
      this.serve();
    });
  }

  private serve(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.fill();
    for (;;) {
      const first = this.waiting[0];
      if (!first) return;
      const slice = Math.min(first.left, this.sliceBytes);
      if (this.bytesPerSecond !== undefined && this.tokens < slice) break;
      if (this.bytesPerSecond !== undefined) this.tokens -= slice;
      const granted = this.bytesPerSecond === undefined ? first.left : slice;
      first.left -= granted;
      this.grantedBytes += granted;
      this.waiting.shift();
      if (first.left > 0) this.waiting.push(first);
      else first.resolve();
    }
    this.wasHeld = true;
    this.cancelTimer = this.clock.after(this.waitMs(), () => this.serve());
  }

  private waitMs(): number {
    const slice = Math.min(this.waiting[0]?.left ?? 0, this.sliceBytes);
    if (!this.bytesPerSecond) return PAUSED_MS;
    return Math.max(1, ((slice - this.tokens) * 1_000) / this.bytesPerSecond);
  }

  private fill(): void {
    const now = this.clock.now();
    const rate = this.bytesPerSecond ?? 0;
    const filled = this.tokens + ((now - this.filledAt) * rate) / 1_000;
    this.tokens = Math.min(filled, capacityAt(rate));
    this.filledAt = now;
  }
}

/**
 * Holds a pace to the lowest of several plans, looking at them every second, until the signal fires.
 * @param plans asked each time: one of them may be a {@link watchBandwidth}
 * @param onChange told when what is allowed changes: undefined is no limit, 0 a pause
 */
export function keepPace(
  pace: Pace,
  plans: () => readonly BandwidthPlan[],
  signal: AbortSignal,
  onChange?: (bps: number | undefined) => void,
): void {
  const follow = () => {
    const bps = lowestCapAt(plans(), new Date());
    if (bps === pace.bps) return;
    pace.setRate(bps);
    onChange?.(bps);
  };
  follow();
  if (signal.aborted) return;
  const timer = setInterval(follow, 1_000);
  timer.unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

function bytesOf(bps: number | undefined): number | undefined {
  return bps === undefined ? undefined : Math.max(0, bps) / 8;
}

function sliceAt(bytesPerSecond: number | undefined): number {
  if (!bytesPerSecond) return LARGEST_SLICE_BYTES;
  const worth = Math.floor((bytesPerSecond * SLICE_MS) / 1_000);
  // Twenty turns a second are even enough: larger slices only where they are worth less than that.
  return Math.max(SMALLEST_SLICE_BYTES, Math.min(worth, largestAt(bytesPerSecond)));
}

function largestAt(bytesPerSecond: number): number {
  const halfWorth = Math.floor((bytesPerSecond * SLICE_MS) / 10_000);
  return Math.max(USUAL_SLICE_BYTES, Math.min(halfWorth, LARGEST_SLICE_BYTES));
}

function capacityAt(bytesPerSecond: number): number {
  return Math.max((bytesPerSecond * BURST_MS) / 1_000, bytesPerSecond > 0 ? SMALLEST_SLICE_BYTES : 0);
}
