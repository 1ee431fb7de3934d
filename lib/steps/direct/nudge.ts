import { SpillwayError } from "../../errors";
import type { QuiesceSpec, RecordAnswer } from "../../site/api";
import { SiteError, type SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { parsePoolId } from "../names";

/** A nudge outlives the answers that resolvers still hold: who comes back to the old address is asked to leave once more. */
const NUDGE_AT_LEAST_MS = 5_000;
const IDLE_CLOSE_MS = 1_000;
/** The record does not wait long for the agent of a site that it leaves, which may be dead. */
const BRIEFLY = { timeoutMs: 3_000, retryBudgetMs: 3_000 } as const;

/**
 * Pools that are given as answers keep their users: whatever asked them to leave (a drain that was cut off, a former nudge) is
 * switched off, before users are sent there.
 * @throws SpillwayError for a pool that is not there
 */
export async function letStay(
  sites: SiteDirectory,
  answers: readonly RecordAnswer[],
  context: StepContext,
): Promise<void> {
  await Promise.all(
    answers.map(async ({ site, pool }, at) => {
      if (pool === undefined) return;
      const { site: poolSite, name } = parsePoolId(pool);
      const nobody: QuiesceSpec = { share: 0, forMs: 0, idleCloseMs: 0 };
      const found = await unlessSilent(site, context, () =>
        sites.get(poolSite).quiesce(name, nobody, { signal: context.signal, retryBudgetMs: 3_000 }),
      );
      if (found !== "silent" && found === undefined) throw noSuchPool(pool, at);
    }),
  );
}

/**
 * Moves users who keep a connection, as the weights say: at a site whose share fell from a to b, (a − b) / a of them are asked to
 * come back anew, and find the new answer.
 */
export async function moveUsers(
  sites: SiteDirectory,
  before: readonly RecordAnswer[],
  after: readonly RecordAnswer[],
  ttlSeconds: number,
  context: StepContext,
): Promise<void> {
  await Promise.all(
    before.map(async (answer) => {
      const weight = after.find(({ site }) => site === answer.site)?.weight ?? 0;
      if (weight >= answer.weight || answer.pool === undefined) return;
      const share = (answer.weight - weight) / answer.weight;
      const { site, name } = parsePoolId(answer.pool);
      // A site that is no longer configured, or whose pool is gone, has nobody left to move.
      if (!sites.has(site)) return;
      const forMs = Math.max(2_000 * ttlSeconds, NUDGE_AT_LEAST_MS);
      await unlessSilent(site, context, () =>
        sites
          .get(site)
          .quiesce(
            name,
            { share, forMs, idleCloseMs: IDLE_CLOSE_MS },
            { ...BRIEFLY, signal: context.signal },
          ),
      );
    }),
  );
}

/** An agent that is away keeps nobody from answering a name: the users at its site only move later. */
async function unlessSilent<T>(
  site: string,
  context: StepContext,
  act: () => Promise<T>,
): Promise<T | "silent"> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof SiteError) || !error.isSilence) throw error;
    context.progress({
      step: "direct",
      subject: site,
      message: "its agent cannot be asked, so users who keep a connection there move later",
    });
    return "silent";
  }
}

function noSuchPool(pool: string, at: number): SpillwayError {
  return new SpillwayError({
    place: `pool ${pool}`,
    problem: `users would be directed to pool "${pool}", which is not there`,
    mend: "Refer to the `id` of a declared pool, or leave the site out of the answers.",
    attribute: ["answers", at, "pool"],
  });
}
