import type {
  ImageStatus,
  SegmentAnswer,
  TransferEstimate,
  TransferRequest,
  TransferState,
} from "../../site/api";

export type { SegmentAnswer, TransferRequest, TransferState };

/** How one call to a target behaves. */
export interface TargetCallOptions {
  readonly signal?: AbortSignal;
  /** The target repeats its own tries for so long; 0: one try. */
  readonly retryBudgetMs?: number;
  /** Asked for each slice's turn by a target that sends over a link. */
  readonly pace?: { readonly sliceBytes: number; take(bytes: number, signal?: AbortSignal): Promise<void> };
}

/**
 * Where an image is pushed to: a site over HTTP, a store in the same process, a directory, a bucket. What they throw is judged by
 * its `code` (`ApiProblem["code"]`, or `unreachable`, `slow`); anything else counts as trouble on the way and is tried again.
 */
export interface ImageTarget {
  /**
   * One round trip: what is held there, and what of this transfer has arrived. Idempotent. A digest that is given later binds the
   * transfer to it.
   * @param id 64 hex digits that the near side chose
   */
  openTransfer(id: string, request: TransferRequest, options?: TargetCallOptions): Promise<TransferState>;
  /**
   * Hands over one segment. Idempotent, in any order. Codes: `image-corrupt` (nothing of it was kept; send it again, and without
   * copies if `withoutCopies` is said), `image-missing` (it copies from an image that is not held), `image-incomplete` (it copies
   * from a block that has not arrived), `disk-full`, `not-found` (open the transfer), `invalid`, `too-large`
   */
  putSegment(
    id: string,
    segmentId: string,
    segment: Uint8Array,
    options?: TargetCallOptions,
  ): Promise<SegmentAnswer>;
  /**
   * Verifies the image; from then on it is held. Idempotent. Codes: `image-incomplete`, `image-corrupt` (open the transfer again to
   * learn which blocks are missing), `disk-full`, `not-found`
   */
  completeTransfer(id: string, digest: string, options?: TargetCallOptions): Promise<ImageStatus>;
  /** The index of a complete image; undefined when the image is not held. */
  fetchIndex(digest: string, options?: TargetCallOptions): Promise<Uint8Array | undefined>;
  /** Pins what a plan shall say, and returns it or what was pinned before (Terraform plans twice and fails if the two differ). */
  pinEstimate(
    digest: string,
    estimate: TransferEstimate,
    options?: TargetCallOptions,
  ): Promise<TransferEstimate>;
}
