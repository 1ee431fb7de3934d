import { SiteDirectory } from "../site/client";
import { findImage, transferImage } from "../steps/transfer";
import type { StepContext } from "../wait";
import type { BandwidthPlan } from "../image/bandwidth";
import type { PushResult } from "../image";
import type { BurstManifest } from "./manifest";

/** How an image file gets to the cloud between bursts. */
export interface ImageLink {
  /** Is the image complete there? @throws SpillwayError, AbortedError */
  holds(digest: string, context: StepContext): Promise<boolean>;
  /**
   * Sends what is missing there. Goes on where an earlier one was cut off.
   * @param pace `capBps`: what is allowed now, undefined for all; `plan`: what is allowed when
   * @throws SpillwayError, AbortedError
   */
  push(
    image: { readonly source: string; readonly digest?: string },
    pace: { readonly capBps?: number; readonly plan: BandwidthPlan },
    context: StepContext,
  ): Promise<Pick<PushResult, "digest" | "sizeBytes" | "sentBytes">>;
  close(): void;
}

/** Over the manifest's own sites. */
export function imageLink(manifest: Pick<BurstManifest, "sites" | "cloud">): ImageLink {
  const sites = new SiteDirectory(manifest.sites);
  const { site } = manifest.cloud;
  return {
    holds: async (digest, context) => (await findImage(sites, { site, digest }, context)) !== undefined,
    push: (image, { plan }, context) => transferImage(sites, { site, ...image, bandwidth: plan }, context),
    close: () => sites.close(),
  };
}
