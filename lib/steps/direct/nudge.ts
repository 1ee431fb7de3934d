import { SpillwayError } from "../../errors";
import type { QuiesceSpec, RecordAnswer } from "../../site/api";
import { SiteError, type SiteClient, type SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { parsePoolId } from "../names";
import { reselection } from "./reselection";

/** Whoever keeps a connection and says nothing meanwhile is asked with the next answer, as long as the order holds. */
const NUDGE_FOR_MS = 60_000;
/** Who is idle for so long is no session: until then a close could meet a request on its way. */
const IDLE_CLOSE_MS = 30_000;
/** Over the TTL, for caches that round it up and for orders on their way. */
const MARGIN_MS = 500;
const LEFT_OUT_AT_LEAST_MS = 5_000;
const LEFT_OUT_IDLE_CLOSE_MS = 1_000;
const NOBODY: QuiesceSpec = { share: 0, forMs: 0, idleCloseMs: 0 };
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
      const found = await unlessSilent(site, context, () =>
        sites.get(poolSite).quiesce(name, NOBODY, { signal: context.signal, retryBudgetMs: 3_000 }),
      );
      if (found !== "silent" && found === undefined) throw noSuchPool(pool, at);
    }),
  );
}

/**
 * Moves users who keep a connection, so that they are at the sites as the weights say: of each site that has too many, those are
 * asked once to choose anew who must ({@link reselection}). They are asked when the answers of `before` have left the caches, and
 * not sooner: whoever asks a cache comes back to the site he was told to leave. Replaces what was ordered of these pools before; what
 * of that was not done yet is done with it, for it goes by where users are.
 *
 * @param staleMs how long answers of `before` may live in caches from now
 */
export async function moveUsers(
  sites: SiteDirectory,
  before: readonly RecordAnswer[],
  after: readonly RecordAnswer[],
  staleMs: number,
  context: StepContext,
): Promise<void> {
  const pools = poolsOf(sites, [...after, ...before]);
  const wanted = weightsOf(after);
  const users = await usersAt(pools, [...after, ...before], context);
  if (users === undefined && JSON.stringify(weightsOf(before)) === JSON.stringify(wanted)) return;
  const shares = reselection(users ?? weightsOf(before), wanted);
  await Promise.all(
    pools.map(async ({ site, client, name }) => {
      const order = orderFor(wanted[site] === undefined ? "left out" : (shares[site] ?? 0), staleMs);
      const told = unlessSilent(site, context, () =>
        client.quiesce(name, order, { ...BRIEFLY, signal: context.signal }),
      );
      // Where nobody is to be moved, a refusal moves nobody.
      await (order === NOBODY ? told.catch(unlessRefused) : told);
    }),
  );
}

/** Nobody is sent to a site that is left out: whoever comes there all the same is asked too. */
function orderFor(share: number | "left out", staleMs: number): QuiesceSpec {
  const afterMs = staleMs + MARGIN_MS;
  if (share === "left out") {
    const forMs = Math.max(2 * staleMs, LEFT_OUT_AT_LEAST_MS);
    return { share: 1, forMs, idleCloseMs: LEFT_OUT_IDLE_CLOSE_MS, afterMs };
  }
  if (share === 0) return NOBODY;
  return { share, forMs: NUDGE_FOR_MS, idleCloseMs: IDLE_CLOSE_MS, afterMs, once: true };
}

interface PoolAt {
  readonly site: string;
  readonly client: SiteClient;
  readonly name: string;
}

/** The pool behind each site's answer. A site that is no longer configured has nobody left to move. */
function poolsOf(sites: SiteDirectory, answers: readonly RecordAnswer[]): PoolAt[] {
  const found = new Map<string, PoolAt>();
  for (const { site: subject, pool } of answers) {
    if (pool === undefined || found.has(subject)) continue;
    const { site, name } = parsePoolId(pool);
    if (sites.has(site)) found.set(subject, { site: subject, client: sites.get(site), name });
  }
  return [...found.values()];
}

/**
 * Where those who keep a connection are now, which is not where the last weights would have them: some were not moved yet. Undefined
 * when a site cannot tell, and while nobody is connected.
 */
async function usersAt(
  pools: readonly PoolAt[],
  answers: readonly RecordAnswer[],
  context: StepContext,
): Promise<Record<string, number> | undefined> {
  const told = await Promise.all(
    pools.map(async ({ site, client, name }) => {
      const options = { ...BRIEFLY, signal: context.signal };
      const traffic = await unlessSilent(site, context, () => client.traffic(name, options)).catch(
        unlessRefused,
      );
      if (traffic === "silent") return [];
      return [[site, traffic?.openConnections ?? 0] as const];
    }),
  );
  const users = Object.fromEntries(told.flat());
  const isWhole = answers.every(({ site }) => users[site] !== undefined);
  return isWhole && Object.values(users).some((count) => count > 0) ? users : undefined;
}

function weightsOf(answers: readonly RecordAnswer[]): Record<string, number> {
  const sorted = [...answers].sort((one, other) => (one.site < other.site ? -1 : 1));
  return Object.fromEntries(sorted.map(({ site, weight }) => [site, weight]));
}

function unlessRefused(error: unknown): "silent" {
  if (error instanceof SiteError) return "silent";
  throw error;
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
