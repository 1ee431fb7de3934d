import { rm, writeFile } from "node:fs/promises";
import { KeyTable } from "../chunking";
import { DeltaIndex, PageCache, type DeltaBase } from "../delta";
import { FormatError } from "../errors";
import { BLOCK_BYTES } from "../wire/digest";
import { IndexReader } from "../wire/index-reader";
import type { ImageTarget } from "../wire/target";
import { CanonicalImage } from "./canonical-image";
import { nameOf, type ImageCache } from "./image-cache";
import { UsedPages } from "./used-pages";

/** The number of the image that is being sent. */
export const SELF = 255;
const MAX_IMAGES = 254;

/** Chunks that are known at most: 16 bytes each. Of what lies beyond, some is sent that would not have to be. */
const MAX_CHUNKS = 12 * 1024 * 1024;
/** For samples of bytes that the near side still has. */
const DELTA_BYTES = 64 * 1024 * 1024;
const PAGE_CACHE_BYTES = 16 * 1024 * 1024;

interface OpenedBase {
  readonly number: number;
  readonly image: CanonicalImage;
  /** What of it is copied as it is. */
  readonly used: UsedPages;
  /** Blocks that were looked at. */
  looked: number;
}

/** What the far side holds, as far as the near side knows: every chunk of every image, and the bytes of those whose file is here. */
export class KnownImages {
  private readonly usable: boolean[];
  private readonly space = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  private readonly opened: OpenedBase[] = [];

  private constructor(
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
      digests,
      table,
      new DeltaIndex({ memoryBytes: DELTA_BYTES }),
      new Map([[SELF, { number: SELF, sizeBytes: image.sizeBytes, read: readerOf(image) }]]),
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
    this.opened.find((base) => base.number === number)?.used.add(offset, length);
  }

  /**
   * Looks at the bytes of what the far side holds, before `offset` and as far as they were not found unchanged, so that what is new can
   * be told as what has become of them.
   */
  async lookUpTo(offset: number): Promise<void> {
    for (const base of this.opened) {
      const end = Math.min(base.image.blockCount, Math.floor(offset / BLOCK_BYTES));
      for (; base.looked < end; base.looked++) await this.addBytes(base, base.looked);
    }
  }

  async close(): Promise<void> {
    for (const { image } of this.opened) await image.close();
  }

  /** An index that turns out to be broken was right as far as it went: each of its records is verified. */
  private async addChunks(number: number, path: string): Promise<void> {
    const index = await IndexReader.open(path);
    try {
      for await (const found of index.blocks()) {
        const { block, count, ends, keys } = found;
        for (let i = 0, from = 0; i < count; from = ends[i++]) {
          if (found.isHole(i)) continue;
          this.table.add(keys[i * 2], keys[i * 2 + 1], number, block * BLOCK_BYTES + from);
        }
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    } finally {
      await index.close();
    }
  }

  /** Opens the file that this image was read from, if it is still that. */
  private async openFile(
    number: number,
    digest: string,
    cache: ImageCache,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const file = await cache.fileOf(digest);
    if (!file) return;
    const base = await CanonicalImage.open({ ...file, source: file.path }, signal).catch(() => undefined);
    if (!base) return;
    if (nameOf({ identity: base.source.identity, exact: file.exact }) !== file.reading) return base.close();
    this.opened.push({ number, image: base, used: new UsedPages(base.sizeBytes), looked: 0 });
    this.bases.set(number, { number, sizeBytes: base.sizeBytes, read: readerOf(base) });
  }

  /** What cannot be read is not looked at: more is sent then. */
  private async addBytes({ number, image, used }: OpenedBase, block: number): Promise<void> {
    const offset = block * BLOCK_BYTES;
    const bytes = this.space.subarray(0, image.lengthOf(block));
    const ranges = used.gaps(offset, bytes.length);
    if (ranges.length === 0 || !(await image.read(bytes, offset).catch(() => false))) return;
    for (const [from, to] of ranges) this.delta.add(number, offset + from, bytes.subarray(from, to));
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

/** Bytes of the image at any place, zeros included. */
function readerOf(image: CanonicalImage): DeltaBase["read"] {
  return async (into, offset) => {
    if (!(await image.read(into, offset))) into.fill(0);
  };
}
