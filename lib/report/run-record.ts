/**
 * A finished run, as the report shows it. All times are milliseconds since the start of the run; rates are per second; sites are
 * named as in the stack.
 */
export interface RunRecord {
  /** What was run: `Demo: examples/shop`. */
  readonly title: string;
  /** One or two sentences under the title: where demand came from, what ran where. */
  readonly subtitle?: string;
  /** When the run began, milliseconds since 1970. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** In the order in which they are stacked and coloured, home first. */
  readonly sites: readonly string[];
  /** In order of time. */
  readonly samples: readonly RunSample[];
  readonly phases: readonly RunPhase[];
  readonly decisions: readonly RunDecision[];
  readonly applies: readonly RunApply[];
  readonly totals: RunTotals;
  /** What a reader must know to judge the figures; a sentence each. */
  readonly notes?: readonly string[];
}

export type BySite = Readonly<Record<string, number>>;

export interface RunSample {
  readonly atMs: number;
  /** Requests offered by the users. */
  readonly offeredRps: number;
  /** Members up times what one carries. */
  readonly capacityRps: BySite;
  /** Good answers, by the site that made them. */
  readonly servedRps: BySite;
  /** The record's weights. A site that is not in the record is left out. */
  readonly weights: BySite;
  /** Users at the site, as its balancer sees them. */
  readonly sessions: BySite;
  readonly failedRps?: number;
  readonly latencyMs?: { readonly p50: number; readonly p95: number };
}

/** The seven phases of a burst, out and home. */
export type PhaseName = "transfer" | "launch" | "admit" | "shift" | "burst" | "drain" | "take-down";

export interface RunPhase {
  readonly name: PhaseName;
  readonly startMs: number;
  readonly endMs: number;
}

export interface RunDecision {
  readonly atMs: number;
  /** `burst`, `resize`, `home`, … */
  readonly action: string;
  readonly reason: string;
  readonly weights: BySite;
  /** Members wanted in the cloud. */
  readonly members: number;
}

export interface RunApply {
  readonly startMs: number;
  readonly endMs: number;
  readonly ok: boolean;
  /** Not `ok`, but stopped on purpose (returning demand, Ctrl-C): the next apply goes on from there. @default false */
  readonly stopped?: boolean;
  /** `3 added, 1 changed, 0 destroyed`, or the error's first line. */
  readonly summary: string;
}

/** How an apply ended, in one word. */
export function outcomeOf(apply: RunApply): "succeeded" | "stopped" | "failed" {
  if (apply.ok) return "succeeded";
  return apply.stopped === true ? "stopped" : "failed";
}

export interface RunTotals {
  readonly requests: number;
  readonly failed: number;
  /** Sent a second time after a kept connection was closed before any byte of the answer (RFC 9110 9.2.2). */
  readonly retried: number;
  /** Users at the cloud site at the moment its members were ended. */
  readonly sessionsAtTakeDown: number;
  readonly imageBytes: number;
  /** Bytes that crossed the link for it. */
  readonly imageBytesSent: number;
  readonly latencyMs?: { readonly p50: number; readonly p95: number; readonly p99: number };
}
