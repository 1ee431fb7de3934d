import type { ImageStatus, TransferEstimate } from "../site/api";
import type { StepContext } from "../wait";
import type { ImageTarget } from "./target";

/** How an image store is opened. */
export interface ImageStoreOptions {
  /** The directory of the store's files (`<stateDir>/images`); made when missing. One process at a time. */
  readonly directory: string;
  /** The site's name, for errors. */
  readonly site: string;
  /** Names of the pools that use an image; one in use is not deleted. @default nobody */
  readonly usedBy?: (digest: string) => readonly string[];
  /**
   * An estimate given within so long before the image changed is given again: a cut-off sender's last segments come in after the next
   * plan was made.
   * @default 15000
   */
  readonly estimateHoldMs?: number;
  /** The rate told while none was measured, bits per second. @default 100000000 */
  readonly assumedRateBps?: number;
}

/** The link into a site, as its store measured it. */
export interface LinkRate {
  /** Bits per second. */
  readonly rateBps: number;
  readonly rateIs: "measured" | "assumed";
}

/**
 * The images of one site: those it holds, and those that are arriving. What is here is on disk alone, so a store that is killed
 * at any point goes on where it was when it is opened again.
 *
 * Every method but `path` and `linkRate` may throw an `ImageStoreError`; its `code` and `status` are those of the site's API.
 */
export interface ImageStore extends ImageTarget {
  /** Undefined when nothing of the image is here. */
  status(digest: string): Promise<ImageStatus | undefined>;
  /** Every image, by digest. */
  list(): Promise<readonly ImageStatus[]>;
  /**
   * Deletes an image, complete or not. Idempotent.
   * @throws ImageStoreError `image-in-use`
   */
  delete(digest: string): Promise<void>;
  /**
   * The file of a complete image. It is read-only.
   * @throws ImageStoreError `image-missing`, `image-incomplete`
   */
  path(digest: string): string;
  linkRate(): LinkRate;
  /** Waits for what is being written and closes files. */
  close(): Promise<void>;
}

/** What is to be sent where. */
export interface PushOptions {
  /** Path of the image file. */
  readonly source: string;
  /** When given, the source must have it. */
  readonly digest?: string;
  readonly target: ImageTarget;
  readonly context: StepContext;
  /** What progress lines and errors are about. @default the file's name */
  readonly subject?: string;
  /** Streams in parallel at first and at most. @default 4, grown to 16 while that brings more */
  readonly streams?: { readonly start?: number; readonly max?: number };
  /** Bytes per second on the wire. @default no limit */
  readonly capBytesPerSecond?: number;
  /** It gives up when no segment was taken for so long. @default 300000 */
  readonly patienceMs?: number;
  /** Where indexes are kept. @default $XDG_CACHE_HOME/spillway or ~/.cache/spillway */
  readonly cacheDirectory?: string;
}

/** What a push did. */
export interface PushResult {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Bytes of index and segments that the site took: what crossed the link, without HTTP's own. */
  readonly sentBytes: number;
  /** Bytes of the image that needed no sending: held by the site, repeated, or zero. */
  readonly presentBytes: number;
  /** Segments sent. */
  readonly segments: number;
}

/** What is asked about. */
export interface EstimateOptions {
  readonly source: string;
  /** When given, the source must have it. */
  readonly digest?: string;
  readonly target: ImageTarget;
  readonly context?: StepContext;
  readonly subject?: string;
  readonly cacheDirectory?: string;
}

/** What a transfer would take, and of what. */
export interface TransferPreview {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly estimate: TransferEstimate;
}
