const DAY_MS = 86_400_000;
const SAMPLE_MS = 6 * 3_600_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Does this runtime know the zone? */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** What the clock on the wall is ahead of UTC by, in milliseconds. @param zone an IANA name; undefined: this machine's */
export function offsetMsAt(at: number, zone: string | undefined): number {
  if (zone === undefined) return -new Date(at).getTimezoneOffset() * 60_000;
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(at)) part[type] = Number(value);
  const wall = Date.UTC(
    part.year ?? 0,
    (part.month ?? 1) - 1,
    part.day ?? 1,
    part.hour ?? 0,
    part.minute ?? 0,
    part.second ?? 0,
  );
  return wall - Math.floor(at / 1_000) * 1_000;
}

/** A stretch of time in which no clock is put forward or back. */
export interface EvenTime {
  readonly from: number;
  readonly to: number;
  readonly offsetMs: number;
}

/** Splits a span of time where the zone's clocks are changed. */
export function evenTimes(from: number, to: number, zone: string | undefined): EvenTime[] {
  const found: EvenTime[] = [];
  let start = from;
  let offsetMs = offsetMsAt(from, zone);
  for (let at = from; at < to;) {
    const next = Math.min(at + SAMPLE_MS, to);
    const after = offsetMsAt(next, zone);
    if (after !== offsetMs) {
      let [before, changed] = [at, next];
      while (changed - before > 1) {
        const middle = Math.floor((before + changed) / 2);
        if (offsetMsAt(middle, zone) === offsetMs) before = middle;
        else changed = middle;
      }
      found.push({ from: start, to: changed, offsetMs });
      start = changed;
      offsetMs = offsetMsAt(changed, zone);
      at = changed;
    } else {
      at = next;
    }
  }
  if (start < to) found.push({ from: start, to, offsetMs });
  return found;
}

/** Day of the week (Monday is 0) and milliseconds since midnight, of a time on the wall. */
export function onTheWall(wallMs: number): { readonly day: number; readonly sinceMidnightMs: number } {
  const days = Math.floor(wallMs / DAY_MS);
  // The epoch was a Thursday.
  return { day: (((days + 3) % 7) + 7) % 7, sinceMidnightMs: wallMs - days * DAY_MS };
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}
