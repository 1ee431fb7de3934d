import type { DeltaBase, DeltaIndex } from "../delta";
import type { Extents } from "../extents";
import { CanonicalImage } from "./canonical-image";
import { nameOf, type KeptFile } from "./image-cache";
import { PageSet } from "./page-set";

/** Read with one call. */
export const PART_BYTES = 4 * 1024 * 1024;
/** Of what was given up, so many parts are looked at for each block that is sent: all at once would keep the link waiting. */
const GIVEN_UP_AT_ONCE = 2;
/** Fewer bytes between two ranges are read with them: a read costs as much as so many bytes. */
const WORTH_A_READ_BYTES = 256 * 1024;
/** What the index takes at once. */
const PIECE_BYTES = 1024 * 1024;

/**
 * The file of an image that the far side holds and that is still here. What is new in the image that is sent has often come of it: an
 * older version of a program, a log that has grown.
 */
export class BaseFile {
  /** Not to be looked at: zeros, found unchanged in the image that is sent, or looked at before. */
  private readonly done: PageSet;
  /** Parts that are next. */
  private nextGivenUp = 0;
  private nextInOrder = 0;

  private constructor(
    readonly number: number,
    readonly image: CanonicalImage,
    /** In use there, but not in the image that is sent: what was removed or replaced. The new is most often like it. */
    private readonly givenUp: Extents,
  ) {
    this.done = new PageSet(image.sizeBytes);
    for (const [from, to] of image.unread()) this.done.add(from, to - from);
  }

  /**
   * @param number of the image among the known ones
   * @param sent the image that is sent
   * @returns undefined when the file is no longer what it was
   */
  static async open(
    number: number,
    file: KeptFile,
    sent: CanonicalImage,
    signal?: AbortSignal,
  ): Promise<BaseFile | undefined> {
    const image = await CanonicalImage.open({ ...file, source: file.path }, signal).catch(() => undefined);
    if (!image) return undefined;
    try {
      if (nameOf({ identity: image.source.identity, exact: file.exact }) === file.reading) {
        const givenUp = (await image.inUse(signal)).subtract(await sent.inUse(signal));
        return new BaseFile(number, image, givenUp);
      }
    } catch (error) {
      await image.close();
      throw error;
    }
    await image.close();
    return undefined;
  }

  get delta(): DeltaBase {
    return { number: this.number, sizeBytes: this.image.sizeBytes, read: this.image.readAll };
  }

  /** These bytes are copied as they are: nothing else will have come of them. */
  noteUsed(offset: number, length: number): void {
    this.done.add(offset, length);
  }

  /**
   * Remembers the bytes that something new may have come of: first, some at a time, those that were given up, and what lies before
   * `offset` and was not found unchanged. What cannot be read is left out: more is sent then.
   * @param space of {@link PART_BYTES}, used until it is done
   */
  async lookUpTo(offset: number, into: DeltaIndex, space: Buffer): Promise<void> {
    const parts = Math.ceil(this.image.sizeBytes / PART_BYTES);
    for (let looked = 0; looked < GIVEN_UP_AT_ONCE && this.nextGivenUp < parts; this.nextGivenUp++) {
      const at = this.nextGivenUp * PART_BYTES;
      const ranges = [...this.givenUp.within(at, at + PART_BYTES)];
      if (ranges.length === 0) continue;
      looked++;
      await this.add(
        at,
        ranges.map(([from, to]) => [from - at, to - at] as const),
        into,
        space,
      );
      for (const [from, to] of ranges) this.done.add(from, to - from);
    }
    const end = Math.min(parts, Math.floor(offset / PART_BYTES));
    for (; this.nextInOrder < end; this.nextInOrder++) {
      const at = this.nextInOrder * PART_BYTES;
      await this.add(at, this.done.gaps(at, Math.min(PART_BYTES, this.image.sizeBytes - at)), into, space);
    }
  }

  close(): Promise<void> {
    return this.image.close();
  }

  private async add(
    at: number,
    ranges: readonly (readonly [number, number])[],
    into: DeltaIndex,
    space: Buffer,
  ): Promise<void> {
    const reads: [from: number, to: number][] = [];
    for (const [from, to] of ranges) {
      const last = reads.at(-1);
      if (last && from - last[1] < WORTH_A_READ_BYTES) last[1] = to;
      else reads.push([from, to]);
    }
    const areRead = await Promise.all(
      reads.map(([from, to]) => this.image.readAll(space.subarray(from, to), at + from)),
    ).catch(() => undefined);
    if (!areRead) return;
    for (const [from, to] of ranges) {
      for (let piece = from; piece < to; piece += PIECE_BYTES) {
        into.add(this.number, at + piece, space.subarray(piece, Math.min(to, piece + PIECE_BYTES)));
      }
    }
  }
}
