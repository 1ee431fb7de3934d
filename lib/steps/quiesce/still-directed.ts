import { SpillwayError } from "../../errors";
import { SiteError, type SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { poolId, type PoolName } from "../names";
import { ONE_LOOK } from "../patience";

/** Names of the records, at any site that can be asked, that answer with this pool. */
export async function recordsThatNameThePool(
  sites: SiteDirectory,
  pool: PoolName,
  context: StepContext,
): Promise<readonly string[]> {
  const found = await Promise.all(
    sites.names.map(async (site) => {
      try {
        const { records } = await sites.get(site).context({ ...ONE_LOOK, signal: context.signal });
        return records
          .filter(({ spec }) => spec.answers.some((answer) => answer.pool === poolId(pool)))
          .map(({ name }) => name);
      } catch (error) {
        // A site that cannot be asked, or was configured wrongly, is not this pool's affair.
        if (error instanceof SiteError) return [];
        throw error;
      }
    }),
  );
  return [...new Set(found.flat())].sort();
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
