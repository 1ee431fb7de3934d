/** The side that sends: reads an image, says how the far side can make it of what it holds, and sends what is left. */
export { pushImage, type PushOptions, type PushResult } from "./push";
export { estimateTransfer, type EstimateOptions, type TransferPreview } from "./estimate";
export { indexImage, type IndexedImage, type IndexOptions } from "./index-image";
export { CanonicalImage, type SourceOptions } from "./canonical-image";
export { ImageCache } from "./image-cache";
