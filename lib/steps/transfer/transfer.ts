import { estimateTransfer, pushImage, type PushResult, type TransferPreview } from "../../image";
import type { BandwidthPlan } from "../../image/bandwidth";
import type { ImageFormat } from "../../image/source";
import type { ImageStatus } from "../../site/api";
import type { CallOptions, SiteClient, SiteDirectory } from "../../site/client";
import type { StepContext } from "../../wait";
import { replicaId } from "../names";

/** An image that is to be at a site. */
export interface TransferRequest {
  readonly site: string;
  /** Path of the image file, at this side. */
  readonly source: string;
  /** When given, the source must have it. */
  readonly digest?: string;
  /** Bit by bit, also what a file system calls free. @default false: free blocks count as zeros */
  readonly exact?: boolean;
  /** @default told from the file's first bytes */
  readonly format?: ImageFormat;
  /** What the transfer may take of the link, and when. @default no limit but the machine's own */
  readonly bandwidth?: BandwidthPlan;
  /** Where indexes of image files are kept. @default the user's cache directory */
  readonly cacheDirectory?: string;
}

/**
 * What a transfer would take: indexes the source (from the cache if it did not change) and asks the site what it holds. Changes
 * nothing there, but that the site remembers what it was told.
 * @throws SpillwayError for an image file that is missing or has another digest, an unknown site, an agent that is down
 */
export async function previewTransfer(
  sites: SiteDirectory,
  request: TransferRequest,
  context: StepContext,
): Promise<TransferPreview> {
  const target = sites.get(request.site);
  // A large image is read for minutes. Whether anybody is there at all is found out in seconds.
  await target.health({ signal: context.signal });
  return estimateTransfer({ ...sourceOf(request), ...targetOf(target), context });
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
  const bandwidth = request.bandwidth && [request.bandwidth];
  return pushImage({ ...sourceOf(request), ...targetOf(sites.get(request.site)), bandwidth, context });
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

function sourceOf({ site, source, digest, exact, format, cacheDirectory }: TransferRequest) {
  const subject = digest ? replicaId(site, digest) : `${site}/${source}`;
  return { source, digest, exact, format, cacheDirectory, subject };
}

function targetOf(target: SiteClient) {
  return { target, targetName: `${target.site} ${target.endpoint}` };
}
