import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf, SpillwayError } from "../../errors";
import { hexOf } from "../digest";
import { ImageCache } from "../near/image-cache";
import { BlockDigests } from "./block-digests";

/** What nobody asked for in so long is removed. */
const UNUSED_MS = 180 * 24 * 60 * 60_000;
/** A plan is told the same for so long, so that it can be applied as it was shown. */
const PIN_MS = 24 * 60 * 60_000;
/** The same after what was planned was done: others in the same plan may still be told. */
const PIN_AFTER_MS = 10 * 60_000;

/** What of a snapshot is being made tells it apart from others of the same image. */
export interface SnapshotKey {
  readonly region: string;
  readonly digest: string;
  readonly encrypted: boolean | undefined;
  readonly kmsKeyId: string | undefined;
}

/** The way an image is to become a snapshot: by which token it is asked for. */
interface Attempt {
  readonly salt: string;
}

/** What a plan was told. */
interface Pinned<T> {
  readonly told: T;
  readonly basis: string;
  readonly until: number;
}

/**
 * What this side remembers of snapshots, beside its indexes of images: what the blocks of images and snapshots are, which blocks a
 * pending snapshot has, what a plan was told. Without it everything can be found out again, at a price.
 */
export class LocalSnapshots {
  readonly directory: string;

  constructor(cacheDirectory?: string) {
    this.directory = join(new ImageCache(cacheDirectory).directory, "snapshots");
  }

  /** What the blocks of an image are; undefined when that is not kept. */
  blocksOfImage(digest: string): Promise<BlockDigests | undefined> {
    return this.readBlocks(join(this.directory, "images", `${hexOf(digest) ?? ""}.blocks`));
  }

  keepBlocksOfImage(digest: string, blocks: BlockDigests): Promise<void> {
    return this.keepBlocks(join(this.directory, "images", `${hexOf(digest) ?? ""}.blocks`), blocks);
  }

  /** What the blocks of a complete snapshot are; undefined when that is not kept. */
  blocksOfSnapshot(id: string): Promise<BlockDigests | undefined> {
    return this.readBlocks(this.snapshotPath(id));
  }

  keepBlocksOfSnapshot(id: string, blocks: BlockDigests): Promise<void> {
    return this.keepBlocks(this.snapshotPath(id), blocks);
  }

  async forgetSnapshot(id: string): Promise<void> {
    await rm(this.snapshotPath(id), { force: true }).catch(() => undefined);
  }

  /** Where the journal and the lock of a snapshot on its way are. */
  pendingPath(key: SnapshotKey): string {
    return join(this.directory, "pending", nameOf(key));
  }

  /** The same; it is made if it is not there. @throws SpillwayError when it cannot be */
  async workDirectory(key: SnapshotKey): Promise<string> {
    const path = this.pendingPath(key);
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      return path;
    } catch (error) {
      throw new SpillwayError({
        place: path,
        problem: `what is on its way cannot be written down: ${messageOf(error)}`,
        mend: "Make the directory writable, or choose another with XDG_CACHE_HOME.",
      });
    }
  }

  /** Part of the token under which a snapshot is begun: the same until {@link renewSalt}. */
  async salt(key: SnapshotKey): Promise<string> {
    const attempt = await readJson<Attempt>(this.saltPath(key));
    if (typeof attempt?.salt === "string") return attempt.salt;
    // Without one of its own, every machine begins under the same token. Written, so that it is renewed when the snapshot is deleted.
    await writeWhole(this.saltPath(key), JSON.stringify({ salt: "" } satisfies Attempt)).catch(
      () => undefined,
    );
    return "";
  }

  /** The snapshot that the present token made is no more: the next one is begun under another. */
  async renewSalt(key: SnapshotKey): Promise<string> {
    const salt = newSalt();
    await writeWhole(this.saltPath(key), JSON.stringify({ salt } satisfies Attempt)).catch(() => undefined);
    return salt;
  }

  /**
   * Tells a plan what another was told that was made of the same.
   * @param now what it is told if there was none
   * @param basis what it was made of: blocks that arrived since are told; undefined once the snapshot is complete
   */
  async pin<T extends object>(key: SnapshotKey, now: T, basis: string | undefined): Promise<T> {
    const path = this.pinPath(key);
    const pinned = await readJson<Pinned<T>>(path);
    const isSame = pinned && pinned.until > Date.now() && (basis ?? pinned.basis) === pinned.basis;
    const told = isSame ? pinned.told : now;
    const kept: Pinned<T> = {
      told,
      basis: isSame ? pinned.basis : (basis ?? ""),
      until: Date.now() + PIN_MS,
    };
    await writeWhole(path, JSON.stringify(kept)).catch(() => undefined);
    return told;
  }

  /** What was planned is done. */
  async unpinSoon(key: SnapshotKey): Promise<void> {
    const path = this.pinPath(key);
    const pinned = await readJson<Pinned<unknown>>(path);
    if (!pinned) return;
    const until = Math.min(pinned.until, Date.now() + PIN_AFTER_MS);
    await writeWhole(path, JSON.stringify({ ...pinned, until })).catch(() => undefined);
  }

  /** The snapshot of an image was deleted: nothing that was told or begun for it counts any more. */
  async forget({ region, digest }: Pick<SnapshotKey, "region" | "digest">): Promise<void> {
    const mine = `${prefixOf({ region, digest })}-`;
    for (const kind of ["plans", "salts"]) {
      const directory = join(this.directory, kind);
      for (const name of await readdir(directory).catch(() => [])) {
        if (!name.startsWith(mine)) continue;
        const path = join(directory, name);
        if (kind === "plans") await rm(path, { force: true }).catch(() => undefined);
        else await writeWhole(path, JSON.stringify({ salt: newSalt() })).catch(() => undefined);
      }
    }
  }

  /** Bits per second that were measured last on the way to a region. */
  async rate(region: string): Promise<number | undefined> {
    const found = await readJson<{ readonly bps: number }>(this.ratePath(region));
    return found && found.bps > 0 ? found.bps : undefined;
  }

  async keepRate(region: string, bps: number): Promise<void> {
    await writeWhole(this.ratePath(region), JSON.stringify({ bps: Math.round(bps) })).catch(() => undefined);
  }

  /** Removes what was not asked for in half a year. */
  async removeUnused(): Promise<void> {
    for (const kind of ["images", "blocks", "plans"]) {
      const directory = join(this.directory, kind);
      for (const name of await readdir(directory).catch(() => [])) {
        const path = join(directory, name);
        const found = await stat(path).catch(() => undefined);
        if (found && Date.now() - found.mtimeMs > UNUSED_MS) await rm(path, { force: true }).catch(() => {});
      }
    }
  }

  private snapshotPath(id: string): string {
    return join(this.directory, "blocks", `${id.replace(/[^a-z0-9-]/gi, "")}.blocks`);
  }

  private saltPath(key: SnapshotKey): string {
    return join(this.directory, "salts", `${nameOf(key)}.json`);
  }

  private pinPath(key: SnapshotKey): string {
    return join(this.directory, "plans", `${nameOf(key)}.json`);
  }

  private ratePath(region: string): string {
    return join(this.directory, "rates", `${region.replace(/[^a-z0-9-]/gi, "")}.json`);
  }

  private async readBlocks(path: string): Promise<BlockDigests | undefined> {
    try {
      const blocks = BlockDigests.decode(await readFile(path));
      const now = new Date();
      await utimes(path, now, now).catch(() => undefined);
      return blocks;
    } catch {
      return undefined;
    }
  }

  private async keepBlocks(path: string, blocks: BlockDigests): Promise<void> {
    // What cannot be kept costs time the next time, and nothing now.
    await writeWhole(path, blocks.encode()).catch(() => undefined);
  }
}

function nameOf({ region, digest, encrypted, kmsKeyId }: SnapshotKey): string {
  return `${prefixOf({ region, digest })}-${shortHash(`${encrypted ?? "by default"}\n${kmsKeyId ?? ""}`)}`;
}

function prefixOf({ region, digest }: Pick<SnapshotKey, "region" | "digest">): string {
  return shortHash(`${region}\n${digest}`);
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 24);
}

function newSalt(): string {
  return randomBytes(8).toString("hex");
}

async function writeWhole(path: string, content: string | Buffer): Promise<void> {
  const draft = `${path}.${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(draft, content, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch {
    return undefined;
  }
}
