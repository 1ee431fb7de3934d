import { formatDuration } from "../duration";
import { isWithin, nextChange } from "../image/bandwidth/plan";
import type { BandwidthWindow } from "../image/bandwidth/window";

/** What decides whether the image is brought nearer now. Times are milliseconds since 1970. */
export interface PrePositionQuestion {
  readonly now: number;
  /** Between two transfers. */
  readonly everyMs: number;
  /** When it may run. @default - always */
  readonly windows?: readonly BandwidthWindow[];
  readonly timeZone?: string;
  /** When the far side was brought up to date last; undefined: never, as far as is known. */
  readonly lastDoneAt?: number;
  /** When the image file was changed last; undefined: there is none. */
  readonly sourceChangedAt?: number;
  /** Failures in a row, and when it is worth trying again. */
  readonly failure?: { readonly failures: number; readonly nextTryAt: number };
  /** Why demand comes first, if it does: `the burst is in force`. */
  readonly busy?: string;
}

export type PrePositionDue =
  | { readonly due: true; readonly why: string }
  /** `at`: when it may be, as far as the clock alone decides. */
  | { readonly due: false; readonly why: string; readonly at?: number };

/** A file that was written a moment ago may still be being written. */
export const SETTLED_AFTER_MS = 30_000;

/**
 * Is the next background transfer due? Demand comes first: never while a burst is on or something is being applied, however long ago
 * the last one was.
 */
export function prePositionDue(question: PrePositionQuestion): PrePositionDue {
  const { now, everyMs, windows, timeZone, lastDoneAt, sourceChangedAt, failure, busy } = question;
  if (busy !== undefined) return { due: false, why: `demand comes first: ${busy}` };
  if (sourceChangedAt === undefined) return { due: false, why: "there is no image file" };
  const waits: { readonly at: number; readonly why: string }[] = [];
  if (lastDoneAt !== undefined && lastDoneAt <= now)
    waits.push({
      at: lastDoneAt + everyMs,
      why: `the last one was ${formatDuration(now - lastDoneAt)} ago, and one is due every ${formatDuration(everyMs)}`,
    });
  // A file from the future (a clock that was put back) is not waited for.
  if (sourceChangedAt <= now)
    waits.push({
      at: sourceChangedAt + SETTLED_AFTER_MS,
      why: "the image file was changed a moment ago and may still be being written",
    });
  if (failure && failure.failures > 0)
    waits.push({ at: failure.nextTryAt, why: "the last one failed, and it is tried again later" });
  const latest = waits.reduce((one, other) => (other.at > one.at ? other : one), { at: now, why: "" });
  const at = windows?.length ? firstWithin(windows, Math.max(latest.at, now), timeZone) : latest.at;
  if (latest.at > now) return { due: false, why: latest.why, ...(at === undefined ? {} : { at }) };
  if (at === undefined || at > now)
    return {
      due: false,
      why: "it is outside of the time that it may run in",
      ...(at === undefined ? {} : { at }),
    };
  return {
    due: true,
    why: lastDoneAt === undefined ? "it was never done" : `${formatDuration(now - lastDoneAt)} have passed`,
  };
}

/** The first moment from `from` on that a window holds. */
function firstWithin(
  windows: readonly BandwidthWindow[],
  from: number,
  timeZone: string | undefined,
): number | undefined {
  const now = new Date(from);
  if (isWithin(windows, now, timeZone)) return from;
  const open = windows.map((window): BandwidthWindow => ({ ...window, capBps: "none" }));
  return nextChange({ capBps: "off", windows: open, timeZone }, now)?.getTime();
}

/** What an earlier background transfer did to what the far side measures. */
export interface LinkMemory {
  /** What it was allowed, bits per second. */
  readonly capBps: number;
  /** What the link was known to carry before it. */
  readonly linkBps: number;
}

/** A far side that measured a transfer at low priority measured its cap. More than that is the link again. */
const MORE_THAN_CAP = 1.2;

/**
 * What the link carries: what was measured last, unless that was our own transfer at low priority; then what was known before it. Both
 * the lead time and the next cap would otherwise be taken from a rate that nobody wanted more of.
 */
export function linkBpsKnowing(measuredBps: number, memory: LinkMemory | undefined): number {
  if (!memory || measuredBps > memory.capBps * MORE_THAN_CAP) return measuredBps;
  return Math.max(measuredBps, memory.linkBps);
}

/** The share of the link that a background transfer takes where nothing else is said. */
const LOW_PRIORITY = 0.25;
const WHILE_UNKNOWN_BPS = 4_000_000;

/** Bits per second that a background transfer may take where nothing else is said: a quarter of the link. @param linkBps 0: not known */
export function lowPriorityCapBps(linkBps: number): number {
  return linkBps > 0 ? Math.max(1_000, Math.round(linkBps * LOW_PRIORITY)) : WHILE_UNKNOWN_BPS;
}
