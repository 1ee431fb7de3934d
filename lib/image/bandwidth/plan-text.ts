import { throwProblems, type ProblemReport } from "../../errors";
import type { BandwidthPlan } from "./plan";
import { formatCap, tryParseCap, type Cap } from "./rate";
import { isTimeZone } from "./wall-clock";
import { formatWindow, tryParseWindow, type BandwidthWindow } from "./window";

/** A plan as people write it: in a file, in props, on the command line. */
export interface BandwidthText {
  /** `20Mbit`, `2MB/s`, `unlimited`, `off`. @default "unlimited" */
  readonly cap?: string;
  /** `mon-fri 08:00-18:00 10Mbit`; the first that a moment lies in counts. @default - none */
  readonly windows?: readonly string[];
  /** IANA name. @default - this machine's */
  readonly timeZone?: string;
}

const KEYS = ["cap", "windows", "timeZone"];

/**
 * Reads a plan from text or from JSON, which may hold anything.
 * @param place a file, a construct path, an option
 * @throws SpillwayError, SpillwayErrors with all that is wrong
 */
export function parseBandwidth(value: unknown, place: string): BandwidthPlan {
  const { plan, problems } = tryParseBandwidth(value);
  throwProblems(problems.map((problem) => ({ place, ...problem })));
  return plan;
}

/** The plan, and what is wrong with it. */
export function tryParseBandwidth(value: unknown): {
  readonly plan: BandwidthPlan;
  readonly problems: readonly Omit<ProblemReport, "place">[];
} {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const mend = `Write an object such as { "cap": "20Mbit", "windows": ["22:00-06:00 unlimited"] }.`;
    return {
      plan: {},
      problems: [{ problem: `a bandwidth plan must be an object, got ${show(value)}`, mend }],
    };
  }
  const problems: Omit<ProblemReport, "place">[] = [];
  const { cap, windows, timeZone } = value as Record<string, unknown>;
  for (const key of Object.keys(value)) {
    if (KEYS.includes(key)) continue;
    problems.push({
      problem: `a bandwidth plan has no \`${key}\``,
      mend: `It has ${KEYS.map((each) => `\`${each}\``).join(", ")}.`,
      attribute: [key],
    });
  }
  const plan = {
    ...read("capBps", cap, problems, capOf),
    ...read("windows", windows, problems, windowsOf),
    ...read("timeZone", timeZone, problems, timeZoneOf),
  };
  return { plan, problems };
}

/** As {@link parseBandwidth} takes it back. */
export function bandwidthText({ capBps, windows, timeZone }: BandwidthPlan): BandwidthText {
  return {
    ...(capBps === undefined ? {} : { cap: formatCap(capBps) }),
    ...(windows === undefined ? {} : { windows: windows.map(formatWindow) }),
    ...(timeZone === undefined ? {} : { timeZone }),
  };
}

type Problems = Omit<ProblemReport, "place">[];

function read<K extends string, T>(
  key: K,
  value: unknown,
  problems: Problems,
  of: (value: unknown, problems: Problems) => T | undefined,
): { [key in K]?: T } {
  if (value === undefined) return {};
  const found = of(value, problems);
  return found === undefined ? {} : ({ [key]: found } as { [key in K]?: T });
}

function capOf(value: unknown, problems: Problems): Cap | undefined {
  const parsed = tryParseCap(typeof value === "string" ? value : show(value));
  if ("cap" in parsed) return parsed.cap;
  problems.push({ ...parsed.problem, attribute: ["cap"] });
  return undefined;
}

function windowsOf(value: unknown, problems: Problems): readonly BandwidthWindow[] | undefined {
  if (!Array.isArray(value)) {
    problems.push({
      problem: `\`windows\` must be a list, got ${show(value)}`,
      mend: `Write ["mon-fri 08:00-18:00 10Mbit"].`,
      attribute: ["windows"],
    });
    return undefined;
  }
  return value.flatMap((each: unknown, at) => {
    const parsed = tryParseWindow(typeof each === "string" ? each : show(each));
    if ("window" in parsed) return [parsed.window];
    problems.push(...parsed.problems.map((problem) => ({ ...problem, attribute: ["windows", at] })));
    return [];
  });
}

function timeZoneOf(value: unknown, problems: Problems): string | undefined {
  if (typeof value === "string" && isTimeZone(value)) return value;
  problems.push({
    problem: `\`timeZone\` is ${show(value)}, which is no time zone that this machine knows`,
    mend: "Use a name such as Europe/Berlin or UTC, or leave it out for this machine's.",
    attribute: ["timeZone"],
  });
  return undefined;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
