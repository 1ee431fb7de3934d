import { AbortedError, DeadlineError } from "../../errors";
import type { NamedQueries, QueryObserver } from "../../observers";
import type { PoolTraffic, QuiesceSpec } from "../../site/api";
import { SiteError, type SiteClient, type SiteDirectory } from "../../site/client";
import { waitFor, type Look, type StepContext } from "../../wait";
import { poolId, type GateName } from "../names";
import { lastAct, ONE_LOOK, throughSilence, unasked } from "../patience";
import { observerFor } from "../queries";
import { OtherEyes } from "./other-eyes";
import { DEADLINE_MEND, stillToCome } from "./words";
import { stillDirected, whoDirectsThere } from "./still-directed";

/** A gate that is to close. */
export interface SiphonRequest extends GateName {
  /** The site must have been without a user for so long. */
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
}

/** Everybody, until changed. Idle connections are closed early: whoever comes back asks for the name again. */
const EVERYBODY: QuiesceSpec = { share: 1, forMs: 0, idleCloseMs: 1_000 };
const ASK_AGAIN_MS = 2_000;
const NOBODY: QuiesceSpec = { share: 0, forMs: 0, idleCloseMs: 0 };

/**
 * Step 4: asks the users of a pool to leave and returns when none is left. Two things must hold, and neither replaces the other:
 * the record's TTL has passed, and *then* the sessions seen at the pool are zero, and nobody came for the quiet period. An agent
 * that cannot be asked is waited for from the first look on: unreachable is not empty. With `hold` that is every agent, for each may
 * have a name server that still directs users there.
 *
 * How it ends early:
 * - the pool is gone, or another gate has admitted it since: returns at once; nothing is left to close.
 * - the record still answers with this pool (`hold`): throws at once; users would keep coming.
 * - deadline with `hold`: throws, and users keep being asked to leave. The record no longer names the site, so those who leave are
 *   served elsewhere, and the next try has fewer to wait for. A record that takes the site in again switches it off.
 * - aborted (Ctrl-C, returning demand): switches it off, then throws. Whoever stopped it wants the site to serve.
 *
 * @throws SpillwayError, DeadlineError, AbortedError
 */
export async function siphonUsers(
  sites: SiteDirectory,
  request: SiphonRequest,
  context: StepContext,
): Promise<void> {
  const client = sites.get(request.site);
  const subject = poolId(request);
  const startedAt = Date.now();
  const observer = observerFor(request.observer, request.users, `gate of ${subject}`, "users");
  const leftMs = () => Math.max(0, startedAt + request.deadlineMs - Date.now());
  try {
    if (!(await isToClose(sites, request, context))) return;
    const watch = new EmptyWatch();
    const others = observer && new OtherEyes(observer, request.users ?? {});
    await waitFor(context, {
      step: "quiesce",
      subject,
      what: "the last user to leave",
      deadlineMs: leftMs(),
      intervalMs: 250,
      mend: `Nothing was taken down, and users keep being asked to leave. ${DEADLINE_MEND}`,
      look: () =>
        look(client, request, context, { watch, others, ttlUntil: startedAt + request.recordTtlMs }),
    });
    context.progress({ step: "quiesce", subject, message: "no user is left", fraction: 1 });
  } catch (error) {
    if (error instanceof AbortedError) {
      await lastAct((options) => client.quiesce(request.name, NOBODY, options));
      throw new AbortedError(
        `users were still leaving ${subject}: it serves on, and nothing was taken down. The next apply goes on from here, or puts the site back into the record`,
      );
    }
    if (!(error instanceof DeadlineError) || request.onDeadline === "hold") throw error;
    context.progress({
      step: "quiesce",
      subject,
      message: "the deadline has passed; users who are still there are cut off",
    });
  }
}

/**
 * The look before anybody is asked to leave: is there still something for this gate to close?
 * @throws SpillwayError when users are still directed there
 */
function isToClose(sites: SiteDirectory, request: SiphonRequest, context: StepContext): Promise<boolean> {
  const client = sites.get(request.site);
  const subject = poolId(request);
  return waitFor(context, {
    step: "quiesce",
    subject,
    what: "the sites to say whether users are still there, or sent there",
    deadlineMs: request.deadlineMs,
    intervalMs: 1_000,
    mend: `Nothing was taken down, and nobody was asked to leave yet. Start the agent again. ${DEADLINE_MEND}`,
    look: throughSilence(request.site, async (): Promise<Look<boolean>> => {
      const status = await client.pool(request.name, { ...ONE_LOOK, signal: context.signal });
      const isPresent = status?.gate === undefined || status.gate.generation === request.generation;
      if (!status || !isPresent) return { done: true, value: false };
      if (request.onDeadline === "force") return { done: true, value: true };
      const { records, silent } = await whoDirectsThere(sites, request, context);
      if (records.length > 0) throw stillDirected(subject, records);
      if (silent.length === 0) return { done: true, value: true };
      return {
        done: false,
        message: `the agent of site ${silent.join(", ")} cannot be asked whether it still directs users here; asking again`,
      };
    }),
  });
}

async function look(
  client: SiteClient,
  request: SiphonRequest,
  context: StepContext,
  eyes: { readonly watch: EmptyWatch; readonly others?: OtherEyes; readonly ttlUntil: number },
): Promise<Look<undefined>> {
  const { watch, others, ttlUntil } = eyes;
  let traffic: PoolTraffic | undefined;
  try {
    const options = { ...ONE_LOOK, signal: context.signal };
    if (watch.mustAsk) {
      traffic = await client.quiesce(request.name, EVERYBODY, options);
      watch.asked();
    } else {
      traffic = await client.traffic(request.name, options);
    }
  } catch (error) {
    if (!(error instanceof SiteError) || !error.isSilence) throw error;
    watch.silence();
    return {
      done: false,
      message: `${unasked(request.site, error)} who is left; unreachable is not empty, so the wait goes on`,
    };
  }
  if (!traffic) return { done: true, value: undefined };
  const ttlLeftMs = ttlUntil - Date.now();
  // Who comes after that follows no record: quiet tells something of such users only from then on.
  const seen = await others?.look(context.signal);
  const quietMs = Math.min(watch.see(traffic), seen?.quietMs ?? Infinity, Math.max(0, -ttlLeftMs));
  if (quietMs >= request.quietPeriodMs && ttlLeftMs <= 0) return { done: true, value: undefined };
  const told = message(traffic, request.quietPeriodMs - quietMs, ttlLeftMs);
  return { done: false, message: seen?.problem === undefined ? told : `${told}; ${seen.problem}` };
}

function message(traffic: PoolTraffic, quietLeftMs: number, ttlLeftMs: number): string {
  const users = usersOf(traffic);
  const who =
    users > 0
      ? `waiting for ${users} ${users === 1 ? "session" : "sessions"} to leave`
      : "no session is left";
  return stillToCome(who, quietLeftMs, ttlLeftMs);
}

function usersOf(traffic: PoolTraffic): number {
  return Math.max(traffic.sessions, traffic.openConnections, traffic.inFlight + traffic.queued);
}

/**
 * How long a pool has been seen empty. The balancer's own `quietMs` alone would not do: one that was restarted a moment ago has
 * never seen a request, and would call itself quiet since ever.
 */
class EmptyWatch {
  private emptySince: number | undefined;
  private requestsTotal = -1;
  private askedAt = -Infinity;

  /**
   * Users are asked to leave again and again, and after each silence: an agent may have been restarted from an older state, and an
   * apply that was killed may still be winding up, and switch off what this one has switched on.
   */
  get mustAsk(): boolean {
    return Date.now() - this.askedAt >= ASK_AGAIN_MS;
  }

  asked(): void {
    this.askedAt = Date.now();
  }

  silence(): void {
    this.emptySince = undefined;
    this.askedAt = -Infinity;
  }

  /** Milliseconds for which it was empty, seen by us and by the balancer alike. */
  see(traffic: PoolTraffic): number {
    const now = Date.now();
    // Requests that are more are told by `quietMs`, if they were users'; fewer are a balancer's that began anew.
    const beganAnew = traffic.requestsTotal < this.requestsTotal;
    this.requestsTotal = traffic.requestsTotal;
    if (usersOf(traffic) > 0) this.emptySince = undefined;
    else if (this.emptySince === undefined || beganAnew) this.emptySince = now;
    return this.emptySince === undefined ? 0 : Math.min(now - this.emptySince, traffic.quietMs);
  }
}
