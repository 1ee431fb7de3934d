import type { ApiCall } from "./api-call";
import type { RecordedCall } from "./proxy";

/** What goes wrong with a call. */
export type Fault =
  /** Too many requests, in the service's own words. */
  | { readonly kind: "throttle" }
  | { readonly kind: "error"; readonly status: number; readonly code: string; readonly message: string }
  /** No answer, and it is not done. */
  | { readonly kind: "hang" }
  /** The connection breaks, and it is not done. */
  | { readonly kind: "reset" }
  /** It is done, and the connection breaks before the answer. */
  | { readonly kind: "lost-answer" }
  /** It waits, and is then done. */
  | { readonly kind: "delay"; readonly ms: number };

export interface FaultRule {
  readonly when: (call: ApiCall) => boolean;
  readonly fault: Fault;
  /** The first matching call that it befalls, from 1. @default 1 */
  readonly from?: number;
  /** How many matching calls it befalls. @default all */
  readonly times?: number;
  /** For how long, in milliseconds from the first call that it befalls. @default for ever */
  readonly forMs?: number;
}

/** A rule that is in force, and what it has done. */
export interface ActiveFault {
  /** Calls that it befell. */
  readonly hits: readonly RecordedCall[];
  end(): void;
}

/** One of an API's actions, or a set of them. */
export function action(name: string | RegExp, service?: string): (call: ApiCall) => boolean {
  return (call) =>
    (typeof name === "string" ? call.action === name : name.test(call.action)) &&
    (service === undefined || call.service === service);
}

/** Rules in the order in which they were made: the first counts that matches and is in force for this call. */
export class Faults {
  private readonly rules = new Set<{ rule: FaultRule; seen: number; since?: number; hits: RecordedCall[] }>();

  add(rule: FaultRule): ActiveFault {
    const kept = { rule, seen: 0, hits: [] };
    this.rules.add(kept);
    return { hits: kept.hits, end: () => this.rules.delete(kept) };
  }

  clear(): void {
    this.rules.clear();
  }

  /** What befalls this call. Counts it. */
  of(call: RecordedCall): Fault | undefined {
    for (const kept of this.rules) {
      const { when, from = 1, times = Infinity, forMs = Infinity, fault } = kept.rule;
      if (!when(call)) continue;
      kept.seen++;
      if (kept.seen < from || kept.seen >= from + times) continue;
      kept.since ??= Date.now();
      if (Date.now() - kept.since > forMs) continue;
      kept.hits.push(call);
      return fault;
    }
    return undefined;
  }
}

/** How each service says that it is asked too often. */
export function throttlingOf(call: ApiCall): { status: number; code: string; message: string } {
  const message = "Rate exceeded";
  if (call.service === "ec2")
    return { status: 503, code: "RequestLimitExceeded", message: "Request limit exceeded." };
  if (call.service === "ebs") return { status: 400, code: "RequestThrottledException", message };
  if (call.service === "s3")
    return { status: 503, code: "SlowDown", message: "Please reduce your request rate." };
  return { status: 400, code: "Throttling", message };
}
