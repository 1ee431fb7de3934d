import { isDeepStrictEqual } from "node:util";
import { SpillwayError } from "../../errors";
import type { PoolSpec, PoolStatus } from "../../site/api";
import type { SiteClient, SiteDirectory } from "../../site/client";
import { waitFor, type Look, type StepContext } from "../../wait";
import { ShiftAhead } from "../direct/shift-ahead";
import { poolId, type PoolName } from "../names";
import { lastAct, ONE_LOOK, throughSilence } from "../patience";
import { troublesOf } from "../troubles";

/** A pool that is to run. */
export interface LaunchRequest extends PoolName {
  readonly spec: PoolSpec;
  readonly deadlineMs: number;
  /**
   * Take it down again when the launch fails or is stopped, if this launch made it: so that a failed create leaves nothing behind.
   * A pool that was there before is left as it is. @default false
   */
  readonly undo?: boolean;
}

/**
 * Step 2: launches a pool's members, or changes a pool to what it should be. Idempotent: a pool of the same owner is adopted, a
 * failed one gets a new try. Returns when the members run; whether they are available is the gate's business. A pool that a gate has
 * admitted already, and that is to have new members, has no gate before them: it returns when as many are up as asked for, so that
 * what follows may send them users.
 * @throws SiteError `owned-by-another`, `image-missing`, `port-taken`, …
 * @throws SpillwayError when the site gave the launch up, with the last words of the members
 * @throws DeadlineError, AbortedError
 */
export async function launchPool(
  sites: SiteDirectory,
  request: LaunchRequest,
  context: StepContext,
): Promise<PoolStatus> {
  const client = sites.get(request.site);
  const before = await client.pool(request.name, { signal: context.signal });
  // Users are to come: the names that they ask for should be forgotten sooner by then.
  const ahead =
    before === undefined || getsUsersAtOnce(before, request) ? new ShiftAhead(sites, context) : undefined;
  let asked = false;
  try {
    const status = await client.putPool(request.name, request.spec, { signal: context.signal });
    asked = true;
    if (status.phase === "failed") await client.retryPool(request.name, { signal: context.signal });
    return await untilLaunched(client, request, getsUsersAtOnce(before, request), context, ahead);
  } catch (error) {
    if (request.undo && asked && before === undefined) {
      await undo(client, request);
    }
    throw error;
  }
}

/** Unless it was declared anew since: an apply that was killed may still be winding up while the next one has begun. */
async function undo(client: SiteClient, { name, spec }: LaunchRequest): Promise<void> {
  await lastAct(async (options) => {
    const present = await client.pool(name, options);
    if (present?.spec.claim === spec.claim) await client.deletePool(name, spec.owner, options);
  });
}

/** Will nobody ask again whether the members that are launched now are up? */
function getsUsersAtOnce(before: PoolStatus | undefined, { spec }: LaunchRequest): boolean {
  if (before?.gate === undefined) return false;
  const { members, image, environment } = before.spec;
  return (
    spec.members > members ||
    spec.image !== image ||
    !isDeepStrictEqual(spec.environment, environment) ||
    before.phase === "failed" ||
    isGrowing(before)
  );
}

/** Has it members that were launched after its gate opened and were never up? Its growth goes on, or was cut off. */
export function isGrowing({ gate, members }: PoolStatus): boolean {
  if (!gate) return false;
  return members.some(({ state, launchedAt }) => state === "launching" && launchedAt > gate.admittedAt);
}

function untilLaunched(
  client: SiteClient,
  request: LaunchRequest,
  untilUp: boolean,
  context: StepContext,
  ahead: ShiftAhead | undefined,
): Promise<PoolStatus> {
  const subject = poolId(request);
  return waitFor(context, {
    step: "launch",
    subject,
    what: `${request.spec.members} members to be ${untilUp ? "up" : "launched"}`,
    deadlineMs: request.deadlineMs,
    intervalMs: 250,
    mend: "Look at the members' output at the site and raise `timeouts` if they only need longer; then apply again.",
    look: throughSilence(request.site, async (): Promise<Look<PoolStatus>> => {
      ahead?.foresee(request.spec.hosts ?? []);
      const status = await client.pool(request.name, { ...ONE_LOOK, signal: context.signal });
      if (!status) throw vanished(subject);
      if (status.spec.owner !== request.spec.owner) throw takenOver(subject, status.spec.owner);
      if (status.phase === "failed") throw launchFailed(subject, status);
      const up = upOf(status, request);
      if (status.phase === "ready" && untilUp && up < request.spec.members) {
        return {
          done: false,
          message: `${up} of ${request.spec.members} members up${lastProblem(status)}`,
          fraction: up / request.spec.members,
        };
      }
      if (status.phase === "ready") {
        context.progress({ step: "launch", subject, message: launchedMessage(status, request), fraction: 1 });
        return { done: true, value: status };
      }
      const launched = launchedOf(status, request);
      return {
        done: false,
        message: launchedMessage(status, request),
        fraction: Math.min(1, launched / request.spec.members),
      };
    }),
  });
}

/** Members that run what was asked for. */
function launchedOf(status: PoolStatus, request: LaunchRequest): number {
  return status.members.filter(
    ({ image, state }) => image === request.spec.image && state !== "draining" && state !== "failed",
  ).length;
}

function upOf(status: PoolStatus, { spec }: LaunchRequest): number {
  return status.members.filter(({ image, state }) => image === spec.image && state === "up").length;
}

function launchedMessage(status: PoolStatus, request: LaunchRequest): string {
  const up = status.members.filter(({ state }) => state === "up").length;
  const draining = status.members.filter(({ state }) => state === "draining").length;
  const leaving = draining > 0 ? `, ${draining} draining` : "";
  return `${launchedOf(status, request)} of ${request.spec.members} members launched, ${up} up${leaving}${status.problem ? `; ${status.problem}` : ""}`;
}

/** What keeps a member from being up. */
function lastProblem(status: PoolStatus): string {
  const found = status.members.find(({ state, problem }) => state !== "up" && problem !== undefined);
  return found ? `; ${found.id}: ${found.problem}` : "";
}

function launchFailed(subject: string, status: PoolStatus): SpillwayError {
  return new SpillwayError({
    place: `pool ${subject}`,
    problem: `the launch failed: ${troublesOf(status).join("; ") || "no member came up"}`,
    mend: "Mend what the members say (the image's command, its environment, the port), then apply again: they are launched anew.",
  });
}

function vanished(subject: string): SpillwayError {
  return new SpillwayError({
    place: `pool ${subject}`,
    problem: "the pool was taken down by someone else while it was being launched",
    mend: "Find out who deletes it, then apply again.",
  });
}

function takenOver(subject: string, owner: string): SpillwayError {
  return new SpillwayError({
    place: `pool ${subject}`,
    problem: `the pool was taken over by "${owner}" while it was being launched`,
    mend: "Give each pool at a site a name of its own.",
  });
}
