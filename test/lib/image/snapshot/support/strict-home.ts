import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  previewSnapshot,
  pushSnapshot,
  SNAPSHOT_BLOCK_BYTES as BLOCK,
  verifySnapshot,
  type SnapshotOptions,
} from "../../../../../lib/image/snapshot";
import { bytesOf, listening, scratch, writeOld } from "../../support/images";
import { StrictService } from "./strict-service";

export type Content = "zeros" | number;

/** An image of so many blocks, and half of one more. */
export function imageOf(contents: readonly Content[]): Buffer {
  const blocks = contents.map((content) =>
    content === "zeros" ? Buffer.alloc(BLOCK) : bytesOf(content, BLOCK),
  );
  return Buffer.concat([...blocks, bytesOf(99, BLOCK / 2)]);
}

/** A folder with an image and a cache, and a service. */
export class StrictHome {
  readonly service = new StrictService();
  private readonly folder = scratch();

  get path(): string {
    return this.folder.path;
  }

  remove(): void {
    this.folder.remove();
  }

  options(image: Buffer, options: Partial<SnapshotOptions> = {}): SnapshotOptions {
    const source = writeOld(join(this.path, "shop.raw"), image);
    const cacheDirectory = join(this.path, "cache");
    return { source, service: this.service, context: listening(), cacheDirectory, ...options };
  }

  push(image: Buffer, options: Partial<SnapshotOptions> = {}) {
    return pushSnapshot(this.options(image, options));
  }

  /** What this side remembers of snapshots. */
  forget(): void {
    rmSync(join(this.path, "cache", "snapshots"), { recursive: true, force: true });
  }

  holds(id: string, image: Buffer, encryptedVolume = false): boolean {
    return this.service.volume(id, encryptedVolume).subarray(0, image.length).equals(image);
  }
}

/** Pushes version after version: each must read as it is, be planned as it is sent, and be verified. */
export async function pushAll(
  versions: readonly { readonly blocks: readonly Content[]; readonly forgets: boolean }[],
  encrypted: boolean,
): Promise<void> {
  const home = new StrictHome();
  const { service } = home;
  try {
    for (const { blocks, forgets } of versions) {
      if (forgets) home.forget();
      const image = imageOf(blocks);
      const before = service.puts.length;
      const settings = encrypted ? { encrypted } : {};
      const { estimate } = await previewSnapshot({ ...home.options(image, { settings }), pin: false });
      const made = await home.push(image, { settings });
      expect((service.puts.length - before) * BLOCK).toBe(estimate.sendBytes);
      expect(home.holds(made.snapshotId, image)).toBe(true);
      // All of these zeros count: no file system says that they are free.
      expect(home.holds(made.snapshotId, image, true)).toBe(true);
      const snapshot = (await service.get(made.snapshotId))!;
      await verifySnapshot({ service, snapshot, digest: made.digest, context: listening() });
    }
  } finally {
    home.remove();
  }
}
