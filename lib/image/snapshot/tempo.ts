/** How many requests are on their way at once, and when the next may go. */
export interface Tempo {
  /** Not whole: it grows by parts. */
  readonly limit: number;
  readonly max: number;
  /** Was anything refused for being too much? Until then it doubles. */
  readonly isSettled: boolean;
  /** Nothing goes before this moment; milliseconds of the caller's clock. */
  readonly pausedUntil: number;
  /** Refusals since the last success. */
  readonly strikes: number;
  /** When it was last cut: what was on its way then is refused as well, and says nothing new. */
  readonly cutAt: number;
}

/** What went wrong. `throttled`: too many requests; `slow`: no answer in time, or a failure of the service; `away`: no connection. */
export type Trouble = "throttled" | "slow" | "away";

const FIRST = 8;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 20_000;
/** What the service itself asks for is heeded, up to this. */
const LONGEST_ASKED_MS = 120_000;
const CUT_EVERY_MS = 1_000;

export function firstTempo(max: number): Tempo {
  return {
    ...{ limit: Math.min(FIRST, max), max, isSettled: false },
    ...{ pausedUntil: -Infinity, strikes: 0, cutAt: -Infinity },
  };
}

/** After one request that succeeded: it doubles with each round until something was refused, then one more a round. */
export function afterSuccess(tempo: Tempo): Tempo {
  const step = tempo.isSettled ? 1 / Math.max(1, tempo.limit) : 1;
  return { ...tempo, limit: Math.min(tempo.max, tempo.limit + step), strikes: 0 };
}

/**
 * After one that failed. All requests wait together, for longer each time, and fewer of them go on.
 * @param askedMs what the service asked to wait (`Retry-After`)
 * @param random 0 to 1, so that those who were refused together do not return together
 */
export function afterTrouble(
  tempo: Tempo,
  trouble: Trouble,
  now: number,
  random: number,
  askedMs = 0,
): Tempo {
  const asked = Math.min(Math.max(0, askedMs), LONGEST_ASKED_MS);
  // Others of the same volley: the first of them has said it all.
  if (now < tempo.pausedUntil) return { ...tempo, pausedUntil: Math.max(tempo.pausedUntil, now + asked) };
  const strikes = tempo.strikes + 1;
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(strikes - 1, 10));
  const isCut = trouble !== "away" && now - tempo.cutAt >= CUT_EVERY_MS;
  return {
    ...tempo,
    limit: isCut ? Math.max(1, tempo.limit / 2) : tempo.limit,
    cutAt: isCut ? now : tempo.cutAt,
    isSettled: tempo.isSettled || trouble === "throttled",
    ...{ strikes, pausedUntil: now + Math.max(asked, longest * (0.5 + random / 2)) },
  };
}
