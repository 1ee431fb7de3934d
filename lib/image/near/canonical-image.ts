import { mapExtents, type ExtentMap } from "../extents";
import type { Extents } from "../extents";
import { openImageSource, type ImageSource } from "../source";
import { BLOCK_BYTES } from "../wire/digest";

/** Which image file is meant, and how it is read. */
export interface SourceOptions {
  /** Path of the image file, raw or qcow2. */
  readonly source: string;
  /**
   * Bit by bit: also what a file system calls free.
   * @default false: free blocks count as zeros
   */
  readonly exact?: boolean;
  /** @default told from the file's first bytes */
  readonly format?: "raw" | "qcow2";
}

/**
 * An image as both sides know it: the disk's bytes where it is in use, zeros everywhere else. Two files with the same canonical image
 * have the same digest.
 */
export class CanonicalImage {
  private inUseBlocks: Promise<Extents> | undefined;

  private constructor(
    readonly source: ImageSource,
    readonly map: ExtentMap,
    /** What has to be read; everything else is zeros. */
    private readonly readable: Extents,
    private readonly exact: boolean,
  ) {}

  /** @throws SpillwayError for a file that is missing, unreadable, or no image of its format */
  static async open(options: SourceOptions, signal?: AbortSignal): Promise<CanonicalImage> {
    const source = await openImageSource(options.source, { format: options.format });
    try {
      const map = await mapExtents(source, { exact: options.exact, signal });
      const readable = map.inUse.intersect(await source.allocated());
      return new CanonicalImage(source, map, readable, options.exact ?? false);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.source.sizeBytes;
  }

  get blockCount(): number {
    return Math.ceil(this.sizeBytes / BLOCK_BYTES);
  }

  /** Bytes that have to be read. */
  get readableBytes(): number {
    return this.readable.bytes;
  }

  /** What its file systems have in use: less than is read of an image that counts bit by bit. */
  inUse(signal?: AbortSignal): Promise<Extents> {
    this.inUseBlocks ??= this.exact
      ? mapExtents(this.source, { signal }).then(({ inUse }) => inUse.intersect(this.readable))
      : Promise.resolve(this.readable);
    return this.inUseBlocks;
  }

  /** Ranges that are zeros without having been read. */
  *unread(): Iterable<readonly [start: number, end: number]> {
    let last = 0;
    for (let i = 0; i < this.readable.count; i++) {
      if (this.readable.start(i) > last) yield [last, this.readable.start(i)];
      last = this.readable.end(i);
    }
    if (last < this.sizeBytes) yield [last, this.sizeBytes];
  }

  /** How many of the bytes from `from` to `to` have to be read. */
  readableWithin(from: number, to: number): number {
    return this.readable.bytesWithin(from, to);
  }

  /** Bytes of a block: all have {@link BLOCK_BYTES}, but the last. */
  lengthOf(block: number): number {
    return Math.min(BLOCK_BYTES, this.sizeBytes - block * BLOCK_BYTES);
  }

  /**
   * Fills `into` with the image's bytes from `offset` on.
   * @returns false when all of them are zeros without having been read; then `into` is left as it was
   */
  async read(into: Uint8Array, offset: number): Promise<boolean> {
    const ranges = [...this.readable.within(offset, offset + into.length)];
    if (ranges.length === 0) return false;
    const start = ranges[0][0] - offset;
    const end = ranges[ranges.length - 1][1] - offset;
    // One read of all that lies between is quicker than many.
    await this.source.read(into.subarray(start, end), offset + start);
    let used = 0;
    for (const [from, to] of ranges) {
      into.fill(0, used, from - offset);
      used = to - offset;
    }
    into.fill(0, used);
    return true;
  }

  /** As {@link read}, with the zeros written as well. */
  readonly readAll = async (into: Uint8Array, offset: number): Promise<void> => {
    if (!(await this.read(into, offset))) into.fill(0);
  };

  close(): Promise<void> {
    return this.source.close();
  }
}
