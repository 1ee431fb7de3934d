import type { ProblemReport } from "../../errors";
import type { ImageStatus } from "../../site/api";
import type { ImageTarget, TargetCallOptions } from "../wire/target";

/** How an image store is opened. */
export interface ImageStoreOptions {
  /** The directory of the store's files (`<stateDir>/images`); made when missing. One process at a time. */
  readonly directory: string;
  /** The site's name, for errors. @default - no site's, but a directory of images without an agent */
  readonly site?: string;
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
  /** @default images are kept until they are deleted */
  readonly retention?: RetentionOptions;
  /** Told of what went wrong while nobody waited for an answer. @default nobody */
  readonly onProblem?: (report: ProblemReport) => void;
}

/**
 * Complete images that nothing uses are evicted: those beyond a number whenever another becomes complete, and as many as it takes when
 * the disk is too full for what arrives; first those that were not asked for by their digest for the longest time. The two newest
 * stay, and those that running transfers copy from.
 */
export interface RetentionOptions {
  /** So many stay that nothing uses; at least 2. */
  readonly images: number;
  /** Told of each, once its files are gone. */
  readonly onEvicted?: (image: EvictedImage) => Promise<void> | void;
}

export interface EvictedImage {
  readonly digest: string;
  /** Of the virtual disk. */
  readonly sizeBytes: number;
  /** In a few words. */
  readonly why: string;
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
  /** Undefined when nothing of the image is here. Of several transfers of one image, the one that is furthest counts. */
  status(digest: string): Promise<ImageStatus | undefined>;
  /** Every image whose digest is known, by digest. */
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
  /**
   * The file of a complete image's index, as {@link ImageTarget.fetchIndex} gives it; waited for while it is being made.
   * @returns undefined when the image is not held
   */
  indexPath(digest: string, options?: TargetCallOptions): Promise<string | undefined>;
  /**
   * Reads the whole of a complete image again. What is damaged counts as missing from then on, so that the next push mends it.
   * @throws ImageStoreError `image-corrupt`, `image-missing`, `image-incomplete`
   */
  verify(digest: string, options?: TargetCallOptions): Promise<ImageStatus>;
  linkRate(): LinkRate;
  /** Waits for what is being written and closes files. */
  close(): Promise<void>;
}
