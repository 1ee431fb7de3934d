import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { BigIntStats } from "node:fs";
import { decodeIndex, encodeIndex } from "./index-encoding";
import type { ImageIndex } from "./image-index";

/**
 * A change within so long of the scan's beginning could leave the file's times as they were (a clock tick of the usual kernels,
 * with room), so an index made then is not kept.
 */
const RACY_MS = 50;

/** By which a file is known to be the same as before: a change of its bytes changes one of them. */
export interface FileIdentity {
  readonly path: string;
  readonly size: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function identityOf(path: string, stat: BigIntStats): FileIdentity {
  const { size, ino: inode, dev: device, mtimeNs, ctimeNs } = stat;
  return { path, size, inode, device, mtimeNs, ctimeNs };
}

export function sameFile(one: FileIdentity, other: FileIdentity): boolean {
  return identityText(one) === identityText(other);
}

/** `$XDG_CACHE_HOME/spillway`, or `~/.cache/spillway`. */
export function defaultCacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "spillway");
}

/** Indexes of files that did not change since. A cache that cannot be read or written is no error: the file is read again. */
export class IndexCache {
  constructor(private readonly directory: string) {}

  async get(identity: FileIdentity): Promise<ImageIndex | undefined> {
    try {
      const index = decodeIndex(await readFile(this.file(identity)));
      return BigInt(index.sizeBytes) === identity.size ? index : undefined;
    } catch {
      return undefined;
    }
  }

  async put(identity: FileIdentity, index: ImageIndex, scanStartedAt: number): Promise<void> {
    const changedMs = Number(
      (identity.ctimeNs > identity.mtimeNs ? identity.ctimeNs : identity.mtimeNs) / 1_000_000n,
    );
    if (changedMs > scanStartedAt - RACY_MS) return;
    const file = this.file(identity);
    const draft = `${file}.${process.pid}-${randomBytes(4).toString("hex")}`;
    try {
      await mkdir(join(this.directory, "index"), { recursive: true, mode: 0o700 });
      await writeFile(draft, encodeIndex(index), { mode: 0o600 });
      await rename(draft, file);
    } catch {
      await rm(draft, { force: true }).catch(() => undefined);
    }
  }

  private file(identity: FileIdentity): string {
    const name = createHash("sha256").update(identityText(identity)).digest("hex").slice(0, 40);
    return join(this.directory, "index", `${name}.spix`);
  }
}

/** One line for each thing by which a file is known. */
export function identityText(identity: FileIdentity): string {
  const { path, size, inode, device, mtimeNs, ctimeNs } = identity;
  return [path, size, inode, device, mtimeNs, ctimeNs].join("\n");
}
