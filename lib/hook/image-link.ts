import { SiteDirectory } from "../site/client";
import { transferImage, type TransferRequest } from "../steps/transfer";
import type { StepContext } from "../wait";
import type { BandwidthPlan } from "../image/bandwidth";
import type { PushResult } from "../image";
import type { BurstManifest } from "./manifest";

/** How an image file gets to the cloud between bursts. */
export interface ImageLink {
  /** Digests of the images that are complete there. @throws SpillwayError, AbortedError */
  held(context: StepContext): Promise<readonly string[]>;
  /**
   * Sends what is missing there. Goes on where an earlier one was cut off.
   * @param pace `capBps`: what is allowed now, undefined for all; `plan`: what is allowed when
   * @throws SpillwayError, AbortedError
   */
  push(
    image: Pick<TransferRequest, "source" | "digest" | "exact" | "format">,
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
    held: async ({ signal }) => {
      const images = await sites.get(site).images({ signal });
      return images.filter(({ complete }) => complete).map(({ digest }) => digest);
    },
    push: (image, { capBps }, context) => {
      const bandwidth = capBps === undefined ? undefined : { capBps };
      return transferImage(sites, { site, ...image, bandwidth }, context);
    },
    close: () => sites.close(),
  };
}
