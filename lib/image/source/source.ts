import type { Extents } from "../extents/extents";
import type { FileIdentity } from "./identity";

/** How an image file holds its disk: byte for byte, or as a qcow2 container. */
export type ImageFormat = "raw" | "qcow2";

/** The bytes of one virtual disk, for reading only. */
export interface ImageSource {
  readonly path: string;
  readonly format: ImageFormat;
  /** Of the virtual disk, not of the file that holds it. */
  readonly sizeBytes: number;
  /** Of the file. That of a block device is never the same twice: nothing tells whether a device was written to. */
  readonly identity: FileIdentity;
  /**
   * Fills all of `into` with the disk's bytes from `offset` on; zeros where nothing is allocated.
   * @throws RangeError when that goes past the disk's end
   * @throws SpillwayError when the file cannot be read, or holds no such bytes
   */
  read(into: Uint8Array, offset: number): Promise<void>;
  /**
   * What may differ from zero: everything outside is zeros without being read.
   * @throws SpillwayError when the file cannot be read, or is damaged
   */
  allocated(): Promise<Extents>;
  /** @throws SpillwayError when the file is no longer what it was when it was opened */
  requireUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** @throws RangeError when `length` bytes at `offset` are not all inside a disk of `sizeBytes` */
export function requireInside(sizeBytes: number, offset: number, length: number): void {
  if (offset >= 0 && Number.isSafeInteger(offset) && offset + length <= sizeBytes) return;
  throw new RangeError(`bytes ${offset} to ${offset + length} are not inside a disk of ${sizeBytes} bytes`);
}
