import { estimateTransfer, pushImage, type PushResult, type TransferPreview } from "../../image";
import type { ImageStatus } from "../../site/api";
import type { CallOptions, SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { replicaId } from "../names";

/** An image that is to be at a site. */
export interface TransferRequest {
  readonly site: string;
  /** Path of the image file, at this side. */
  readonly source: string;
  /** When given, the source must have it. */
  readonly digest?: string;
  /** Where indexes of image files are kept. @default the user's cache directory */
  readonly cacheDirectory?: string;
  /** Bits per second that it may take of the link. @default - no limit */
  readonly capBps?: number;
}

/**
 * What a transfer would take: indexes the source (from the cache if it did not change) and asks the site what it holds. Changes
 * nothing.
 * @throws SpillwayError for an image file that is missing or has another digest, an unknown site, an agent that is down
 */
export async function previewTransfer(
  sites: SiteDirectory,
  request: TransferRequest,
  context: StepContext,
): Promise<TransferPreview> {
  const target = sites.get(request.site);
  // An index may be large and the link slow, so it is given minutes. Whether anybody is there at all is found out in seconds.
  await target.health({ signal: context.signal });
  return estimateTransfer({ ...pushOf(request), target, context });
}

/**
 * Step 1: sends what the site does not hold of an image, and has it verified there. Idempotent; goes on where an earlier one was
 * cut off.
 * @throws SpillwayError, AbortedError
 */
export async function transferImage(
  sites: SiteDirectory,
  request: TransferRequest,
  context: StepContext,
): Promise<PushResult> {
  const { capBps } = request;
  return pushImage({
    ...pushOf(request),
    target: sites.get(request.site),
    context,
    ...(capBps === undefined ? {} : { capBytesPerSecond: capBps / 8 }),
  });
}

/** The image at a site; undefined unless it is complete there. @throws SpillwayError */
export async function findImage(
  sites: SiteDirectory,
  image: { readonly site: string; readonly digest: string },
  context: StepContext,
  options?: CallOptions,
): Promise<ImageStatus | undefined> {
  const status = await sites.get(image.site).image(image.digest, { signal: context.signal, ...options });
  return status?.complete ? status : undefined;
}

/** Deletes an image at a site. Idempotent. @throws SiteError `image-in-use` while a pool runs from it */
export async function dropImage(
  sites: SiteDirectory,
  image: { readonly site: string; readonly digest: string },
  context: StepContext,
): Promise<void> {
  await sites.get(image.site).deleteImage(image.digest, { signal: context.signal });
  context.progress({
    step: "transfer",
    subject: replicaId(image.site, image.digest),
    message: "deleted at the site",
  });
}

function pushOf({ site, source, digest, cacheDirectory }: TransferRequest) {
  return { source, digest, cacheDirectory, subject: digest ? replicaId(site, digest) : `${site}/${source}` };
}
