import { SpillwayError } from "../../../lib/errors";
import type { ImageTarget } from "../../../lib/image/wire/target";
import type { SiteClient } from "../../../lib/site/client";
import type { OpenTarget } from "./target";

/** A site's agent as a target. */
export function siteTarget(client: SiteClient, close: () => void): OpenTarget {
  if (!isTarget(client)) throw cannotPush(client);
  return {
    target: client,
    name: `site:${client.site} at ${client.endpoint}`,
    verify: () => Promise.reject(notThere(client)),
    close,
  };
}

function isTarget(client: SiteClient): client is SiteClient & ImageTarget {
  return "openTransfer" in client && "completeTransfer" in client;
}

function cannotPush({ site, endpoint }: SiteClient): SpillwayError {
  return new SpillwayError({
    place: `site ${site}, ${endpoint}`,
    problem: "agents of this version take images from Terraform alone",
    mend: "Declare the image in the stack (`Image`, `ImageReplica`), or push it to a directory, over ssh or to a bucket.",
  });
}

function notThere({ site, endpoint }: SiteClient): SpillwayError {
  return new SpillwayError({
    place: `site ${site}, ${endpoint}`,
    problem: "an agent cannot be asked to read an image again",
    mend: "On its machine, verify the image's file in its state directory: `spillway image verify FILE DIGEST`.",
  });
}
