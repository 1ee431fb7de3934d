import {
  tryParseBandwidth,
  tryParseCap,
  tryParseWindow,
  type BandwidthPlan,
} from "../../../lib/image/bandwidth";
import { a, type CheckResult, type State } from "../plugin";

const isCap = (text: string): CheckResult => {
  const parsed = tryParseCap(text);
  return "cap" in parsed ? undefined : { problem: "must be a rate", mend: parsed.problem.mend };
};

const isWindow = (text: string): CheckResult => {
  const parsed = tryParseWindow(text);
  if ("window" in parsed) return undefined;
  const [first] = parsed.problems;
  return { problem: "must be a window of time", mend: first?.mend };
};

const isTimeZone = (text: string): CheckResult => {
  const [first] = tryParseBandwidth({ timeZone: text }).problems;
  return first && { problem: "must be a time zone", mend: first.mend };
};

/** The attributes of a bandwidth plan. */
export const bandwidthAttributes = {
  cap: a
    .string()
    .optional()
    .check(isCap)
    .describe("The most that it takes: `20Mbit`, `2MB/s`, `unlimited`, `off`. Without it there is no limit."),
  windows: a
    .list(a.string().check(isWindow))
    .optional()
    .describe(
      "Parts of the week with a cap of their own: `mon-fri 08:00-18:00 10Mbit`, `22:00-06:00 unlimited`. The first that the moment lies in counts.",
    ),
  time_zone: a
    .string()
    .optional()
    .check(isTimeZone)
    .describe("Whose clock the windows go by: `Europe/Zurich`. Without it, that of the machine that sends."),
};

/** Undefined where nothing is said. The attributes were checked. */
export function bandwidthPlan(
  bandwidth: State<typeof bandwidthAttributes> | null,
): BandwidthPlan | undefined {
  if (!bandwidth) return undefined;
  const { cap, windows, time_zone: timeZone } = bandwidth;
  return tryParseBandwidth({
    ...(cap === null ? {} : { cap }),
    ...(windows === null ? {} : { windows }),
    ...(timeZone === null ? {} : { timeZone }),
  }).plan;
}

/** A cap that holds at any time of the week; undefined if there is none. */
export function fixedCapBps(plan: BandwidthPlan | undefined): number | undefined {
  if (!plan || plan.windows?.length) return undefined;
  return typeof plan.capBps === "number" && plan.capBps > 0 ? plan.capBps : undefined;
}
