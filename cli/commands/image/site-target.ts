import { SpillwayError } from "../../../lib/errors";
import type { ImageTarget } from "../../../lib/image/wire/target";
import type { SiteClient } from "../../../lib/site/client";
import type { OpenTarget } from "./target";

/** A site's agent as a target. */
export function siteTarget(client: SiteClient, close: () => void): OpenTarget {
  return {
    target: client as unknown as ImageTarget,
    name: `site:${client.site} at ${client.endpoint}`,
    verify: () => Promise.reject(notThere(client)),
    close,
  };
}

function notThere({ site, endpoint }: SiteClient): SpillwayError {
  return new SpillwayError({
    place: `site ${site}, ${endpoint}`,
    problem: "an agent cannot be asked to read an image again",
    mend: "On its machine, verify the image's file in its state directory: `spillway image verify FILE DIGEST`.",
  });
}
