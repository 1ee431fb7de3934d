import { formatBytes } from "../../duration";
import { type EvictedImage, type ImageStore, ImageStoreError, MAX_SEGMENT_BYTES } from "../../image";
import type { ImageStatus } from "../api";
import type { Launcher } from "../ports";
import type { EventLog } from "./event-log";
import type { Pools } from "./pools";
import { AgentError } from "./problems";

export { MAX_SEGMENT_BYTES };

/** The images of a site, as its API sees them: the store, with what else hangs on an image. */
export class Images {
  constructor(
    readonly store: ImageStore,
    private readonly pools: Pools,
    private readonly launcher: Launcher,
    private readonly events: EventLog,
  ) {}

  async status(digest: string): Promise<ImageStatus> {
    const status = await this.store.status(digest);
    if (status) return status;
    throw unknownImage(digest);
  }

  async complete(transfer: string, digest: string): Promise<ImageStatus> {
    const before = await this.store.status(digest);
    const status = await this.store.completeTransfer(transfer, digest);
    if (!before?.complete) this.events.add("image-complete", digest, formatBytes(status.sizeBytes));
    return status;
  }

  /** The file of an image's index. Waits while it is being made. @throws AgentError `not-found` */
  async indexFile(digest: string, signal: AbortSignal): Promise<string> {
    const path = await this.store.indexPath(digest, { signal });
    if (path !== undefined) return path;
    throw unknownImage(digest);
  }

  /** Reads the whole of an image again. @throws ImageStoreError `image-corrupt` */
  async verify(digest: string, signal: AbortSignal): Promise<ImageStatus> {
    await this.status(digest);
    return this.store.verify(digest, { signal });
  }

  /** The store parted with a superseded image. */
  async evicted({ digest, sizeBytes, why }: EvictedImage): Promise<void> {
    this.events.add("image-evicted", digest, `${formatBytes(sizeBytes)}: ${why}`);
    await this.launcher.forget(digest);
  }

  remove(digest: string): Promise<void> {
    return this.pools.images.run(async () => {
      const users = this.pools.usedBy(digest);
      if (users.length > 0) {
        throw new ImageStoreError("image-in-use", {
          place: `image ${digest}`,
          problem: `it is used by ${users.length === 1 ? "pool" : "pools"} ${users.join(", ")}`,
          mend: "Take the pools down first.",
        });
      }
      const before = await this.store.status(digest);
      if (!before) return;
      await this.store.delete(digest);
      await this.launcher.forget(digest);
      this.events.add("image-deleted", digest, formatBytes(before.sizeBytes));
    });
  }
}

function unknownImage(digest: string): AgentError {
  return new AgentError("not-found", {
    place: `image ${digest}`,
    problem: "nothing of this image is at the site",
    mend: "Transfer it first (`spillway_image_replica`), or correct the digest.",
  });
}
