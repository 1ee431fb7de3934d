/** How many streams a push uses, and why. */
export interface StreamCount {
  readonly streams: number;
  /** Goodput with `before` streams, bytes per second; undefined while nothing was measured. */
  readonly goodput?: number;
  readonly before: number;
  /** True when more streams brought nothing. */
  readonly isSettled: boolean;
}

/** More streams must bring so much more goodput to be worth it. */
const WORTH_IT = 1.2;

export function firstStreams(start: number, max: number): StreamCount {
  const streams = Math.max(1, Math.min(start, max));
  return { streams, before: streams, isSettled: streams === max };
}

/**
 * The next count, after a window in which that many streams brought that goodput: twice as many as long as each doubling brings a
 * fifth more, else back to what was before. On a link without loss one stream fills it and more bring nothing; with 0.1 % loss
 * and the usual congestion control each stream carries little, and sixteen fill it.
 */
export function nextStreams(present: StreamCount, goodput: number, max: number): StreamCount {
  if (present.isSettled) return present;
  const { streams, before } = present;
  if (present.goodput !== undefined && goodput < present.goodput * WORTH_IT) {
    return { streams: before, before, goodput: present.goodput, isSettled: true };
  }
  const next = Math.min(streams * 2, max);
  return { streams: next, before: streams, goodput, isSettled: next === streams };
}
