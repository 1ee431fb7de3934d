import type { ImageStatus } from "../../site/api";
import type { HeldImages } from "./held";
import type { Transfers } from "./transfers";

/** What a store says of its images. */
export class Statuses {
  /** @param usedBy names of the pools that use an image */
  constructor(
    private readonly held: HeldImages,
    private readonly transfers: Transfers,
    readonly usedBy: (digest: string) => readonly string[],
  ) {}

  complete(digest: string): ImageStatus | undefined {
    const found = this.held.look(digest);
    if (!found?.isWhole) return undefined;
    const { sizeBytes, completedAt } = found;
    const usedBy = this.usedBy(digest);
    return { digest, sizeBytes, complete: true, presentBytes: sizeBytes, completedAt, usedBy };
  }

  /** Undefined when nothing of the image is here. */
  of(digest: string): ImageStatus | undefined {
    const complete = this.complete(digest);
    if (complete) return complete;
    const [first, ...others] = this.transfers.ofDigest(digest);
    if (!first) return undefined;
    const { sizeBytes } = first;
    const presentBytes = Math.max(...[first, ...others].map(({ blocks }) => blocks.presentBytes));
    return { digest, sizeBytes, complete: false, presentBytes, usedBy: this.usedBy(digest) };
  }

  all(): readonly ImageStatus[] {
    const arriving = this.transfers.all.map(({ digest }) => digest).filter((digest) => digest !== undefined);
    const digests = new Set([...this.held.digests, ...arriving]);
    const found = [...digests].sort().map((digest) => this.of(digest));
    return found.filter((status) => status !== undefined);
  }

  /** Those that are complete, the newest first: the near side does not look at all of very many. */
  newestFirst(): readonly string[] {
    const whole: { digest: string; completedAt: number }[] = [];
    for (const digest of this.held.digests) {
      const found = this.held.look(digest);
      if (found?.isWhole) whole.push({ digest, completedAt: found.completedAt });
    }
    return whole.sort((one, other) => other.completedAt - one.completedAt).map(({ digest }) => digest);
  }
}
