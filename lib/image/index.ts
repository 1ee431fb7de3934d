/**
 * Moving an image from a file at the near side into the store of a far site.
 *
 * Near side (provider, hook, command line):
 *   indexImage(options: IndexOptions): Promise<IndexedImage>            digest, size and what it consists of; cached
 *   pushImage(options: PushOptions): Promise<PushResult>
 *   estimateTransfer(options: EstimateOptions): Promise<TransferPreview>
 * Far side (site agent):
 *   openImageStore(options: ImageStoreOptions): Promise<ImageStore>
 */
export { FormatError, ImageStoreError, STORE_ERROR_STATUS, type ImageStoreErrorCode } from "./errors";
export * from "./far";
export * from "./near";
export { MAX_SEGMENT_BYTES, type ImageTarget, type TargetCallOptions } from "./wire";
