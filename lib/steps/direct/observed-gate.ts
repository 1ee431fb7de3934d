import { SpillwayError } from "../../errors";
import {
  QueryError,
  type NamedQueries,
  type PoolObserver,
  type QueryObserver,
  type SeenAvailability,
} from "../../observers";
import type { MonitorSpec } from "../../site/api";
import { waitFor, type Look, type StepContext } from "../../wait";
import { observerFor, whyClosed } from "../queries";
import { probeEndpoint, type ProbedEndpoint } from "./probe";
import { Row } from "./row";

/** A gate that is to open, of a pool that has no agent. */
export interface ObservedGateRequest {
  /** The pool, for a person: `aws/eu-central-1/shop`. */
  readonly subject: string;
  /** Who sees the pool. */
  readonly pool: PoolObserver;
  /** Good looks in a row. */
  readonly successes: number;
  /** Members that must be up all that time. @default as many as the observer says are wanted, but at least 1 */
  readonly minMembers?: number;
  /** Also asked from here, for each look of the row. @default - the observer alone is believed */
  readonly endpoint?: ProbedEndpoint;
  /** How the endpoint is asked; its interval is that of the looks too. */
  readonly monitor: MonitorSpec;
  /** Conditions by name: each must hold in every look of the row. @default none */
  readonly openWhen?: NamedQueries;
  /** Who is asked for them. */
  readonly observer?: QueryObserver;
  readonly deadlineMs: number;
  /** Between two looks. @default - the monitor's, but at least 1000 */
  readonly intervalMs?: number;
}

/** What is made a moment ago may not be seen yet; what is not there after that is not there. */
const UNSEEN_MS = 30_000;
/** Services that others run are not asked every second for long. */
const LEAST_INTERVAL_MS = 1_000;
const MEND =
  "Users stay where they were. See what the members' states say, and the health check of the target group; then apply again.";

/**
 * Step 3, first half, of a pool without an agent: recognises that it is available, from what an observer sees of its members and, when
 * there is an endpoint, from outside as well. Wants `successes` good looks in a row, with the same members up; a bad look begins anew.
 * Marks nothing: members that fail are replaced by whoever launched them.
 * @throws SpillwayError, DeadlineError, AbortedError; QueryError of an observer that will not be told otherwise by asking again
 */
export async function openObservedGate(request: ObservedGateRequest, context: StepContext): Promise<void> {
  const { subject } = request;
  const observer = observerFor(request.observer, request.openWhen, `gate of ${subject}`, "open_when");
  const row = new Row();
  const startedAt = Date.now();
  await waitFor(context, {
    step: "admit",
    subject,
    what: `${request.successes} good looks in a row at ${subject}`,
    deadlineMs: request.deadlineMs,
    intervalMs: request.intervalMs ?? Math.max(LEAST_INTERVAL_MS, request.monitor.intervalMs),
    mend: MEND,
    look: async (): Promise<Look<void>> => {
      const seen = await lookAt(request, startedAt, context.signal);
      const members = typeof seen === "string" ? [] : seen.members;
      const up = members.filter(({ state }) => state === "up").map(({ id }) => id);
      const problem =
        typeof seen === "string"
          ? seen
          : (tooFew(seen, request.minMembers) ??
            (await fromOutside(request)) ??
            (await whyClosed(observer, request.openWhen ?? {}, context.signal)));
      row.see(up, problem === undefined);
      if (row.length >= request.successes) {
        const message = `available: ${row.length} good looks in a row, ${up.length} members up`;
        context.progress({ step: "admit", subject, message, fraction: 1 });
        return { done: true, value: undefined };
      }
      const message = problem ?? `${row.length} of ${request.successes} good looks in a row`;
      return { done: false, message, fraction: row.length / request.successes };
    },
  });
}

/** What is seen, or why nothing is seen now. */
async function lookAt(
  { pool, subject }: ObservedGateRequest,
  startedAt: number,
  signal: AbortSignal,
): Promise<SeenAvailability | string> {
  try {
    const seen = await pool.available(signal);
    if (seen) return seen;
  } catch (error) {
    return askAgain(error);
  }
  if (Date.now() - startedAt < UNSEEN_MS) return `${pool.place} is not there yet`;
  throw new SpillwayError({
    place: `gate of ${subject}`,
    problem: `${pool.place} is not there (any more)`,
    mend: "Refer to attributes of the declared resource, so that the gate waits for it; then apply again.",
  });
}

/** What an observer that cannot tell now says of it. @throws the error of one that never will */
export function askAgain(error: unknown): string {
  if (!(error instanceof QueryError) || (error.kind !== "silence" && error.kind !== "data")) throw error;
  return `${error.report.problem}; asking again`;
}

function tooFew({ wanted, up, members, problem }: SeenAvailability, minMembers?: number): string | undefined {
  const needed = minMembers ?? Math.max(1, wanted ?? 1);
  if (up >= needed) return undefined;
  const other = members.find(({ state, reason }) => state !== "up" && reason !== undefined);
  const whys = [
    ...(problem === undefined ? [] : [problem]),
    ...(other ? [`${other.id}: ${other.reason}`] : []),
  ];
  return `${up} of ${needed} members up${whys.length > 0 ? ` (${whys.join("; ")})` : ""}`;
}

async function fromOutside({ endpoint, monitor }: ObservedGateRequest): Promise<string | undefined> {
  if (!endpoint) return undefined;
  const answer = await probeEndpoint(endpoint, monitor);
  return answer.good ? undefined : `from outside: ${answer.problem}`;
}
