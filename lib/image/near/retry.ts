import { performance } from "node:perf_hooks";
import { AbortedError, DeadlineError, messageOf } from "../../errors";
import { formatDuration } from "../../duration";
import { sleep } from "../../wait";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** So many corrupt arrivals of one segment in a row are no accident. */
const CORRUPT_TRIES = 5;

/** Codes that a further try would only repeat. */
const FINAL = new Set([
  "unauthorized",
  "no-token",
  "not-an-agent",
  "not-found",
  "invalid",
  "owned-by-another",
  "image-missing",
  "image-incomplete",
  "image-in-use",
  "disk-full",
  "too-large",
]);

/** The code of a site's or a store's error; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

export interface RetryOptions {
  readonly place: string;
  readonly signal: AbortSignal;
  /** It gives up when nothing succeeded, on any stream, for so long after something failed. */
  readonly patienceMs: number;
  /** Told before each pause. */
  readonly onTrouble: (problem: string, pauseMs: number) => void;
}

/** Tries again what a link or a restarted site made fail, for all streams of one push together. */
export class Retry {
  /** By {@link clock}: the first failure since something succeeded. */
  private failingSince: number | undefined;
  private pausedSince: number | undefined;
  private pausedMs = 0;

  constructor(private readonly options: RetryOptions) {}

  /** While nothing may be sent, no patience is lost. */
  setPaused(isPaused: boolean): void {
    if (isPaused === (this.pausedSince !== undefined)) return;
    const now = performance.now();
    if (this.pausedSince !== undefined) this.pausedMs += now - this.pausedSince;
    this.pausedSince = isPaused ? now : undefined;
  }

  /** Milliseconds; stands still during a pause. */
  private clock(): number {
    return (this.pausedSince ?? performance.now()) - this.pausedMs;
  }

  /**
   * @param corruptTries how often `image-corrupt` may be an accident on the way; 1: it is an answer
   * @throws DeadlineError with what failed last
   * @throws AbortedError
   */
  async run<T>(attempt: () => Promise<T>, corruptTries = CORRUPT_TRIES): Promise<T> {
    const { signal, patienceMs, place } = this.options;
    let corrupt = 0;
    for (let tries = 0; ; tries++) {
      if (signal.aborted) throw new AbortedError("stopped");
      try {
        const value = await attempt();
        this.failingSince = undefined;
        return value;
      } catch (error) {
        const code = codeOf(error) ?? "";
        if (signal.aborted) throw new AbortedError("stopped");
        if (error instanceof AbortedError || FINAL.has(code)) throw error;
        if (code === "image-corrupt" && ++corrupt >= corruptTries) throw error;
        const now = this.clock();
        this.failingSince ??= now;
        const silentMs = now - this.failingSince;
        if (silentMs > patienceMs) {
          throw new DeadlineError(
            {
              place,
              problem: `the far side took nothing for ${formatDuration(silentMs)}; the last failure: ${messageOf(error)}`,
              mend: "Look at the link and at the far side, then try again: what has arrived is kept.",
            },
            { cause: error },
          );
        }
        // What arrived wrong says that somebody is there: nothing is gained by waiting longer each time.
        const doublings = code === "image-corrupt" ? 0 : Math.min(tries, 10);
        const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** doublings, LONGEST_PAUSE_MS);
        const pauseMs = longestMs * (0.75 + Math.random() / 2);
        this.options.onTrouble(messageOf(error), pauseMs);
        await sleep(pauseMs, signal);
      }
    }
  }
}
