import { SpillwayError } from "../../errors";
import type { SnapshotRequest, SnapshotStatus } from "../../site/api";
import type { SiteDirectory } from "../../site/client";
import { waitFor, type StepContext } from "../../wait";
import { ONE_LOOK, throughSilence } from "../patience";
import { transferImage, type TransferRequest } from "./transfer";
import { snapshotReplicaId } from "./snapshot";

/** A snapshot that a site's agent made of an image. */
export interface SiteSnapshot {
  readonly region: string;
  readonly snapshotId: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

const LOOK_EVERY_MS = 1_000;
/** An agent that was restarted forgets what was under way: it is asked again, so often. */
const MAX_ASKED = 10;

/**
 * Brings an image to a site, and has its agent make a snapshot of it in the cloud that the site is in: packed over the link, and whole
 * only inside the region. Idempotent; goes on where an earlier one was cut off, here or there.
 * @param deadlineMs for the agent to make it
 * @throws SpillwayError with what the agent said, SiteError, DeadlineError, AbortedError
 */
export async function snapshotAtSite(
  sites: SiteDirectory,
  request: TransferRequest,
  settings: SnapshotRequest,
  context: StepContext,
  deadlineMs: number,
): Promise<SiteSnapshot> {
  const { digest, sizeBytes } = await transferImage(sites, request, context);
  const client = sites.get(request.site);
  const { signal } = context;
  let asked = 0;
  const ask = async () => {
    asked++;
    return client.makeSnapshot(digest, settings, { signal });
  };
  const { region } = await ask();
  const subject = snapshotReplicaId(region, digest);
  const status = await waitFor<SnapshotStatus>(context, {
    ...{ step: "transfer", subject, what: `the agent of site ${request.site} to make the snapshot` },
    ...{ deadlineMs, intervalMs: LOOK_EVERY_MS },
    mend: "Look at the agent's log, then try again: it goes on where it was.",
    look: throughSilence(request.site, async () => {
      const now = await client.snapshot(digest, { signal, ...ONE_LOOK, timeoutMs: 30_000 });
      if (now?.state === "complete") return { done: true, value: now };
      if (now?.state === "failed") throw failed(request.site, now);
      if (!now) {
        if (asked >= MAX_ASKED) throw forgotten(request.site, digest);
        await ask();
      }
      const { message = "beginning anew", fraction, etaMs } = now ?? {};
      return { done: false, message: `at the site: ${message}`, fraction, etaMs };
    }),
  });
  return { region, digest, sizeBytes, snapshotId: status.snapshotId ?? "" };
}

function failed(site: string, { problem, message }: SnapshotStatus): SpillwayError {
  const { place = `site ${site}`, problem: what = message, mend = "Try again." } = problem ?? {};
  return new SpillwayError({ place: `site ${site}, ${place}`, problem: what, mend });
}

function forgotten(site: string, digest: string): SpillwayError {
  return new SpillwayError({
    place: `site ${site}`,
    problem: `the agent was asked for a snapshot of ${digest} ${MAX_ASKED} times, and knows of none`,
    mend: "Look at the agent's log: it may be restarted again and again.",
  });
}
