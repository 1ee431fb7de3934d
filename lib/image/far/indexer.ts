import { setImmediate } from "node:timers/promises";
import { AbortedError } from "../../errors";
import { sleep } from "../../wait";
import { chunkBlock } from "../chunking/kernel";
import { FormatError, isMissingFile } from "../errors";
import { BLOCK_BYTES, blockCountOf, blockLengthOf, leafOfZeros } from "../wire/digest";
import { IndexReader } from "../wire/index-reader";
import { IndexWriter } from "../wire/index-writer";
import { readFully, type StoreFiles } from "./files";
import type { HeldImages } from "./held";
import { readManifest } from "./manifest";

/** While images arrive, indexing rests so long after each block. */
const STAND_BACK_MS = 20;

/** Makes the indexes of complete images, one at a time and after everything else. */
export class Indexer {
  private readonly jobs = new Map<string, Promise<boolean>>();
  private readonly waitedFor = new Set<string>();
  private readonly sound = new Set<string>();
  private tail: Promise<unknown> = Promise.resolve();
  private readonly stopping = new AbortController();

  /** @param isBusy whether images are arriving just now */
  constructor(
    private readonly files: StoreFiles,
    private readonly held: HeldImages,
    private readonly isBusy: () => boolean,
  ) {}

  /** Sees to it that a held image has an index, some time. */
  async request(digest: string): Promise<void> {
    const reader = await IndexReader.open(this.files.of(digest).index).catch(() => undefined);
    await reader?.close();
    // Whether all of it is sound is looked at when somebody wants it.
    if (reader?.digest !== digest) void this.job(digest);
  }

  /**
   * Waits until there is one.
   * @returns false when there is none: the image is not held (any more)
   * @throws AbortedError
   */
  async wait(digest: string, signal?: AbortSignal): Promise<boolean> {
    if (!this.held.look(digest)?.isWhole) return false;
    if (signal?.aborted) throw new AbortedError("stopped");
    this.waitedFor.add(digest);
    const job = this.job(digest);
    if (!signal) return job;
    let stop: () => void = () => undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      stop = () => reject(new AbortedError("stopped while waiting for an index"));
      signal.addEventListener("abort", stop, { once: true });
    });
    return Promise.race([job, aborted]).finally(() => signal.removeEventListener("abort", stop));
  }

  /** The image is not held any more, or not as it was. */
  forget(digest: string): void {
    this.sound.delete(digest);
  }

  /** Gives up what is being made. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.tail;
  }

  private job(digest: string): Promise<boolean> {
    const running = this.jobs.get(digest);
    if (running) return running;
    if (this.sound.has(digest)) return Promise.resolve(true);
    const job = this.tail.then(async () => {
      try {
        const isThere = (await this.isSound(digest)) || (await this.build(digest));
        if (isThere) this.sound.add(digest);
        return isThere;
      } catch {
        // A full disk, an image deleted meanwhile: whoever asks next finds out.
        return false;
      } finally {
        this.jobs.delete(digest);
        this.waitedFor.delete(digest);
      }
    });
    this.jobs.set(digest, job);
    this.tail = job;
    return job;
  }

  /** Is there a whole and undamaged one? */
  private async isSound(digest: string): Promise<boolean> {
    let reader: IndexReader;
    try {
      reader = await IndexReader.open(this.files.of(digest).index);
    } catch (error) {
      if (error instanceof FormatError || isMissingFile(error)) return false;
      throw error;
    }
    try {
      if (reader.digest !== digest) return false;
      for await (const { block } of reader.blocks()) if (block % 64 === 0) await this.pause(digest, 0);
      return true;
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    } finally {
      await reader.close();
    }
  }

  private async build(digest: string): Promise<boolean> {
    const files = this.files.of(digest);
    const manifest = await readManifest(files.manifest, digest);
    const opened = await this.held.open(digest);
    if (!manifest || !opened) {
      await opened?.file.close();
      return false;
    }
    const { sizeBytes, leaves } = manifest;
    const space = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const writer = await IndexWriter.create(files.index, sizeBytes);
    try {
      for (let block = 0; block < blockCountOf(sizeBytes); block++) {
        const leaf = leaves.subarray(block * 32, block * 32 + 32);
        const bytes = space.subarray(0, blockLengthOf(sizeBytes, block));
        if (leaf.equals(leafOfZeros(bytes.length))) {
          writer.addZeros();
          continue;
        }
        bytes.fill(0, await readFully(opened.file, bytes, block * BLOCK_BYTES));
        await writer.addBlock(leaf, chunkBlock(bytes));
        await this.pause(digest, STAND_BACK_MS);
      }
      // Deleted or taken back while it was read: what lies under this name now may be another's.
      if (!this.held.look(digest)?.isWhole) throw new AbortedError("the image is gone");
      await writer.finish(digest);
      return true;
    } catch (error) {
      await writer.discard();
      throw error;
    } finally {
      await opened.file.close();
    }
  }

  private async pause(digest: string, standBackMs: number): Promise<void> {
    if (this.stopping.signal.aborted) throw new AbortedError("stopped");
    const mayRest = standBackMs > 0 && this.isBusy() && !this.waitedFor.has(digest);
    if (mayRest) await sleep(standBackMs, this.stopping.signal);
    else await setImmediate();
  }
}
