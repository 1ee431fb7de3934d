import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { hexOf } from "./digest";
import { writeFailed } from "./errors";

/** Kinds of files in a store, by their endings. */
const ENDINGS = ["img", "index", "partial", "journal", "estimate"] as const;

/** What a store's directory held when it was looked at. */
export interface StoreContents {
  /** Digests of images that are there under their final name. */
  readonly complete: readonly string[];
  /** Digests of images that are arriving. */
  readonly arriving: readonly string[];
}

/** The files of one image in a store. */
export interface ImageFiles {
  readonly image: string;
  readonly index: string;
  readonly partial: string;
  readonly journal: string;
  readonly estimate: string;
}

/** The names of a store's files, and what is done with whole files. */
export class StoreFiles {
  constructor(readonly directory: string) {}

  /** Where the link's rate is remembered. */
  get link(): string {
    return join(this.directory, "link.json");
  }

  of(digest: string): ImageFiles {
    const base = join(this.directory, hexOf(digest) ?? "");
    return {
      image: `${base}.img`,
      index: `${base}.index`,
      partial: `${base}.partial`,
      journal: `${base}.journal`,
      estimate: `${base}.estimate`,
    };
  }

  /** Makes the directory, says what is in it, and removes what a killed process left half made or half deleted. */
  async scan(): Promise<StoreContents> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const names = new Set(await readdir(this.directory));
    const digests = new Set<string>();
    for (const name of names) {
      const found = new RegExp(`^([0-9a-f]{64})\\.(${ENDINGS.join("|")})$`).exec(name);
      if (found) digests.add(found[1]);
      else if (/^[0-9a-f]{64}\..*\.new$/.test(name)) await rm(join(this.directory, name), { force: true });
    }
    const complete: string[] = [];
    const arriving: string[] = [];
    for (const hex of [...digests].sort()) {
      const has = (ending: (typeof ENDINGS)[number]) => names.has(`${hex}.${ending}`);
      const digest = `sha256:${hex}`;
      const files = this.of(digest);
      if (has("img")) {
        complete.push(digest);
        await removeAll([files.partial, files.journal, files.estimate]);
      } else if (has("journal") && has("index")) arriving.push(digest);
      else await removeAll([files.journal, files.partial, files.index]);
    }
    return { complete, arriving };
  }

  /** Writes a file whole or not at all, and waits until it is on the disk. @throws ImageStoreError `disk-full` */
  async writeWhole(path: string, bytes: Uint8Array): Promise<void> {
    const draft = `${path}.${randomBytes(4).toString("hex")}.new`;
    try {
      const handle = await open(draft, "w", 0o600);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw writeFailed(path, error);
    }
  }

  /** Waits until the directory's entries are on the disk. */
  async syncDirectory(): Promise<void> {
    const handle = await open(this.directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** Removes files in that order; missing ones are no error. */
export async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}
