import { SpillwayError, type ProblemReport } from "../../errors";
import { formatCap, tryParseCap, type Cap } from "./rate";

/** Monday first, as the week is told. */
export const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof WEEK)[number];

/** A part of the week with a cap of its own, by the clock on the wall. */
export interface BandwidthWindow {
  /** The days on which it begins. @default - every day */
  readonly days?: readonly Day[];
  /** `08:00`. */
  readonly from: string;
  /** `18:00`; up to `24:00`. At or before `from`: on the next day. */
  readonly to: string;
  readonly capBps: Cap;
}

export const MINUTES_A_DAY = 1_440;

/** A window, or all that is wrong with the text. */
export type ParsedWindow =
  { readonly window: BandwidthWindow } | { readonly problems: readonly Omit<ProblemReport, "place">[] };

const FORM =
  "Write it as `mon-fri 08:00-18:00 10Mbit`, `22:00-06:00 unlimited` or `sat,sun 00:00-24:00 off`.";

/**
 * A window as people write it: days (`mon-fri`, `sat,sun`, `daily` or nothing), two times of day and a rate.
 * @param cap what a window without a rate of its own has; undefined: it must have one
 */
export function tryParseWindow(text: string, cap?: Cap): ParsedWindow {
  const match = /^(?:(\S+)\s+)?(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})(?:\s+(.+))?$/.exec(text.trim());
  const quoted = JSON.stringify(text);
  if (!match) return { problems: [{ problem: `${quoted} is not a window of time`, mend: FORM }] };
  const [, dayText, fromText = "", toText = "", capText] = match;
  const problems: Omit<ProblemReport, "place">[] = [];
  const days = dayText === undefined || /^daily$/i.test(dayText) ? undefined : parseDays(dayText);
  if (dayText !== undefined && days === "wrong") {
    problems.push({
      problem: `the window ${quoted} names the days ${JSON.stringify(dayText)}`,
      mend: `Use ${WEEK.join(", ")}, ranges such as mon-fri, or lists such as sat,sun.`,
    });
  }
  for (const [time, last] of [
    [fromText, MINUTES_A_DAY - 1],
    [toText, MINUTES_A_DAY],
  ] as const) {
    if ((tryMinuteOf(time) ?? Infinity) <= last) continue;
    problems.push({
      problem: `the window ${quoted} has ${JSON.stringify(time)} for a time of day`,
      mend: "Give hours and minutes, 00:00 to 23:59; a window may end at 24:00.",
    });
  }
  const own = capText === undefined ? undefined : tryParseCap(capText);
  if (own && "problem" in own) problems.push(own.problem);
  const found = own && "cap" in own ? own.cap : cap;
  if (!own && cap === undefined)
    problems.push({ problem: `the window ${quoted} does not say how much it allows`, mend: FORM });
  if (problems.length > 0 || found === undefined || days === "wrong") return { problems };
  return {
    window: { ...(days ? { days } : {}), from: padded(fromText), to: padded(toText), capBps: found },
  };
}

/** @param place where the text is from, for the error @throws SpillwayError for the first thing that is wrong */
export function parseWindow(text: string, place: string, cap?: Cap): BandwidthWindow {
  const parsed = tryParseWindow(text, cap);
  if ("window" in parsed) return parsed.window;
  const [first] = parsed.problems;
  throw new SpillwayError({
    place,
    ...(first ?? { problem: `${text} is not a window of time`, mend: FORM }),
  });
}

/** As {@link parseWindow} takes it back. */
export function formatWindow({ days, from, to, capBps }: BandwidthWindow): string {
  return `${days === undefined ? "daily" : days.join(",")} ${from}-${to} ${formatCap(capBps)}`;
}

/** Minutes since midnight; undefined for what is no time of day from 00:00 to 24:00. */
export function tryMinuteOf(time: string): number | undefined {
  const match = /^(\d{1,2}):(\d{2})$/.exec(time);
  if (!match) return undefined;
  const [hours, minutes] = [Number(match[1]), Number(match[2])];
  const minute = hours * 60 + minutes;
  return minutes < 60 && minute <= MINUTES_A_DAY ? minute : undefined;
}

function parseDays(text: string): readonly Day[] | "wrong" {
  const days = new Set<Day>();
  for (const part of text.toLowerCase().split(",")) {
    const [first = "", last = first, ...more] = part.split("-");
    const [from, to] = [WEEK.indexOf(first as Day), WEEK.indexOf(last as Day)];
    if (from < 0 || to < 0 || more.length > 0) return "wrong";
    // `fri-mon` goes round the end of the week.
    for (let at = from; ; at = (at + 1) % WEEK.length) {
      days.add(WEEK[at] as Day);
      if (at === to) break;
    }
  }
  return WEEK.filter((day) => days.has(day));
}

function padded(time: string): string {
  return time.padStart(5, "0");
}
