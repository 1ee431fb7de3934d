import { SourceFile } from "./file";
import { Qcow2Source } from "./qcow2";
import { QCOW2_MAGIC } from "./qcow2-header";
import { RawSource } from "./raw";
import type { ImageFormat, ImageSource } from "./source";

export interface OpenImageOptions {
  /**
   * Reads the file as this, whatever it begins with. A machine can write what it likes to the beginning of its own raw disk, so
   * say `raw` for images of machines that are not trusted; what they could win is only to have their own disk read otherwise,
   * for an image never makes any other file be read.
   * @default qcow2 when it begins with qcow2's magic, else raw
   */
  readonly format?: ImageFormat;
}

/**
 * Opens an image file (or a block device) for reading. Nothing but this one file is ever read.
 * @throws SpillwayError when there is no such file, or it is no image that can be read
 */
export async function openImageSource(path: string, options: OpenImageOptions = {}): Promise<ImageSource> {
  const file = await SourceFile.open(path);
  try {
    const format = options.format ?? (await detectFormat(file));
    return format === "qcow2" ? await Qcow2Source.open(file) : new RawSource(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function detectFormat(file: SourceFile): Promise<ImageFormat> {
  if (file.sizeBytes < 4) return "raw";
  const magic = Buffer.alloc(4);
  await file.read(magic, 0);
  return magic.readUInt32BE(0) === QCOW2_MAGIC ? "qcow2" : "raw";
}
