import type { Cap } from "./rate";
import { evenTimes, offsetMsAt, onTheWall } from "./wall-clock";
import { tryMinuteOf, WEEK, type BandwidthWindow } from "./window";

/** How much of a link transfers may take, and when. */
export interface BandwidthPlan {
  /** Outside of all windows. @default "none" */
  readonly capBps?: Cap;
  /** The first that a moment lies in counts. @default - none */
  readonly windows?: readonly BandwidthWindow[];
  /** IANA name of the zone whose clocks the windows go by. @default - this machine's */
  readonly timeZone?: string;
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** A week repeats itself but for clocks that are changed; the cap of any window is met within it. */
const LOOK_AHEAD_MS = 9 * DAY_MS;

/** Bits per second that are allowed now; undefined for no limit, 0 for none at all. */
export function capAt(plan: BandwidthPlan, now: Date): number | undefined {
  const at = now.getTime();
  return bpsOf(plan.windows?.length ? capOnTheWall(plan, at + offsetMsAt(at, plan.timeZone)) : plan.capBps);
}

/** When {@link capAt} is another than now; undefined if that is not within nine days. */
export function nextChange(plan: BandwidthPlan, now: Date): Date | undefined {
  if (!plan.windows?.length) return undefined;
  const start = now.getTime();
  const present = capAt(plan, now);
  const edges = edgesOf(plan.windows);
  for (const { from, to, offsetMs } of evenTimes(start, start + LOOK_AHEAD_MS, plan.timeZone)) {
    const firstDay = Math.floor((from + offsetMs) / DAY_MS) * DAY_MS;
    const candidates = [from];
    for (let day = firstDay; day < to + offsetMs; day += DAY_MS) {
      for (const edge of edges) {
        const at = day + edge - offsetMs;
        if (at > from && at < to) candidates.push(at);
      }
    }
    const found = candidates.find((at) => at > start && bpsOf(capOnTheWall(plan, at + offsetMs)) !== present);
    if (found !== undefined) return new Date(found);
  }
  return undefined;
}

/** The lowest of what several plans allow; undefined for no limit. */
export function lowestCapAt(plans: readonly BandwidthPlan[], now: Date): number | undefined {
  const caps = plans.map((plan) => capAt(plan, now)).filter((cap) => cap !== undefined);
  return caps.length === 0 ? undefined : Math.min(...caps);
}

/** The earliest of the plans' next changes. */
export function earliestChange(plans: readonly BandwidthPlan[], now: Date): Date | undefined {
  const changes = plans.map((plan) => nextChange(plan, now)?.getTime()).filter((at) => at !== undefined);
  return changes.length === 0 ? undefined : new Date(Math.min(...changes));
}

/** Is a moment within one of the windows? Without windows it always is. */
export function isWithin(
  windows: readonly BandwidthWindow[] | undefined,
  now: Date,
  timeZone?: string,
): boolean {
  if (!windows?.length) return true;
  const at = now.getTime();
  return windows.some((window) => holds(window, at + offsetMsAt(at, timeZone)));
}

function capOnTheWall(plan: BandwidthPlan, wallMs: number): Cap | undefined {
  const window = plan.windows?.find((each) => holds(each, wallMs));
  return window ? window.capBps : plan.capBps;
}

/** By the wall clock alone: an hour that is lived twice is in the window twice, one that is skipped never comes. */
function holds(window: BandwidthWindow, wallMs: number): boolean {
  const { day, sinceMidnightMs } = onTheWall(wallMs);
  const minute = Math.floor(sinceMidnightMs / MINUTE_MS);
  const [from, to] = [minuteOf(window.from), minuteOf(window.to)];
  const beginsOn = (at: number) =>
    window.days === undefined || window.days.includes(WEEK[(at + 7) % 7] as (typeof WEEK)[number]);
  if (from < to) return minute >= from && minute < to && beginsOn(day);
  return (minute >= from && beginsOn(day)) || (minute < to && beginsOn(day - 1));
}

/** Milliseconds since midnight at which something may change, ascending. */
function edgesOf(windows: readonly BandwidthWindow[]): number[] {
  const minutes = windows.flatMap(({ from, to }) => [minuteOf(from), minuteOf(to)]);
  return [...new Set([0, ...minutes])].sort((one, other) => one - other).map((minute) => minute * MINUTE_MS);
}

/** @throws RangeError for what no parser lets through */
function minuteOf(time: string): number {
  const minute = tryMinuteOf(time);
  if (minute === undefined) throw new RangeError(`${time} is not a time of day`);
  return minute;
}

function bpsOf(cap: Cap | undefined): number | undefined {
  return cap === undefined || cap === "none" ? undefined : cap === "off" ? 0 : cap;
}
