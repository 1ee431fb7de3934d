import type { ImageStatus, OfferAnswer, SegmentAnswer, TransferEstimate } from "../site/api";

/** How one call to a target behaves. */
export interface TargetCallOptions {
  readonly signal?: AbortSignal;
  /** The target repeats its own tries for so long; 0: one try. */
  readonly retryBudgetMs?: number;
  /** Asked for each slice's turn by a target that sends over a link. */
  readonly pace?: { readonly sliceBytes: number; take(bytes: number, signal?: AbortSignal): Promise<void> };
}

/**
 * Where an image is pushed to. A `SiteClient` is one (over HTTP), an `ImageStore` too (in the same process). What they throw is
 * judged by its `code` (`ApiProblem["code"]`, or `unreachable`, `slow`); anything else counts as trouble on the way and is tried
 * again.
 */
export interface ImageTarget {
  /** Hands over the index and learns what is missing. Idempotent. */
  offer(digest: string, index: Uint8Array, options?: TargetCallOptions): Promise<OfferAnswer>;
  /** What a transfer would take. Changes nothing. */
  estimate(digest: string, index: Uint8Array, options?: TargetCallOptions): Promise<TransferEstimate>;
  /** Hands over one segment. Idempotent. */
  putSegment(
    digest: string,
    id: string,
    segment: Uint8Array,
    options?: TargetCallOptions,
  ): Promise<SegmentAnswer>;
  /** Puts the image together and verifies the whole of it. Idempotent. */
  complete(digest: string, options?: TargetCallOptions): Promise<ImageStatus>;
}
