import { statSync } from "node:fs";
import { readFile, rename } from "node:fs/promises";
import { HeldChunks, type HeldImage } from "./held-chunks";
import { decodeIndexHead, encodeIndex } from "./index-encoding";
import { indexFile } from "./index-file";
import { removeAll, type StoreFiles } from "./store-files";

/** What is known of a held image's file. */
export interface HeldFile {
  readonly sizeBytes: number;
  readonly completedAt: number;
}

/** The complete images of a store, and all their chunks in one table. */
export class HeldImages {
  /** What each file's size should be. */
  private readonly sizes = new Map<string, number>();
  private table: Promise<HeldChunks> | undefined;

  constructor(private readonly files: StoreFiles) {}

  get digests(): readonly string[] {
    return [...this.sizes.keys()];
  }

  add(digest: string, sizeBytes: number): void {
    this.sizes.set(digest, sizeBytes);
    this.table = undefined;
  }

  remove(digest: string): void {
    if (this.sizes.delete(digest)) this.table = undefined;
  }

  /**
   * Takes an image that is under its final name. One without a readable index is read and verified first (someone may have copied
   * it here); if it is not what its name says, it is put aside as `.damaged`.
   */
  async adopt(digest: string): Promise<void> {
    const { image, index } = this.files.of(digest);
    const head = await readFile(index)
      .then(decodeIndexHead, () => undefined)
      .catch(() => undefined);
    if (head?.digest === digest) {
      this.add(digest, head.sizeBytes);
      return;
    }
    const read = await indexFile(image, { cacheDirectory: false }).catch(() => undefined);
    if (read?.index.digest === digest) {
      await this.files.writeWhole(index, encodeIndex(read.index));
      this.add(digest, read.index.sizeBytes);
    } else {
      await rename(image, image.replace(/img$/, "damaged"));
      await removeAll([index]);
    }
  }

  /** Undefined when no such image is held. `isWhole` is false when its file was cut or is gone. */
  look(digest: string): (HeldFile & { readonly isWhole: boolean }) | undefined {
    const sizeBytes = this.sizes.get(digest);
    if (sizeBytes === undefined) return undefined;
    const found = statSync(this.files.of(digest).image, { throwIfNoEntry: false });
    return { sizeBytes, completedAt: Math.round(found?.mtimeMs ?? 0), isWhole: found?.size === sizeBytes };
  }

  /** Read from the images' indexes when first needed, and again after images have come or gone. */
  chunks(): Promise<HeldChunks> {
    this.table ??= HeldChunks.build(
      this.digests.map((digest): HeldImage => {
        const { image, index } = this.files.of(digest);
        return { digest, imagePath: image, indexPath: index };
      }),
    );
    return this.table;
  }
}
