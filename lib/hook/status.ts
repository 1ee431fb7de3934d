import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { SpillwayError, messageOf } from "../errors";
import type { Decision, Observation, Phase } from "../policy";
import type { ProviderProgress } from "./events";
import type { PrePositionStatus } from "./pre-positioner";

/** What `spillway status` shows of a hook. JSON, rewritten at every turn of the loop. Times are milliseconds since 1970. */
export interface HookStatus {
  readonly version: 1;
  readonly burst: string;
  readonly mode: "apply" | "propose";
  readonly pid: number;
  readonly updatedAt: number;
  readonly phase: Phase;
  readonly phaseSince: number;
  readonly decision?: Decision;
  /** The last decision that changed something. */
  readonly lastChange?: { readonly at: number; readonly action: Decision["action"]; readonly reason: string };
  /** What may happen next, for a person. */
  readonly next: string;
  readonly observation?: Observation;
  /** The apply that is going on. */
  readonly running?: {
    readonly since: number;
    readonly step: string;
    readonly progress?: ProviderProgress;
  };
  /** Failures in a row, the last one, and when it is tried again. */
  readonly failures: number;
  readonly lastProblem?: string;
  readonly nextTryAt?: number;
  /** How the image is kept near between bursts; undefined: it is not. */
  readonly prePosition?: PrePositionStatus;
}

/** Replaces the status whole: a reader sees the old or the new. */
export function writeStatus(file: string, status: HookStatus): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, `${JSON.stringify(status, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

/** The last status a hook wrote; undefined if none ever ran. It may be old: compare `updatedAt`, or ask `leaseHolder`. */
export function readStatus(file: string): HookStatus | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as HookStatus;
  } catch (error) {
    throw new SpillwayError({
      place: file,
      problem: `the status is no JSON: ${messageOf(error)}`,
      mend: "Delete the file; a running hook writes it anew within a second.",
    });
  }
}
