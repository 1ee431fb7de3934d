export { openImageSource, type OpenImageOptions } from "./open";
export { sourceChanged } from "./file";
export type { ImageFormat, ImageSource } from "./source";
