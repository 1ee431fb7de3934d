import { setImmediate } from "node:timers/promises";
import { KeyTable } from "../chunking";
import { DeltaIndex, PageCache, type DeltaBase } from "../delta";
import { BLOCK_BYTES, blockCountOf } from "../wire/digest";
import { IndexReader, type IndexBlock } from "../wire/index-reader";
import type { ImageTarget } from "../wire/target";
import { BaseFile, PART_BYTES } from "./base-file";
import type { CanonicalImage } from "./canonical-image";
import { HeldIndexes, type HeldIndex } from "./held-indexes";
import type { ImageCache } from "./image-cache";
import { NewlyUsed } from "./newly-used";
import { WholeBlocks } from "./whole-blocks";

/** The number of the image that is being sent. */
export const SELF = 255;
const MAX_IMAGES = 254;

/** Chunks that are known at most: 16 bytes each. Of what lies beyond, some is sent that would not have to be. */
const MAX_CHUNKS = 12 * 1024 * 1024;
/** For samples of bytes that the near side still has. */
const DELTA_BYTES = 64 * 1024 * 1024;
const PAGE_CACHE_BYTES = 16 * 1024 * 1024;
/** Others have their turn after so many blocks of an index: one may come while the image is being sent. */
const BLOCKS_AT_ONCE = 16;
/** The first byte waits no longer than so for indexes that the far side has to be asked for. */
const WAIT_MS = 15_000;

export interface LoadOptions {
  /** Digests of what the far side holds, the most useful first. */
  readonly images: readonly string[];
  /** That will be sent. */
  readonly image: CanonicalImage;
  readonly cache: ImageCache;
  readonly target: ImageTarget;
  /** Tells targets apart. @default "" */
  readonly targetName?: string;
  readonly signal?: AbortSignal;
  /** False: chunks alone, as an estimate needs them. */
  readonly withBytes: boolean;
  /** Indexes that the far side has to be asked for are waited for so long; those that come later are used from then on. @default 15000 */
  readonly waitMs?: number;
  /** Told what is waited for. */
  readonly tell?: (message: () => string) => void;
}

/** What the far side holds, as far as the near side knows: every chunk of every image, and the bytes of those whose file is here. */
export class KnownImages {
  readonly table = new KeyTable(MAX_CHUNKS);
  readonly bases: Map<number, DeltaBase>;
  readonly pages = new PageCache({ memoryBytes: PAGE_CACHE_BYTES });
  private readonly digests: string[] = [];
  private readonly usable: boolean[] = [];
  private readonly opened: BaseFile[] = [];
  /** For all of them in turn: there may be many. */
  private space: Buffer | undefined;
  /** Compared with the image that is the most useful. */
  private newlyUsed: NewlyUsed | undefined;
  private readonly blocks = new WholeBlocks();
  private deltaIndex: DeltaIndex | undefined;
  private isClosed = false;

  private constructor(
    private readonly image: CanonicalImage,
    private readonly isVerified: boolean,
    private readonly indexes: HeldIndexes,
  ) {
    this.bases = new Map([[SELF, { number: SELF, sizeBytes: image.sizeBytes, read: image.readAll }]]);
  }

  /** @throws AbortedError */
  static async load(options: LoadOptions): Promise<KnownImages> {
    const { image, cache, target, targetName = "", signal, withBytes, waitMs = WAIT_MS, tell } = options;
    const images = [...new Set(options.images)].slice(0, MAX_IMAGES);
    const indexes = await HeldIndexes.open({
      ...{ images, cache, target, targetName, signal, waitMs, tell },
    });
    const known = new KnownImages(image, target.verifiesCopies ?? true, indexes);
    try {
      const { ready } = indexes;
      if (withBytes) indexes.whenLate((index) => known.add(index));
      for (const index of ready) await known.add(index);
      if (!withBytes) return known;
      for (const [number, digest] of [...known.digests.entries()]) {
        await known.openFile(number, digest, cache, signal);
      }
      return known;
    } catch (error) {
      await known.close();
      throw error;
    }
  }

  /** Samples of what was looked at. It takes its memory when it is first asked for. */
  get delta(): DeltaIndex {
    if (this.deltaIndex) return this.deltaIndex;
    const delta = (this.deltaIndex = new DeltaIndex({ memoryBytes: DELTA_BYTES }));
    const { opened, image } = this;
    // Of the image itself only what is new will be added, which nobody knows yet: about a quarter where it has a relative.
    const own = opened.length > 0 ? image.readableBytes / 4 : image.readableBytes;
    delta.plan(opened.reduce((sum, base) => sum + base.image.readableBytes, own));
    return delta;
  }

  /** Undefined for {@link SELF}. */
  digestOf(number: number): string | undefined {
    return this.digests[number];
  }

  isUsable(number: number): boolean {
    return this.usable[number];
  }

  /** Without having been read: is something new to be expected of this block? */
  isLikelyNew(block: number): boolean {
    return this.newlyUsed?.has(block) ?? false;
  }

  /** The far side has lost others: from now on they are not referred to. */
  dropAllBut(held: ReadonlySet<string>): void {
    for (const [number, digest] of this.digests.entries()) {
      if (held.has(digest)) continue;
      this.usable[number] = false;
      this.bases.delete(number);
    }
  }

  /** These bytes of a held image are copied as they are: nothing else will have come of them. */
  noteUsed(number: number, offset: number, length: number): void {
    this.opened.find((base) => base.number === number)?.noteUsed(offset, length);
  }

  /** Looks at some more of the bytes of what the far side holds, so that what is new can be told as what has become of them. */
  async lookUpTo(offset: number): Promise<void> {
    if (this.opened.length === 0) return;
    this.space ??= Buffer.allocUnsafeSlow(PART_BYTES);
    for (const base of this.opened) await base.lookUpTo(offset, this.delta, this.space);
  }

  /** Where a whole block is held of which only the target says what chunks it has; undefined when that is not needed, or not known. */
  wholeBlock(leaf: Buffer): { readonly image: number; readonly offset: number } | undefined {
    const found = this.blocks.find(leaf);
    return found && this.usable[found.image] ? found : undefined;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.indexes.close();
    for (const base of this.opened) await base.close();
  }

  /** An index that turns out to be broken, or gone, was right as far as it went: each of its records is verified. */
  private async add({ digest, path, isOwn }: HeldIndex): Promise<void> {
    const number = this.digests.push(digest) - 1;
    this.usable.push(true);
    // What a target says of its chunks may be wrong. Where nobody would find out, only the leaves count.
    const addBlock = isOwn || this.isVerified ? this.addChunks : this.addWhole;
    const newly = number === 0 ? new NewlyUsed(this.image) : undefined;
    let index: IndexReader | undefined;
    try {
      index = await IndexReader.open(path);
      newly?.endAt(blockCountOf(index.sizeBytes));
      for await (const found of index.blocks()) {
        if (this.isClosed) return;
        newly?.add(found);
        if (!found.isZeros) addBlock.call(this, number, found);
        if (found.block % BLOCKS_AT_ONCE === 0) await setImmediate();
      }
    } catch {
      // Of what is not known, more is sent than would have to be.
    } finally {
      await index?.close();
    }
    if (newly) this.newlyUsed = newly;
  }

  private addChunks(number: number, found: IndexBlock): void {
    const { block, count, ends, keys } = found;
    for (let i = 0, from = 0; i < count; from = ends[i++]) {
      if (found.isHole(i)) continue;
      this.table.add(keys[i * 2], keys[i * 2 + 1], number, block * BLOCK_BYTES + from);
    }
  }

  private addWhole(number: number, { block, leaf }: IndexBlock): void {
    this.blocks.add(leaf, number, block * BLOCK_BYTES);
  }

  /** Opens the file that this image was read from, if it is still that. */
  private async openFile(
    number: number,
    digest: string,
    cache: ImageCache,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const file = await cache.fileOf(digest);
    const base = file && (await BaseFile.open(number, file, this.image, signal));
    if (!base) return;
    this.opened.push(base);
    this.bases.set(number, base.delta);
    if (number === 0) this.newlyUsed = await NewlyUsed.since(base.image, this.image, signal);
  }
}
