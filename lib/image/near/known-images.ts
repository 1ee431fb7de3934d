import { rm, writeFile } from "node:fs/promises";
import { KeyTable } from "../chunking";
import { DeltaIndex, PageCache, type DeltaBase } from "../delta";
import { FormatError } from "../errors";
import { BLOCK_BYTES, blockCountOf } from "../wire/digest";
import { IndexReader } from "../wire/index-reader";
import type { ImageTarget } from "../wire/target";
import { BaseFile } from "./base-file";
import type { CanonicalImage } from "./canonical-image";
import type { ImageCache } from "./image-cache";
import { NewlyUsed } from "./newly-used";

/** The number of the image that is being sent. */
export const SELF = 255;
const MAX_IMAGES = 254;

/** Chunks that are known at most: 16 bytes each. Of what lies beyond, some is sent that would not have to be. */
const MAX_CHUNKS = 12 * 1024 * 1024;
/** For samples of bytes that the near side still has. */
const DELTA_BYTES = 64 * 1024 * 1024;
const PAGE_CACHE_BYTES = 16 * 1024 * 1024;

/** What the far side holds, as far as the near side knows: every chunk of every image, and the bytes of those whose file is here. */
export class KnownImages {
  private readonly usable: boolean[];
  private readonly opened: BaseFile[] = [];
  /** Compared with the image that is the most useful. */
  private newlyUsed: NewlyUsed | undefined;

  private constructor(
    private readonly image: CanonicalImage,
    private readonly digests: readonly string[],
    readonly table: KeyTable,
    readonly delta: DeltaIndex,
    readonly bases: Map<number, DeltaBase>,
    readonly pages: PageCache,
  ) {
    this.usable = digests.map(() => true);
  }

  /**
   * @param images digests of what the far side holds, the most useful first
   * @param image that will be sent
   */
  static async load(options: {
    readonly images: readonly string[];
    readonly image: CanonicalImage;
    readonly cache: ImageCache;
    readonly target: ImageTarget;
    readonly signal?: AbortSignal;
    /** False: chunks alone, as an estimate needs them. */
    readonly withBytes: boolean;
  }): Promise<KnownImages> {
    const { image, cache, signal, withBytes } = options;
    const digests: string[] = [];
    const indexes: string[] = [];
    for (const digest of options.images.slice(0, MAX_IMAGES)) {
      const index = await indexOf(digest, options);
      if (index === undefined) continue;
      digests.push(digest);
      indexes.push(index);
    }
    const table = new KeyTable(MAX_CHUNKS);
    const known = new KnownImages(
      image,
      digests,
      table,
      new DeltaIndex({ memoryBytes: DELTA_BYTES }),
      new Map([[SELF, { number: SELF, sizeBytes: image.sizeBytes, read: image.readAll }]]),
      new PageCache({ memoryBytes: PAGE_CACHE_BYTES }),
    );
    for (const [number, index] of indexes.entries()) await known.addChunks(number, index);
    if (!withBytes) return known;
    for (const [number, digest] of digests.entries()) await known.openFile(number, digest, cache, signal);
    const { opened } = known;
    // Of the image itself only what is new will be added, which nobody knows yet: about a quarter where it has a relative.
    const own = opened.length > 0 ? image.readableBytes / 4 : image.readableBytes;
    known.delta.plan(opened.reduce((sum, base) => sum + base.image.readableBytes, own));
    return known;
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
    for (const base of this.opened) await base.lookUpTo(offset, this.delta);
  }

  async close(): Promise<void> {
    for (const base of this.opened) await base.close();
  }

  /** An index that turns out to be broken was right as far as it went: each of its records is verified. */
  private async addChunks(number: number, path: string): Promise<void> {
    const index = await IndexReader.open(path);
    const newly = number === 0 ? new NewlyUsed(this.image) : undefined;
    newly?.endAt(blockCountOf(index.sizeBytes));
    try {
      for await (const found of index.blocks()) {
        const { block, count, ends, keys } = found;
        if (found.isZeros) newly?.addZeros(block, 0, BLOCK_BYTES);
        for (let i = 0, from = 0; i < count; from = ends[i++]) {
          if (found.isHole(i)) newly?.addZeros(block, from, ends[i]);
          else this.table.add(keys[i * 2], keys[i * 2 + 1], number, block * BLOCK_BYTES + from);
        }
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    } finally {
      await index.close();
    }
    if (newly) this.newlyUsed = newly;
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

/** Path of an index: in the cache, where it is put if the far side has to be asked for it. */
async function indexOf(
  digest: string,
  options: { readonly cache: ImageCache; readonly target: ImageTarget; readonly signal?: AbortSignal },
): Promise<string | undefined> {
  const { cache, target, signal } = options;
  const kept = await cache.index(digest);
  if (kept !== undefined) return kept;
  const encoded = await target.fetchIndex(digest, { signal }).catch((error) => {
    if (signal?.aborted) throw error;
    return undefined;
  });
  if (!encoded) return undefined;
  const draft = await cache.draft();
  try {
    await writeFile(draft, encoded, { mode: 0o600 });
    const index = await IndexReader.open(draft);
    await index.close();
    if (index.digest === digest) return await cache.keepIndex(draft, digest);
  } catch {
    // Without it more is sent than would have to be.
  }
  await rm(draft, { force: true }).catch(() => undefined);
  return undefined;
}
