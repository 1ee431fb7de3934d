import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError } from "../../lib/errors";

/** Requests in the minute that begins at `atMs` (milliseconds since 1970). */
export interface TracePoint {
  readonly atMs: number;
  readonly requests: number;
}

/** A part of the trace, from where the part before it ended, told in so many seconds. */
export interface Leg {
  readonly name: "quiet" | "rise" | "peak" | "fall" | "tail";
  /** End of the part, as in the trace: `1998-06-10T15:00Z`. */
  readonly until: string;
  readonly seconds: number;
}

/** Which part of a trace is replayed, and how time is compressed in it. */
export interface Stretch {
  readonly from: string;
  readonly legs: readonly Leg[];
}

/**
 * The afternoon of the opening match of 10 June 1998 in 75 seconds. Kick-off was at 15:30 UTC. The rise is told more slowly than the
 * hours around it: in the trace it takes 45 minutes, time enough for any burst.
 */
export const OPENING_MATCH: Stretch = {
  from: "1998-06-10T14:20Z",
  legs: [
    { name: "quiet", until: "1998-06-10T15:00Z", seconds: 8 },
    { name: "rise", until: "1998-06-10T15:45Z", seconds: 22 },
    { name: "peak", until: "1998-06-10T17:25Z", seconds: 18 },
    { name: "fall", until: "1998-06-10T18:10Z", seconds: 12 },
    { name: "tail", until: "1998-06-10T18:50Z", seconds: 15 },
  ],
};

/** The same stretch told in so many seconds altogether, each leg by the same factor. */
export function stretchTo(stretch: Stretch, seconds: number): Stretch {
  const factor = seconds / stretch.legs.reduce((sum, leg) => sum + leg.seconds, 0);
  return { from: stretch.from, legs: stretch.legs.map((leg) => ({ ...leg, seconds: leg.seconds * factor })) };
}

/** Demand over the time of the demo. */
export interface DemandCurve {
  readonly stepMs: number;
  /** Requests per second at `index * stepMs`; between two, demand runs straight. */
  readonly rps: readonly number[];
}

export interface CurveOptions {
  /** @default OPENING_MATCH */
  readonly stretch?: Stretch;
  /** Requests per second that the mean of the first leg becomes. */
  readonly quietRps: number;
  /** Requests per second that the highest point becomes. Above `quietRps`. */
  readonly peakRps: number;
  /** Distance of two points of the curve. @default 250 */
  readonly stepMs?: number;
  /** The trace is averaged over so much time of the demo, so that single minutes do not show as spikes. @default 1000 */
  readonly windowMs?: number;
}

const MINUTE_MS = 60_000;

/** The trace shipped with the demo: see `trace/SOURCE.txt`. */
export function readShippedTrace(): readonly TracePoint[] {
  const file = join(__dirname, "trace", "worldcup98-1998-06-10.csv");
  return parseTrace(readFileSync(file, "utf8"), file);
}

/**
 * Reads a trace: `timestamp,requests`, a line a minute in order, `#` for comments.
 * @throws SpillwayError naming the first line that is not so
 */
export function parseTrace(text: string, place: string): readonly TracePoint[] {
  const points: TracePoint[] = [];
  text.split("\n").forEach((line, index) => {
    if (line.trim() === "" || line.startsWith("#") || line.trim() === "timestamp,requests") return;
    const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z),(\d+)\s*$/.exec(line);
    const atMs = match ? Date.parse(match[1]) : Number.NaN;
    const previous = points.at(-1);
    if (!match || Number.isNaN(atMs)) {
      throw badTrace(place, index, line, "is not `timestamp,requests`");
    }
    if (previous && atMs !== previous.atMs + MINUTE_MS) {
      throw badTrace(place, index, line, "does not follow the line before it by one minute");
    }
    points.push({ atMs, requests: Number(match[2]) });
  });
  if (points.length < 2) {
    throw new SpillwayError({
      place,
      problem: `a trace needs at least 2 minutes, got ${points.length}`,
      mend: "Give a file of `timestamp,requests` lines, one a minute.",
    });
  }
  return points;
}

function badTrace(place: string, index: number, line: string, what: string): SpillwayError {
  return new SpillwayError({
    place: `${place}:${index + 1}`,
    problem: `the line "${line.slice(0, 60)}" ${what}`,
    mend: "Write one line a minute, as 1998-06-10T15:00Z,54324.",
  });
}

/**
 * Compresses a stretch of the trace into the demo's time. The shape is the trace's; its level is laid (by one straight line) so that
 * the quiet and the peak come out as asked.
 * @throws SpillwayError if the stretch is not in the trace, or has no peak
 */
export function demandCurve(trace: readonly TracePoint[], options: CurveOptions): DemandCurve {
  const stretch = options.stretch ?? OPENING_MATCH;
  const stepMs = options.stepMs ?? 250;
  const windowMs = options.windowMs ?? 1_000;
  const legs = timedLegs(trace, stretch);
  const durationMs = legs.at(-1)!.endMs;
  const volume = cumulative(trace);

  const raw: number[] = [];
  for (let at = 0; at <= durationMs; at += stepMs) {
    const from = traceTime(legs, Math.max(0, at - windowMs / 2));
    const to = traceTime(legs, Math.min(durationMs, at + windowMs / 2));
    raw.push((volume(to) - volume(from)) / (to - from));
  }
  const quietSamples = raw.slice(0, Math.max(1, Math.floor(legs[0].endMs / stepMs)));
  const quiet = quietSamples.reduce((sum, value) => sum + value, 0) / quietSamples.length;
  const peak = raw.reduce((most, value) => Math.max(most, value), 0);
  if (!(peak > quiet) || !(options.peakRps > options.quietRps) || !(options.quietRps > 0)) {
    throw new SpillwayError({
      place: `the stretch from ${stretch.from}`,
      problem:
        peak > quiet
          ? `the peak must be above the quiet, and both above 0: got ${options.quietRps} and ${options.peakRps} requests/s`
          : "demand never rises above its first part",
      mend: "Choose a stretch that begins before a peak, and a peak above the quiet level.",
    });
  }
  const slope = (options.peakRps - options.quietRps) / (peak - quiet);
  return { stepMs, rps: raw.map((value) => Math.max(0, options.quietRps + (value - quiet) * slope)) };
}

/** Length of the curve in milliseconds. */
export function curveDurationMs(curve: DemandCurve): number {
  return (curve.rps.length - 1) * curve.stepMs;
}

/** Requests per second at a time of the demo. Before the curve its first value holds, after it the last. */
export function demandAt(curve: DemandCurve, atMs: number): number {
  const last = curve.rps.length - 1;
  const position = Math.min(Math.max(atMs / curve.stepMs, 0), last);
  const index = Math.min(Math.floor(position), last - 1);
  if (last === 0) return curve.rps[0];
  return curve.rps[index] + (curve.rps[index + 1] - curve.rps[index]) * (position - index);
}

interface TimedLeg {
  readonly startMs: number;
  readonly endMs: number;
  readonly traceStart: number;
  readonly traceEnd: number;
}

function timedLegs(trace: readonly TracePoint[], stretch: Stretch): readonly TimedLeg[] {
  const legs: TimedLeg[] = [];
  let traceStart = Date.parse(stretch.from);
  let startMs = 0;
  for (const leg of stretch.legs) {
    const traceEnd = Date.parse(leg.until);
    const endMs = startMs + leg.seconds * 1_000;
    if (!(traceEnd > traceStart) || !(leg.seconds > 0)) {
      throw new SpillwayError({
        place: `leg ${leg.name}`,
        problem: `a leg must end after it starts and take time, got until ${leg.until} in ${leg.seconds} s`,
        mend: "Order the legs in time, each with more than 0 seconds.",
      });
    }
    legs.push({ startMs, endMs, traceStart, traceEnd });
    startMs = endMs;
    traceStart = traceEnd;
  }
  const first = trace[0].atMs;
  const end = trace.at(-1)!.atMs + MINUTE_MS;
  if (legs.length === 0 || legs[0].traceStart < first || traceStart > end) {
    throw new SpillwayError({
      place: `the stretch from ${stretch.from}`,
      problem: `the trace holds ${iso(first)} to ${iso(end)}, the stretch is ${legs.length} legs to ${stretch.legs.at(-1)?.until}`,
      mend: "Choose a stretch inside the trace.",
    });
  }
  return legs;
}

function iso(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16) + "Z";
}

function traceTime(legs: readonly TimedLeg[], atMs: number): number {
  const leg = legs.find((candidate) => atMs <= candidate.endMs) ?? legs.at(-1)!;
  const part = (atMs - leg.startMs) / (leg.endMs - leg.startMs);
  return leg.traceStart + part * (leg.traceEnd - leg.traceStart);
}

/** Requests before a moment of the trace, as a function: a mean over any interval is then one subtraction. */
function cumulative(trace: readonly TracePoint[]): (atMs: number) => number {
  const before: number[] = [0];
  for (const point of trace) before.push(before.at(-1)! + point.requests);
  return (atMs) => {
    const position = (atMs - trace[0].atMs) / MINUTE_MS;
    const index = Math.min(Math.floor(position), trace.length - 1);
    return before[index] + trace[index].requests * (position - index);
  };
}
