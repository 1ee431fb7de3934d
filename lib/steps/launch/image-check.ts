import { formatBytes, formatDuration } from "../../duration";
import { SpillwayError } from "../../errors";
import type { SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { poolId, type PoolName } from "../names";

/**
 * Refuses early what could not be launched: a pool whose image the site does not hold complete.
 * @throws SpillwayError that says what is missing and how long it takes to bring it there
 */
export async function checkImageIsThere(
  sites: SiteDirectory,
  pool: PoolName,
  digest: string,
  context: StepContext,
): Promise<void> {
  const client = sites.get(pool.site);
  const options = { signal: context.signal };
  const status = await client.image(digest, options);
  if (status?.complete) return;
  let missing = `site "${pool.site}" holds nothing of image ${digest}`;
  if (status) {
    const bytes = status.sizeBytes - status.presentBytes;
    const { link } = await client.context(options);
    const eta =
      link.rateBps > 0
        ? `, about ${formatDuration((bytes * 8_000) / link.rateBps)} at the ${link.rateIs} rate`
        : "";
    missing = `site "${pool.site}" holds image ${digest} only in part: ${formatBytes(bytes)} of ${formatBytes(status.sizeBytes)} are missing${eta}`;
  }
  throw new SpillwayError({
    place: `pool ${poolId(pool)}`,
    problem: missing,
    mend: "Declare a replica of it at that site and refer to the replica's `digest`, so that the pool waits for it; or apply the stack that holds the replica first.",
    attribute: ["image_digest"],
  });
}
