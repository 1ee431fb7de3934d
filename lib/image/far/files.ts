import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { hexOf } from "../digest";
import { isMissingFile, writeFailed } from "../errors";

/** What a store's directory held when it was looked at. */
export interface StoreContents {
  /** Digests of images that are there under their final name. */
  readonly complete: readonly string[];
  /** Ids of transfers. */
  readonly transfers: readonly string[];
}

/** The files of one complete image. */
export interface ImageFiles {
  readonly image: string;
  readonly manifest: string;
  readonly index: string;
  readonly estimate: string;
}

/** The files of one transfer. */
export interface TransferFiles {
  readonly partial: string;
  readonly journal: string;
  readonly meta: string;
}

const NAMED = /^([0-9a-f]{64})\.(img|manifest|index|estimate|partial|journal|meta)$/;
const DRAFT = /^[0-9a-f]{64}\..*\.new$/;

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
      manifest: `${base}.manifest`,
      index: `${base}.index`,
      estimate: `${base}.estimate`,
    };
  }

  ofTransfer(id: string): TransferFiles {
    const base = join(this.directory, id);
    return { partial: `${base}.partial`, journal: `${base}.journal`, meta: `${base}.meta` };
  }

  /** Makes the directory, says what is in it, and removes what a killed process left half made or half deleted. */
  async scan(): Promise<StoreContents> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const names = new Set(await readdir(this.directory));
    const hexes = new Set<string>();
    for (const name of names) {
      const found = NAMED.exec(name);
      if (found) hexes.add(found[1]);
      else if (DRAFT.test(name)) await rm(join(this.directory, name), { force: true });
    }
    const complete: string[] = [];
    const transfers: string[] = [];
    for (const hex of [...hexes].sort()) {
      const files = this.of(`sha256:${hex}`);
      const transfer = this.ofTransfer(hex);
      const isComplete = names.has(`${hex}.img`);
      if (isComplete) complete.push(`sha256:${hex}`);
      else await removeAll([files.manifest, files.index]);
      // An image that was being taken back to be mended goes by its own name: while its file is still there, it was not.
      if (names.has(`${hex}.journal`) && !isComplete) transfers.push(hex);
      else await removeAll([transfer.partial, transfer.journal, transfer.meta]);
    }
    return { complete, transfers };
  }

  /** Writes a file whole or not at all, and waits until it is on the disk. @throws ImageStoreError `disk-full` */
  async writeWhole(path: string, parts: Iterable<Uint8Array>): Promise<void> {
    const draft = `${path}.${randomBytes(4).toString("hex")}.new`;
    try {
      const handle = await open(draft, "w", 0o600);
      try {
        for (const part of parts) await handle.appendFile(part);
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

/** What can be read at any offset: a file, or bytes. */
export interface ReadableAt {
  read(
    into: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
}

/** Reads until it is full or the file ends. @returns how many bytes were read */
export async function readFully(file: ReadableAt, into: Uint8Array, offset: number): Promise<number> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, offset + done);
    if (bytesRead === 0) return done;
    done += bytesRead;
  }
  return into.length;
}

/** Undefined when the file is not there: what else is in the way of it may be gone the next time, and is thrown. */
export async function ifThere<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}

/** Removes files in that order; missing ones are no error. */
export async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}
