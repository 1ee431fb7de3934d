import { SpillwayError } from "../../errors";
import { SiteError, type SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { poolId, type PoolName } from "../names";
import { ONE_LOOK } from "../patience";

/** Who still sends users to a pool, as far as the sites could be asked. */
export interface Directors {
  /** Names of the records that answer with the pool, sorted. */
  readonly records: readonly string[];
  /** Sites that could not be asked now: any of them may have a name server that answers with the pool. */
  readonly silent: readonly string[];
}

/**
 * Asks every site for the records that answer with this pool. A site that says nothing has not said that nobody is sent there.
 * @throws SiteError of a site that answers, but not this (a wrong token): what it directs cannot be known either
 */
export async function whoDirectsThere(
  sites: SiteDirectory,
  pool: PoolName,
  context: StepContext,
): Promise<Directors> {
  const records = new Set<string>();
  const silent: string[] = [];
  await Promise.all(
    sites.names.map(async (site) => {
      try {
        const found = await sites.get(site).records({ ...ONE_LOOK, signal: context.signal });
        for (const { name, spec } of found)
          if (spec.answers.some((answer) => answer.pool === poolId(pool))) records.add(name);
      } catch (error) {
        if (!(error instanceof SiteError) || !error.isSilence) throw error;
        silent.push(site);
      }
    }),
  );
  return { records: [...records].sort(), silent: silent.sort() };
}

/** The error for a gate that is to close while users are still sent to its pool. */
export function stillDirected(subject: string, records: readonly string[]): SpillwayError {
  const names = records.map((name) => `"${name}"`).join(", ");
  return new SpillwayError({
    place: `gate of ${subject}`,
    problem: `users are still directed to ${subject}: the record ${names} answers with it, so its last user would never leave`,
    mend: "Take the site out of the record's answers in an apply of its own first. One apply does both in the right order only for a gate and a pool that were created with `lifecycle { create_before_destroy = true }`, and a record that refers to the gate, as the Burst construct does.",
  });
}
