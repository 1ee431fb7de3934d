import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, utimes, writeFile, readdir } from "node:fs/promises";
import { homedir, hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hexOf } from "../digest";
import { identityText, type FileIdentity } from "../source/identity";
import { IndexReader } from "../wire/index-reader";

/**
 * A change within so long of the scan's beginning could leave the file's times as they were (a clock tick of the usual kernels,
 * with room), so an index made then is not kept.
 */
const RACY_MS = 50;
/** The same where times are kept in whole seconds, or pairs of them. */
const RACY_COARSE_MS = 2_000;
/** What nobody asked for in so long is removed. */
const UNUSED_MS = 60 * 24 * 60 * 60_000;

/** A draft that nobody wrote to in so long was left by a process that was killed. */
const ABANDONED_MS = 24 * 60 * 60_000;
/** `indexes` is what former versions wrote: what was read and what was told, side by side. */
const KINDS = ["files", "images", "transfers", "scans", "told", "drafts", "indexes"];

/** Which reading of a file: the same file read bit by bit may be another image. */
export interface Reading {
  readonly identity: FileIdentity;
  readonly exact: boolean;
}

/** A file that was seen to hold an image. */
export interface KnownFile {
  readonly path: string;
  readonly exact: boolean;
  readonly format: "raw" | "qcow2";
}

/** A file that held an image when it was read last. */
export interface KeptFile extends KnownFile {
  /** {@link nameOf} its reading then. */
  readonly reading: string;
}

/** An image whose index is kept. */
export interface FoundImage {
  readonly digest: string;
  readonly indexPath: string;
}

interface FileRecord extends KeptFile {
  readonly digest: string;
}

/**
 * What the near side remembers: the index of every image it read, those that targets gave of what they hold, which file held which
 * image, and the transfers under way. Nothing in it is needed: a cache that cannot be read or written only costs time.
 *
 * What a target says of the chunks of an image is its word alone. It counts for that target only, and never for a file of this side.
 */
export class ImageCache {
  /** @param mostToldBytes what all indexes that targets told may take together; those that were not used for longest go first */
  constructor(
    readonly directory: string = defaultCacheDirectory(),
    private readonly mostToldBytes = 2 ** 32,
  ) {}

  /** The image in a file that has not changed since it was read. */
  async find(reading: Reading): Promise<FoundImage | undefined> {
    const record = await readJson<FileRecord>(this.file("files", nameOf(reading)));
    if (!record || hexOf(record.digest) === undefined) return undefined;
    const indexPath = await this.index(record.digest);
    return indexPath === undefined ? undefined : { digest: record.digest, indexPath };
  }

  /** Path of the index that this side made of an image; undefined when it is not kept, or not whole. */
  index(digest: string): Promise<string | undefined> {
    return this.ifIndexOf(digest, this.indexPath(digest));
  }

  /** Path of the index that a target gave of an image which it holds. */
  async toldIndex(digest: string, target: string): Promise<string | undefined> {
    return target === "" ? undefined : this.ifIndexOf(digest, this.toldPath(digest, target));
  }

  /** A file that held this image when it was read last, as far as is known; whether it still does is for the caller to find out. */
  async fileOf(digest: string): Promise<KeptFile | undefined> {
    return readJson<FileRecord>(this.file("images", hexOf(digest) ?? ""));
  }

  /** Where an index may be written before its image's digest is known. The directory exists. */
  async draft(): Promise<string> {
    const name = `${process.pid}-${randomBytes(6).toString("hex")}.draft`;
    try {
      const directory = join(this.directory, "drafts");
      await mkdir(directory, { recursive: true, mode: 0o700 });
      return join(directory, name);
    } catch {
      return join(tmpdir(), `spillway-${name}`);
    }
  }

  /** Keeps a finished draft as the index of the image that this side read. @returns where it is from now on */
  keepIndex(draft: string, digest: string): Promise<string> {
    return this.keep(draft, this.indexPath(digest));
  }

  /**
   * Keeps a draft as what a target gave as the index of an image which it holds; not for a target without a name, which may be any.
   * @returns where it is from now on: still the draft, when it is not kept
   */
  async keepToldIndex(draft: string, digest: string, target: string): Promise<string> {
    if (target === "") return draft;
    const path = await this.keep(draft, this.toldPath(digest, target));
    await this.boundTold();
    return path;
  }

  /** Remembers that this file holds this image. */
  async keepFile(reading: Reading, digest: string, file: KnownFile, scanStartedAt: number): Promise<void> {
    const { mtimeNs, ctimeNs } = reading.identity;
    const changedMs = Number((ctimeNs > mtimeNs ? ctimeNs : mtimeNs) / 1_000_000n);
    const isCoarse = mtimeNs % 1_000_000_000n === 0n && ctimeNs % 1_000_000_000n === 0n;
    if (changedMs > scanStartedAt - (isCoarse ? RACY_COARSE_MS : RACY_MS)) return;
    const record: FileRecord = { ...file, digest, reading: nameOf(reading) };
    await this.writeJson(this.file("files", nameOf(reading)), record);
    await this.writeJson(this.file("images", hexOf(digest) ?? ""), record);
    await this.removeUnused();
  }

  /**
   * The id under which this image is sent: the one that a transfer of this file was begun under, else one that follows from the
   * image (or, while that is not known, from the file), so that a transfer that was cut off is gone on with.
   */
  async transferId(reading: Reading, target: string, digest: string | undefined): Promise<string> {
    const file = this.file("transfers", sha256Hex(`${nameOf(reading)}\n${target}`));
    const begun = await readJson<{ id: string }>(file);
    if (begun && /^[0-9a-f]{64}$/.test(begun.id)) return begun.id;
    const id = digest
      ? sha256Hex(`image\n${digest}`)
      : sha256Hex(`file\n${hostname()}\n${process.getuid?.() ?? ""}\n${nameOf(reading)}`);
    await this.writeJson(file, { id });
    return id;
  }

  async endTransfer(reading: Reading, target: string): Promise<void> {
    await rm(this.file("transfers", sha256Hex(`${nameOf(reading)}\n${target}`)), { force: true }).catch(
      () => undefined,
    );
  }

  private async ifIndexOf(digest: string, path: string): Promise<string | undefined> {
    try {
      const index = await IndexReader.open(path);
      await index.close();
      if (index.digest !== digest) return undefined;
      const now = new Date();
      await utimes(path, now, now).catch(() => undefined);
      return path;
    } catch {
      return undefined;
    }
  }

  private async keep(draft: string, path: string): Promise<string> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(draft, path);
      return path;
    } catch {
      return draft;
    }
  }

  private indexPath(digest: string): string {
    return join(this.directory, "scans", `${hexOf(digest) ?? ""}.index`);
  }

  private toldPath(digest: string, target: string): string {
    return join(this.directory, "told", `${sha256Hex(`${digest}\n${target}`)}.index`);
  }

  private file(kind: "files" | "images" | "transfers", name: string): string {
    return join(this.directory, kind, `${name}.json`);
  }

  private async writeJson(path: string, value: unknown): Promise<void> {
    const draft = `${path}.${process.pid}-${randomBytes(4).toString("hex")}`;
    try {
      await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
      await writeFile(draft, JSON.stringify(value), { mode: 0o600 });
      await rename(draft, path);
    } catch {
      await rm(draft, { force: true }).catch(() => undefined);
    }
  }

  /** Targets may tell any number of images that they made up. */
  private async boundTold(): Promise<void> {
    const directory = join(this.directory, "told");
    const names = await readdir(directory).catch(() => []);
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(directory, name);
        const { size = 0, mtimeMs = 0 } = (await stat(path).catch(() => undefined)) ?? {};
        return { path, size, mtimeMs };
      }),
    );
    found.sort((one, other) => other.mtimeMs - one.mtimeMs);
    let bytes = 0;
    for (const { path, size } of found) {
      bytes += size;
      if (bytes > this.mostToldBytes) await rm(path, { force: true }).catch(() => undefined);
    }
  }

  private async removeUnused(): Promise<void> {
    for (const kind of KINDS) {
      const unusedMs = kind === "drafts" ? ABANDONED_MS : UNUSED_MS;
      const directory = join(this.directory, kind);
      for (const name of await readdir(directory).catch(() => [])) {
        const path = join(directory, name);
        const found = await stat(path).catch(() => undefined);
        if (found && Date.now() - found.mtimeMs > unusedMs) await rm(path, { force: true }).catch(() => {});
      }
    }
  }
}

/** A name for one reading of one state of one file. */
export function nameOf({ identity, exact }: Reading): string {
  return sha256Hex(`${identityText(identity)}\n${exact ? "exact" : "in use"}`);
}

function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch {
    return undefined;
  }
}

/** `$XDG_CACHE_HOME/spillway`, or `~/.cache/spillway`. */
function defaultCacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "spillway");
}
