import { AbortedError, DeadlineError } from "../../errors";
import type { NamedQueries, PoolObserver, QueryObserver, SeenUsers } from "../../observers";
import { waitFor, type Look, type StepContext } from "../../wait";
import { askAgain } from "../direct/observed-gate";
import { observerFor } from "../queries";
import { OtherEyes } from "./other-eyes";
import { DEADLINE_MEND, stillToCome } from "./words";

/** A gate that is to close, of a pool that has no agent. */
export interface ObservedQuietRequest {
  /** The pool, for a person: `aws/eu-central-1/shop`. */
  readonly subject: string;
  /** Who sees the pool's users. */
  readonly pool: PoolObserver;
  /** The pool must have been without a user for so long; counted only over time for which that is known. */
  readonly quietPeriodMs: number;
  /** How long after the record's change stale answers may live; counted from now. */
  readonly recordTtlMs: number;
  /** `hold`: at the deadline nothing is taken down. `force`: users who are still there are cut off. */
  readonly onDeadline: "hold" | "force";
  /** How many users others see, by name; each must have said 0 for the quiet period as well. @default nobody else is asked */
  readonly users?: NamedQueries;
  /** Who is asked for them. */
  readonly observer?: QueryObserver;
  readonly deadlineMs: number;
  /** @default 5000 */
  readonly intervalMs?: number;
}

/**
 * Step 4 of a pool without an agent: waits until the record's TTL has passed and its users are *then* seen to be zero for the quiet
 * period. Nobody can be asked to leave; the record's change moves them. Figures that come late hold the gate for as long as they are
 * late: time that nobody has seen is not quiet.
 *
 * How it ends early:
 * - nothing is there any more that could have users: returns at once.
 * - deadline with `hold`: throws; nothing was taken down. With `force`: returns.
 * - aborted: throws; nothing was changed.
 *
 * @throws SpillwayError, DeadlineError, AbortedError; QueryError of an observer that will not be told otherwise by asking again
 */
export async function awaitObservedQuiet(request: ObservedQuietRequest, context: StepContext): Promise<void> {
  const { subject } = request;
  const ttlUntil = Date.now() + request.recordTtlMs;
  const observer = observerFor(request.observer, request.users, `gate of ${subject}`, "users");
  const others = observer && new OtherEyes(observer, request.users ?? {});
  try {
    const message = await waitFor(context, {
      step: "quiesce",
      subject,
      what: "the last user to leave",
      deadlineMs: request.deadlineMs,
      intervalMs: request.intervalMs ?? 5_000,
      mend: `Nothing was taken down. ${DEADLINE_MEND}`,
      look: () => look(request, ttlUntil, others, context.signal),
    });
    context.progress({ step: "quiesce", subject, message, fraction: 1 });
  } catch (error) {
    if (error instanceof AbortedError) {
      throw new AbortedError(`users were still leaving ${subject}: it serves on, and nothing was taken down`);
    }
    if (!(error instanceof DeadlineError) || request.onDeadline === "hold") throw error;
    const message = "the deadline has passed; users who are still there are cut off";
    context.progress({ step: "quiesce", subject, message });
  }
}

async function look(
  { pool, quietPeriodMs }: ObservedQuietRequest,
  ttlUntil: number,
  others: OtherEyes | undefined,
  signal: AbortSignal,
): Promise<Look<string>> {
  let seen: SeenUsers | undefined;
  try {
    seen = await pool.users(signal);
  } catch (error) {
    return { done: false, message: `${askAgain(error)}; what cannot be seen is not empty` };
  }
  if (!seen) return { done: true, value: `${pool.place} is gone, and its users with it` };
  const ttlLeftMs = ttlUntil - Date.now();
  const told = await others?.look(signal);
  const quietMs = Math.min(quietMsOf(seen, ttlUntil), told?.quietMs ?? Infinity, Math.max(0, -ttlLeftMs));
  if (quietMs >= quietPeriodMs && ttlLeftMs <= 0 && told?.problem === undefined && seen.count === 0)
    return { done: true, value: "no user is left" };
  const parts = [stillToCome(who(seen), quietPeriodMs - quietMs, ttlLeftMs), seen.problem, told?.problem];
  return { done: false, message: parts.filter((part) => part !== undefined).join("; ") };
}

/** Who comes while stale answers live follows no record: quiet tells something only of the time after that. Pure. */
export function quietMsOf({ count, quietFrom, until }: SeenUsers, ttlUntil: number): number {
  if (count !== 0 || quietFrom === undefined || until === undefined) return 0;
  return Math.max(0, until - Math.max(quietFrom, ttlUntil));
}

function who({ count, until }: SeenUsers): string {
  if (count === undefined) return "who is there is not known";
  const at =
    until === undefined ? "" : ` (as of ${Math.max(0, Math.round((Date.now() - until) / 1_000))} s ago)`;
  return count === 0
    ? `no user was seen${at}`
    : `waiting for ${count} ${count === 1 ? "user" : "users"} to leave${at}`;
}
