import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { BLOCK_BYTES } from "../wire/digest";
import { isDirectSpace, PAGE_BYTES } from "./direct-spaces";
import { readFully } from "./files";

/** What a file system answers that does not go past its cache, or not like that. */
const NOT_DIRECT = new Set(["EINVAL", "EOPNOTSUPP", "ENOTSUP"]);

/**
 * A file that is read and written past the page cache where its file system and the memory allow it, and through the cache elsewhere. An
 * image fills more of the cache than anybody will look at again soon, pushes out what others need, and costs more processor time on
 * its way through it than all else that is done with it.
 */
export class DirectFile {
  private constructor(
    /** Of the same file, through the cache. */
    readonly cached: FileHandle,
    private direct: FileHandle | undefined,
  ) {}

  /** @param flags as for `open` */
  static async open(path: string, flags: "r" | "r+" | "w+"): Promise<DirectFile> {
    const cached = await open(path, flags, 0o600);
    const access = flags === "r" ? constants.O_RDONLY : constants.O_RDWR;
    const direct = await open(path, access | (constants.O_DIRECT ?? 0)).catch(() => undefined);
    return new DirectFile(cached, constants.O_DIRECT === undefined ? undefined : direct);
  }

  /**
   * Reads what there is from `offset` on, at most {@link BLOCK_BYTES}.
   * @param bounce a direct space of {@link BOUNCE_BYTES}
   * @returns how many bytes were read: fewer only where the file ends
   */
  async read(into: Uint8Array, offset: number, bounce: Buffer): Promise<number> {
    const from = offset - (offset % PAGE_BYTES);
    const wanted = Math.ceil((offset + into.length - from) / PAGE_BYTES) * PAGE_BYTES;
    if (!this.direct || !isDirectSpace(bounce) || wanted > bounce.length)
      return this.readCached(into, offset);
    try {
      const { bytesRead } = await this.direct.read(bounce, 0, wanted, from);
      const end = Math.min(bytesRead, offset + into.length - from);
      if (end <= offset - from) return 0;
      // Short of what was wanted, and not because the file ends there: the rest comes the other way.
      if (end < offset + into.length - from && bytesRead % PAGE_BYTES === 0) {
        return await this.readCached(into, offset);
      }
      return bounce.copy(into, 0, offset - from, end);
    } catch (error) {
      await this.giveUp(error);
      return this.readCached(into, offset);
    }
  }

  /**
   * Writes a part of a block, given as a whole: `bytes[from…to]` goes to the same place in the block.
   * @returns whether all of it went past the cache
   */
  async writePart(bytes: Uint8Array, from: number, to: number, blockOffset: number): Promise<boolean> {
    const start = from - (from % PAGE_BYTES);
    const end = Math.ceil(to / PAGE_BYTES) * PAGE_BYTES;
    const isAligned = end <= bytes.length && blockOffset % PAGE_BYTES === 0 && isDirectSpace(bytes);
    if (!this.direct || !isAligned) {
      await this.writeCached(bytes, from, to, blockOffset);
      return false;
    }
    try {
      const { bytesWritten } = await this.direct.write(bytes, start, end - start, blockOffset + start);
      if (bytesWritten === end - start) return true;
      await this.writeCached(bytes, start + bytesWritten, end, blockOffset);
    } catch (error) {
      await this.giveUp(error);
      await this.writeCached(bytes, from, to, blockOffset);
    }
    return false;
  }

  async writeCached(bytes: Uint8Array, from: number, to: number, blockOffset: number): Promise<void> {
    for (let at = from; at < to;) {
      at += (await this.cached.write(bytes, at, to - at, blockOffset + at)).bytesWritten;
    }
  }

  async close(): Promise<void> {
    await this.direct?.close().catch(() => undefined);
    await this.cached.close();
  }

  private readCached(into: Uint8Array, offset: number): Promise<number> {
    return readFully(this.cached, into, offset);
  }

  /** From now on through the cache; what is no matter of that is thrown again. */
  private async giveUp(error: unknown): Promise<void> {
    if (!NOT_DIRECT.has(String((error as NodeJS.ErrnoException | undefined)?.code))) throw error;
    const { direct } = this;
    this.direct = undefined;
    await direct?.close().catch(() => undefined);
  }
}

/** Whatever part of a block is read: with the rest of its first and last page. */
export const BOUNCE_BYTES = BLOCK_BYTES + 2 * PAGE_BYTES;
