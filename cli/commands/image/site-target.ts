import { SpillwayError } from "../../../lib/errors";
import type { SiteClient } from "../../../lib/site/client";
import type { OpenTarget } from "./target";

/** A site's agent as a target. */
export function siteTarget(client: SiteClient, close: () => void): OpenTarget {
  return {
    target: client,
    name: `site:${client.site} at ${client.endpoint}`,
    verify: async (digest, { signal }) => {
      const status = await client.verifyImage(digest, { signal });
      if (!status) throw notThere(client, digest);
      return status;
    },
    close,
  };
}

function notThere({ site, endpoint }: SiteClient, digest: string): SpillwayError {
  return new SpillwayError({
    place: `site ${site}, ${endpoint}`,
    problem: `nothing of the image ${digest} is at site "${site}"`,
    mend: "Push it there first, or correct the digest.",
  });
}
