/** The far side: the store of a site's images. */
export type { EvictedImage, ImageStore, ImageStoreOptions, LinkRate, RetentionOptions } from "./contract";
export { StoreGlance } from "./glance";
export { SegmentRefusedError, type SegmentProblemReport } from "./refusals";
export { openImageStore } from "./store";
