import type { ProblemReport } from "../errors";
import type { PrePosition } from "../hook/manifest";
import type { BandwidthPlan } from "../image/bandwidth/plan";
import { tryParseCap, type Cap } from "../image/bandwidth/rate";
import { isTimeZone } from "../image/bandwidth/wall-clock";
import { tryParseWindow } from "../image/bandwidth/window";
import { lowPriorityCapBps } from "./pre-position";

const SHORTEST_MS = 1_000;
const FIGURES = [
  "storagePricePerGbMonth",
  "transferPricePerGb",
  "lateMinutePrice",
  "burstsPerMonth",
  "leadTimeMs",
] as const;

/** What is wrong with the settings; empty if nothing is. @param prefix how they are called in the problems */
export function prePositionProblems(
  settings: PrePosition,
  prefix = "prePosition",
): Omit<ProblemReport, "place">[] {
  const { source, exact, format, everyMs, cap, windows, timeZone, seed } = settings;
  const problems: Omit<ProblemReport, "place">[] = [];
  const wrong = (name: string, must: string, value: unknown, mend: string) =>
    problems.push({
      problem: `\`${prefix}.${name}\` must ${must}, got ${JSON.stringify(value) ?? "nothing"}`,
      mend,
      attribute: [prefix, ...name.split(".")],
    });
  if (typeof source !== "string" || source === "")
    wrong("source", "be a path", source, "Give the path of the image file.");
  if (exact !== undefined && typeof exact !== "boolean")
    wrong("exact", "be true or false", exact, "Leave it out unless free blocks are to be sent too.");
  if (format !== undefined && format !== "raw" && format !== "qcow2")
    wrong("format", 'be "raw" or "qcow2"', format, "Leave it out to have it told from the file.");
  if (!Number.isInteger(everyMs) || everyMs < SHORTEST_MS)
    wrong(
      "everyMs",
      `be a whole number of at least ${SHORTEST_MS} milliseconds`,
      everyMs,
      "6 hours are 21_600_000.",
    );
  const parsed = cap === undefined ? undefined : tryParseCap(String(cap));
  if (parsed && "problem" in parsed)
    problems.push({
      ...parsed.problem,
      problem: `\`${prefix}.cap\`: ${parsed.problem.problem}`,
      attribute: [prefix, "cap"],
    });
  else if (parsed?.cap === "off")
    wrong(
      "cap",
      "not be off",
      cap,
      "To do without, leave the pre-positioning out; to pause it by the clock, use `windows`.",
    );
  if (windows !== undefined && !Array.isArray(windows))
    wrong("windows", "be a list", windows, 'Write ["22:00-06:00"].');
  for (const [at, text] of (Array.isArray(windows) ? windows : []).entries()) {
    const found = tryParseWindow(String(text), "none");
    for (const each of "problems" in found ? found.problems : [])
      problems.push({
        ...each,
        problem: `\`${prefix}.windows\`: ${each.problem}`,
        attribute: [prefix, "windows", at],
      });
  }
  if (timeZone !== undefined && !isTimeZone(timeZone))
    wrong("timeZone", "be a time zone", timeZone, "Use a name such as Europe/Berlin or UTC.");
  if (seed !== undefined && (typeof seed !== "object" || seed === null)) {
    wrong("seed", "be an object", seed, "Give at least `storagePricePerGbMonth`, or leave it out.");
    return problems;
  }
  for (const name of seed ? FIGURES : []) {
    const value = seed?.[name];
    if (value === undefined && name !== "storagePricePerGbMonth") continue;
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) continue;
    wrong(`seed.${name}`, "be a number of 0 or more", value, "Correct it, or leave `seed` out.");
  }
  return problems;
}

/**
 * What the background transfer may take, and when: nothing outside of its windows, if it has any.
 * @param settings without problems
 * @param linkBps what the link carries; 0: not known
 */
export function prePositionBandwidth(
  { cap, windows, timeZone }: Pick<PrePosition, "cap" | "windows" | "timeZone">,
  linkBps: number,
): BandwidthPlan {
  const parsed = cap === undefined ? undefined : tryParseCap(cap);
  const usual: Cap = parsed && "cap" in parsed ? parsed.cap : lowPriorityCapBps(linkBps);
  const within = (windows ?? []).flatMap((text) => {
    const found = tryParseWindow(text, usual);
    return "window" in found ? [found.window] : [];
  });
  return {
    capBps: within.length > 0 ? "off" : usual,
    ...(within.length > 0 ? { windows: within } : {}),
    ...(timeZone === undefined ? {} : { timeZone }),
  };
}
