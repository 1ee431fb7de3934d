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
  /** Told when a segment was handed over whole to the operating system: what is left is to wait for the answer. */
  readonly onHandedOver?: () => void;
  /** Asked for each slice's turn by a target that sends over a link. */
  readonly pace?: { readonly sliceBytes: number; take(bytes: number, signal?: AbortSignal): Promise<void> };
}

/** Of all connections to a target. */
export interface OnTheWay {
  /** Handed over, and not acknowledged by the far side's operating system. */
  readonly unacknowledgedBytes: number;
  /** The shortest that a connection took to be answered. */
  readonly roundTripMs?: number;
}

/** Takes the next piece of something long: the one after it comes when the promise is fulfilled. What it throws ends the reading. */
export type TakePiece = (piece: Uint8Array) => Promise<void>;

/**
 * Where an image is pushed to: a site over HTTP, a store in the same process, a directory, a bucket. What they throw is judged by
 * its `code` (`ApiProblem["code"]`, or `unreachable`, `slow`); anything else counts as trouble on the way and is tried again.
 */
export interface ImageTarget {
  /**
   * False where nobody computes: what a segment copies is compared with its leaf only when the image is read again, so that nothing
   * may be copied which only the far side says is there.
   * @default true
   */
  readonly verifiesCopies?: boolean;
  /**
   * One round trip: what is held there, and what of this transfer has arrived. Idempotent. A digest that is given later binds the
   * transfer to it.
   * @param id 64 hex digits that the near side chose
   */
  openTransfer(id: string, request: TransferRequest, options?: TargetCallOptions): Promise<TransferState>;
  /** What the operating system knows of all that is on its way there; undefined where that cannot be known. */
  onTheWay?(): OnTheWay | undefined;
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
  /**
   * Reads the index of a complete image, piece by piece and in order. Waits while the far side makes it. A failure in the middle is
   * thrown: what was given until then is not the whole.
   * @param take is given nothing when the image is not held
   * @returns whether the image is held
   */
  fetchIndex(digest: string, take: TakePiece, options?: TargetCallOptions): Promise<boolean>;
  /** Pins what a plan shall say, and returns it or what was pinned before (Terraform plans twice and fails if the two differ). */
  pinEstimate(
    digest: string,
    estimate: TransferEstimate,
    options?: TargetCallOptions,
  ): Promise<TransferEstimate>;
}
