import { AbortedError, DeadlineError } from "./errors";
import { formatDuration } from "./duration";

/** One visible step of a wait or a transfer. */
export interface Progress {
  /** Which of the five steps, plus the plan around them. */
  readonly step: "transfer" | "launch" | "admit" | "direct" | "quiesce" | "take-down";
  /** What it is about: `cloud/shop`, `shop.example.test`. */
  readonly subject: string;
  /** One line for a person, without subject or time: `waiting for 3 sessions to leave, 12 s of quiet still to come`. */
  readonly message: string;
  /** 0 to 1, where it is known. */
  readonly fraction?: number;
  /** Milliseconds still expected, where it is known. */
  readonly etaMs?: number;
}

/** What a step needs of the world besides the sites: time, a way out, and somewhere to say what is going on. */
export interface StepContext {
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
}

/** One look at the thing waited for. `done` ends the wait; a look that throws ends it with that error at once. */
export type Look<T> =
  | { readonly done: true; readonly value: T }
  | { readonly done: false; readonly message: string; readonly fraction?: number; readonly etaMs?: number };

export interface WaitOptions<T> {
  readonly step: Progress["step"];
  readonly subject: string;
  /** What is waited for, completing "waiting for …". */
  readonly what: string;
  readonly deadlineMs: number;
  readonly intervalMs: number;
  /** What the person can do when the deadline passes. */
  readonly mend: string;
  /** Looks once. An exception ends the wait. */
  readonly look: () => Promise<Look<T>>;
}

/** Sleeps, or throws {@link AbortedError} as soon as the signal fires. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AbortedError("stopped"));
    const onAbort = () => {
      clearTimeout(timer);
      reject(new AbortedError("stopped"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * The one wait of the house: looks at intervals until it is done, says what it sees whenever that changes (and at least every
 * 5 s), and gives up at its deadline or when aborted.
 * @throws DeadlineError, with what was seen last
 * @throws AbortedError
 */
export async function waitFor<T>(context: StepContext, options: WaitOptions<T>): Promise<T> {
  try {
    return await lookUntilDone(context, options);
  } catch (error) {
    if (!(error instanceof AbortedError)) throw error;
    // A pause or a request that was stopped does not know what it was a part of.
    throw new AbortedError(`stopped while waiting for ${options.what}`);
  }
}

async function lookUntilDone<T>(context: StepContext, options: WaitOptions<T>): Promise<T> {
  const started = Date.now();
  let lastSaid = "";
  let lastSaidAt = 0;
  for (;;) {
    if (context.signal.aborted) throw new AbortedError("stopped");
    const look = await options.look();
    if (look.done) return look.value;
    const elapsedMs = Date.now() - started;
    if (look.message !== lastSaid || Date.now() - lastSaidAt >= 5_000) {
      lastSaid = look.message;
      lastSaidAt = Date.now();
      context.progress({
        step: options.step,
        subject: options.subject,
        message: look.message,
        fraction: look.fraction,
        etaMs: look.etaMs,
      });
    }
    if (elapsedMs >= options.deadlineMs) {
      throw new DeadlineError({
        place: options.subject,
        problem: `waited ${formatDuration(elapsedMs)} for ${options.what}; last seen: ${look.message}`,
        mend: options.mend,
      });
    }
    await sleep(Math.min(options.intervalMs, options.deadlineMs - elapsedMs), context.signal);
  }
}
