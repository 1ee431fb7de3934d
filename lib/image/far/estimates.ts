import type { ImageStatus, TransferEstimate } from "../../site/api";
import { EstimatePins } from "./estimate-pins";
import type { StoreFiles } from "./files";
import type { Link } from "./link";
import type { Transfers } from "./transfers";

/** What plans are told that a transfer would take. Callers see to it that one image is asked for by one at a time. */
export class Estimates {
  private readonly pins: EstimatePins;

  /** @param holdMs see `ImageStoreOptions.estimateHoldMs` */
  constructor(
    files: StoreFiles,
    private readonly transfers: Transfers,
    private readonly link: Link,
    holdMs?: number,
  ) {
    this.pins = new EstimatePins((digest) => files.of(digest).estimate, holdMs);
  }

  /** Of an image that is held: what the plan was told that may have been made before, else that nothing is to be sent. */
  async ofComplete(image: ImageStatus, estimate: TransferEstimate): Promise<TransferEstimate> {
    const told = await this.pins.getComplete(image.digest, image.completedAt ?? 0);
    if (told) return told;
    const nothing = {
      ...estimate,
      totalBytes: image.sizeBytes,
      ...{ presentBytes: estimate.inUseBytes, sendBytes: 0, etaMs: 0 },
      ...this.link.rate,
    };
    await this.pins.put(image.digest, nothing);
    return nothing;
  }

  /** Of an image that is not: what was told before, unless more of it has arrived since. */
  async ofArriving(digest: string, estimate: TransferEstimate): Promise<TransferEstimate> {
    const times = await Promise.all(
      this.transfers.ofDigest(digest).map(async (one) => (one.blocks.presentBytes > 0 ? one.changedAt() : 0)),
    );
    const pinned = await this.pins.get(digest, Math.max(0, ...times));
    if (pinned) return pinned;
    await this.pins.put(digest, estimate);
    return estimate;
  }
}
