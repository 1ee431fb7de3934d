import { SpillwayError } from "../../errors";
import type { PoolStatus } from "../../site/api";
import type { SiteDirectory } from "../../site/client";
import { waitFor, type Look, type StepContext } from "../../wait";
import { poolId, type PoolName } from "../names";
import { ONE_LOOK, throughSilence } from "../patience";

/** A pool that is to go. */
export interface TakeDownRequest extends PoolName {
  readonly owner: string;
  /** The declaration that is to go. A pool that has another by now is left alone. @default whichever it is */
  readonly claim?: string;
  readonly deadlineMs: number;
}

/**
 * Step 5: drains each member of a pool at the local balancer, ends it, and returns when nothing of the pool is left. Idempotent; a
 * pool that is gone already is fine.
 * @throws SiteError `owned-by-another`
 * @throws DeadlineError, AbortedError: the take-down goes on at the site
 */
export async function takeDownPool(
  sites: SiteDirectory,
  request: TakeDownRequest,
  context: StepContext,
): Promise<void> {
  const client = sites.get(request.site);
  const subject = poolId(request);
  const before = await client.pool(request.name, { signal: context.signal });
  if (!before) return;
  if (request.claim !== undefined && before.spec.claim !== undefined && before.spec.claim !== request.claim) {
    context.progress({ step: "take-down", subject, message: "declared anew since; left as it is" });
    return;
  }
  await client.deletePool(request.name, request.owner, { signal: context.signal });
  await waitFor(context, {
    step: "take-down",
    subject,
    what: "the pool's members to be drained and ended",
    deadlineMs: request.deadlineMs,
    intervalMs: 250,
    mend: "The take-down goes on at the site: apply again to see its end. `drain_timeout` says how long a member may keep its users.",
    look: throughSilence(request.site, async (): Promise<Look<undefined>> => {
      const status = await client.pool(request.name, { ...ONE_LOOK, signal: context.signal });
      if (!status) return { done: true, value: undefined };
      if (status.phase !== "leaving") throw declaredAnew(subject, status);
      return { done: false, message: message(status) };
    }),
  });
  context.progress({ step: "take-down", subject, message: "taken down", fraction: 1 });
}

function message(status: PoolStatus): string {
  const { members } = status;
  const sessions = members.reduce((sum, member) => sum + Math.max(member.sessions, member.inFlight), 0);
  if (members.length === 0) return "releasing the pool's address";
  return `draining ${members.length} ${members.length === 1 ? "member" : "members"}, ${sessions} ${sessions === 1 ? "session" : "sessions"} left`;
}

function declaredAnew(subject: string, status: PoolStatus): SpillwayError {
  return new SpillwayError({
    place: `pool ${subject}`,
    problem: `the pool was declared anew by "${status.spec.owner}" while it was being taken down (it is ${status.phase})`,
    mend: "Find out who else applies this stack, then plan again.",
  });
}
