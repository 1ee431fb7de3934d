import { setMaxListeners } from "node:events";
import { performance } from "node:perf_hooks";
import { formatDuration } from "../../duration";
import { AbortedError, DeadlineError, messageOf } from "../../errors";
import { SnapshotError } from "./errors";
import { afterSuccess, afterTrouble, firstTempo, type Tempo, type Trouble } from "./tempo";

/** The most requests on their way at once. */
export const MOST_AT_ONCE = 64;
/** So many corrupt arrivals of one block are no accident. */
const CORRUPT_TRIES = 5;
/** A snapshot that was begun is known everywhere only after a while. */
const UNKNOWN_MS = 120_000;
const UNKNOWN_PAUSE_MS = 2_000;

export interface TurnsOptions {
  readonly place: string;
  readonly signal: AbortSignal;
  /** @default 64 */
  readonly max?: number;
  /** It gives up when nothing succeeded for so long after something failed. @default 300000 */
  readonly patienceMs?: number;
  /** How long "there is no such snapshot" counts as "not yet". @default 120000 */
  readonly unknownMs?: number;
  /** Told before each pause. */
  readonly onTrouble?: (problem: string, pauseMs: number) => void;
}

export interface RunOptions {
  /** Is `not-found` to be waited out? @default false: it is an answer */
  readonly mayBeUnknown?: boolean;
}

/**
 * The one layer that tries again. All requests of a transfer share it: how many go at once, and the pause after a refusal, are one
 * for all of them.
 */
export class Turns {
  private tempo: Tempo;
  private running = 0;
  private most = Infinity;
  private readonly waiting: (() => void)[] = [];
  private failingSince: number | undefined;
  private unknownSince: number | undefined;
  private wake: NodeJS.Timeout | undefined;
  private pausedAt: number | undefined;
  private pausedMs = 0;

  constructor(private readonly options: TurnsOptions) {
    this.tempo = firstTempo(options.max ?? MOST_AT_ONCE);
    // Each request listens to it; Node would warn of a leak beyond ten.
    setMaxListeners(0, options.signal);
    options.signal.addEventListener("abort", () => this.wakeAll(), { once: true });
  }

  /** How many requests may be on their way now. */
  get atOnce(): number {
    return Math.max(1, Math.floor(Math.min(this.tempo.limit, this.most)));
  }

  /** No more than so many at once from now on, whatever the service would take. */
  setMost(most: number): void {
    this.most = most;
    this.wakeAll();
  }

  /** While nothing may be sent, no patience is lost. */
  setPaused(isPaused: boolean): void {
    if (isPaused === (this.pausedAt !== undefined)) return;
    const now = performance.now();
    if (this.pausedAt !== undefined) this.pausedMs += now - this.pausedAt;
    this.pausedAt = isPaused ? now : undefined;
  }

  /**
   * @throws SnapshotError for what another try would only repeat
   * @throws DeadlineError with what failed last
   * @throws AbortedError
   */
  async run<T>(attempt: () => Promise<T>, { mayBeUnknown = false }: RunOptions = {}): Promise<T> {
    let corrupt = 0;
    for (;;) {
      await this.enter();
      let failure: unknown;
      try {
        const value = await attempt();
        this.tempo = afterSuccess(this.tempo);
        this.failingSince = this.unknownSince = undefined;
        return value;
      } catch (error) {
        failure = error;
      } finally {
        this.leave();
      }
      if (this.options.signal.aborted) throw new AbortedError("stopped");
      if (!(failure instanceof SnapshotError)) throw failure;
      if (failure.code === "not-found" && mayBeUnknown) this.awaitKnown(failure);
      else if (failure.code === "corrupt" && ++corrupt < CORRUPT_TRIES) this.pause(failure, "away");
      else this.pause(failure, troubleOf(failure));
    }
  }

  private async enter(): Promise<void> {
    for (;;) {
      if (this.options.signal.aborted) throw new AbortedError("stopped");
      const waitMs = this.tempo.pausedUntil - performance.now();
      if (waitMs <= 0 && this.running < this.atOnce) break;
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
        if (waitMs > 0) this.wake ??= setTimeout(() => this.wakeAll(), waitMs + 1);
      });
    }
    this.running++;
  }

  private leave(): void {
    this.running--;
    const room = this.atOnce - this.running;
    for (const resolve of this.waiting.splice(0, Math.max(0, room))) resolve();
  }

  private wakeAll(): void {
    clearTimeout(this.wake);
    this.wake = undefined;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private awaitKnown(failure: SnapshotError): void {
    const now = performance.now();
    this.unknownSince ??= now;
    if (now - this.unknownSince > (this.options.unknownMs ?? UNKNOWN_MS)) throw failure;
    const until = now + UNKNOWN_PAUSE_MS;
    this.tempo = { ...this.tempo, pausedUntil: Math.max(this.tempo.pausedUntil, until) };
    this.options.onTrouble?.("the snapshot is not known everywhere yet", UNKNOWN_PAUSE_MS);
  }

  private pause(failure: SnapshotError, trouble: Trouble | undefined): void {
    if (trouble === undefined) throw failure;
    const { place, patienceMs = 300_000, onTrouble } = this.options;
    const now = performance.now();
    const clock = (this.pausedAt ?? now) - this.pausedMs;
    this.failingSince ??= clock;
    if (clock - this.failingSince > patienceMs) {
      throw new DeadlineError({
        place,
        problem: `nothing succeeded for ${formatDuration(clock - this.failingSince)}; the last failure: ${messageOf(failure)}`,
        mend: "Look at the network and at the service, then try again: what has arrived is kept.",
      });
    }
    const was = this.tempo;
    this.tempo = afterTrouble(was, trouble, now, Math.random(), failure.retryAfterMs);
    if (this.tempo.pausedUntil > was.pausedUntil) {
      onTrouble?.(failure.report.problem, this.tempo.pausedUntil - now);
    }
  }
}

function troubleOf({ code }: SnapshotError): Trouble | undefined {
  if (code === "throttled") return "throttled";
  if (code === "slow") return "slow";
  return code === "unreachable" ? "away" : undefined;
}

/** Does all of it, so many at once; the first failure ends all, once those under way have ended. */
export async function forAll<T>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
  atOnce = MOST_AT_ONCE,
): Promise<void> {
  const all = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    try {
      while (!failure) {
        const next = await all.next();
        if (next.done) return;
        await work(next.value);
      }
    } catch (error) {
      failure ??= { error };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failure) throw failure.error;
}
