/**
 * Moving an image from a file at the near side into the store of a far site.
 *
 * Near side (provider, hook, command line):
 *   indexFile(path, options?): Promise<IndexedFile>             digest, size and chunks; cached
 *   pushImage(options: PushOptions): Promise<PushResult>
 *   estimateTransfer(options: EstimateOptions): Promise<TransferPreview>
 * Far side (site agent):
 *   openImageStore(options: ImageStoreOptions): Promise<ImageStore>
 */
export type {
  EstimateOptions,
  ImageStore,
  ImageStoreOptions,
  LinkRate,
  PushOptions,
  PushResult,
  TransferPreview,
} from "./contract";
export { FormatError, ImageStoreError, STORE_ERROR_STATUS, type ImageStoreErrorCode } from "./errors";
export { MAX_INDEX_BYTES, MAX_SEGMENT_BYTES } from "./limits";
export type { ImageTarget, TargetCallOptions } from "./target";
export { ImageIndex } from "./image-index";
export { decodeIndex, encodeIndex } from "./index-encoding";
export { indexFile, type IndexedFile, type IndexFileOptions } from "./index-file";
export { estimateTransfer, pushImage } from "./push";
export { openImageStore } from "./store";
