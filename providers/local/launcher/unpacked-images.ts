import { randomBytes } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AbortedError } from "../../../lib/errors";
import { bootId } from "../../../lib/process-identity";
import type { MemberFile } from "./member-file";
import { readMemberFile, unpackImage } from "./unpack";

/** An image as its members run it. */
export interface UnpackedImage {
  readonly directory: string;
  readonly member: MemberFile;
}

/**
 * Images unpacked once each, whole or not at all. Unpacked files are not synced to disk one by one; instead what was unpacked
 * before the machine's last boot is not trusted.
 */
export class UnpackedImages {
  private readonly under = new Map<string, Promise<UnpackedImage>>();

  constructor(private readonly directory: string) {}

  /** Clears what a killed agent left half unpacked. */
  async open(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const left = (await readdir(this.directory)).filter((name) => name.startsWith(".new-"));
    await Promise.all(left.map((name) => rm(join(this.directory, name), { recursive: true, force: true })));
  }

  /** One unpacking at a time for each digest; an aborted one is begun again by whoever still waits for it. */
  async get(digest: string, imagePath: string, signal: AbortSignal): Promise<UnpackedImage> {
    for (;;) {
      let mine = false;
      let work = this.under.get(digest);
      if (!work) {
        mine = true;
        work = this.find(digest, imagePath, signal).finally(() => this.under.delete(digest));
        this.under.set(digest, work);
      }
      try {
        return await work;
      } catch (error) {
        if (mine || !(error instanceof AbortedError)) throw error;
      }
    }
  }

  async remove(digest: string): Promise<void> {
    await this.under.get(digest)?.catch(() => undefined);
    await rm(this.path(digest), { recursive: true, force: true });
    await rm(this.marker(digest), { force: true });
  }

  private async find(digest: string, imagePath: string, signal: AbortSignal): Promise<UnpackedImage> {
    const directory = this.path(digest);
    const marker = await readFile(this.marker(digest), "utf8").catch(() => undefined);
    const there = await stat(directory).catch(() => undefined);
    if (!there?.isDirectory() || marker !== bootId()) await this.unpack(digest, imagePath, signal);
    return { directory, member: await readMemberFile(digest, directory) };
  }

  private async unpack(digest: string, imagePath: string, signal: AbortSignal): Promise<void> {
    const fresh = join(this.directory, `.new-${randomBytes(6).toString("hex")}`);
    await mkdir(fresh, { mode: 0o755 });
    try {
      await unpackImage({ digest, imagePath, directory: fresh, signal });
      await readMemberFile(digest, fresh);
      await rm(this.path(digest), { recursive: true, force: true });
      await rename(fresh, this.path(digest));
      await writeFile(this.marker(digest), bootId(), { mode: 0o600 });
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  }

  private path(digest: string): string {
    return join(this.directory, digest.replace(":", "-"));
  }

  private marker(digest: string): string {
    return `${this.path(digest)}.boot`;
  }
}
