import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { messageOf, SpillwayError } from "../../errors";
import type { BandwidthPlan } from "./plan";
import { bandwidthText, parseBandwidth } from "./plan-text";

const READ_EVERY_MS = 1_000;

/** The plan of this user's whole machine: `$XDG_CONFIG_HOME/spillway/bandwidth.json`, or in `~/.config`. */
export function bandwidthFile(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), ".config"), "spillway", "bandwidth.json");
}

/** The plan in the file; `{}`, which is no limit, if there is no file. @throws SpillwayError, SpillwayErrors */
export function readBandwidth(file: string = bandwidthFile()): BandwidthPlan {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new SpillwayError({
      place: file,
      problem: `the bandwidth plan cannot be read: ${messageOf(error)}`,
      mend: "Make the file readable, or remove it.",
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SpillwayError({
      place: file,
      problem: `the bandwidth plan is no JSON: ${messageOf(error)}`,
      mend: "Mend or remove the file, or set the cap anew.",
    });
  }
  return parseBandwidth(value, file);
}

/**
 * Replaces the plan at once and whole; transfers that run follow within a second or two.
 * @throws SpillwayError if the file cannot be written
 */
export function writeBandwidth(plan: BandwidthPlan, file: string = bandwidthFile()): void {
  const draft = `${file}.${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(draft, `${JSON.stringify(bandwidthText(plan), null, 2)}\n`);
    renameSync(draft, file);
  } catch (error) {
    removeDraft(draft);
    throw new SpillwayError({
      place: file,
      problem: `the bandwidth plan cannot be written: ${messageOf(error)}`,
      mend: "Make the folder writable, or choose another with XDG_CONFIG_HOME.",
    });
  }
}

export interface WatchBandwidthOptions {
  /** @default {@link bandwidthFile} */
  readonly file?: string;
  /** @default 1000 */
  readonly everyMs?: number;
  /** Told once for each way in which the file is broken; the last good plan stays. */
  readonly onProblem?: (error: Error) => void;
}

/** A plan that may change while it is used. */
export interface WatchedBandwidth {
  current(): BandwidthPlan;
}

/**
 * Follows the file until the signal fires. Never throws: a file that is broken is told of, and the last good plan stays (at first: no
 * limit). A file that is removed takes its limit with it.
 */
export function watchBandwidth(signal: AbortSignal, options: WatchBandwidthOptions = {}): WatchedBandwidth {
  const file = options.file ?? bandwidthFile();
  let plan: BandwidthPlan = {};
  let seen: string | undefined;
  let told: string | undefined;
  const look = () => {
    const stamp = stampOf(file);
    if (stamp === seen && told === undefined) return;
    seen = stamp;
    try {
      plan = readBandwidth(file);
      told = undefined;
    } catch (error) {
      const message = messageOf(error);
      if (message !== told) options.onProblem?.(error as Error);
      told = message;
    }
  };
  look();
  if (signal.aborted) return { current: () => plan };
  const timer = setInterval(look, options.everyMs ?? READ_EVERY_MS);
  timer.unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  return { current: () => plan };
}

/** Files are replaced whole, so that another one has another number; one edited in place has another time. */
function stampOf(file: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown";
  }
}

function removeDraft(draft: string): void {
  try {
    rmSync(draft, { force: true });
  } catch {
    // Where it could not be written it may not be looked for either.
  }
}
