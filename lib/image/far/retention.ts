import { statSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { messageOf } from "../../errors";
import { KeyedLock } from "./concurrency";
import type { ImageStoreOptions } from "./contract";
import { freeBytes } from "./disk-room";
import type { StoreFiles } from "./files";
import type { HeldImages } from "./held";
import { placeOf } from "./refusals";
import type { Transfers } from "./transfers";

/** The newest are the best bases of whatever comes next, and what was just brought here for later. */
const NEWEST_KEPT = 2;
/** A transfer of which nothing was heard for so long may be told that a base is gone: it sends those blocks without. */
const LIVE_MS = 10 * 60_000;
/** It is written down this often at most that an image was wanted. */
const NOTE_MS = 60_000;

/** What images are told apart by when some must go. */
interface Kept {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly wantedAt: number;
  /** On the disk. */
  readonly diskBytes: number;
}

interface RetentionContext {
  readonly options: ImageStoreOptions;
  readonly files: StoreFiles;
  readonly held: HeldImages;
  readonly transfers: Transfers;
  /** Removes an image at once, unless somebody came to use it. @returns whether it is gone */
  readonly evict: (digest: string) => Promise<boolean>;
}

/**
 * Which complete images a store parts with: of those that nobody uses, the ones that nobody asked for by their digest for the longest
 * time. Never the two newest, and never one that a running transfer copies from. When an image was last wanted is the time of change
 * of its manifest, so a restart forgets nothing.
 */
export class Retention {
  private readonly wantedAt = new Map<string, number>();
  private readonly locks = new KeyedLock();

  constructor(private readonly context: RetentionContext) {}

  /** Somebody asked for this very image: a plan, a push, a pool. */
  async noteWanted(digest: string, now = Date.now()): Promise<void> {
    if (!this.context.options.retention || now - (this.wantedAt.get(digest) ?? 0) < NOTE_MS) return;
    this.wantedAt.set(digest, now);
    const at = new Date(now);
    // What cannot be written down is known until the next start.
    await utimes(this.context.files.of(digest).manifest, at, at).catch(() => undefined);
  }

  /** Evicts what is beyond the number of images to keep. */
  settle(): Promise<void> {
    return this.locks.run("evict", async () => {
      const { retention } = this.context.options;
      if (!retention) return;
      for (const digest of this.context.held.digests) if (this.isUsed(digest)) await this.noteWanted(digest);
      const guarded = this.guarded("offered");
      let beyond = this.unused().length - retention.images;
      for (const image of this.evictable()) {
        if (beyond <= 0) return;
        // They were offered to be copied from, and may be: the next time will do.
        if (guarded.has(image.digest)) continue;
        const why = `more than ${retention.images} images that nothing uses`;
        if (await this.evict(image, why)) beyond--;
      }
    });
  }

  /** Evicts as little as it takes to have room on the disk, and nothing if it would not be enough. */
  makeRoom(neededBytes: number): Promise<void> {
    return this.locks.run("evict", async () => {
      const { retention, directory } = this.context.options;
      if (!retention) return;
      const guarded = this.guarded("copied");
      const images = this.evictable().filter(({ digest }) => !guarded.has(digest));
      const gain = images.reduce((sum, { diskBytes }) => sum + diskBytes, 0);
      if ((await freeBytes(directory)) + gain < neededBytes) return;
      for (const image of images) {
        if ((await freeBytes(directory)) >= neededBytes) return;
        await this.evict(image, "the disk is full");
      }
    });
  }

  private async evict({ digest, sizeBytes }: Kept, why: string): Promise<boolean> {
    const { evict, options } = this.context;
    try {
      if (!(await evict(digest))) return false;
      this.wantedAt.delete(digest);
      await options.retention?.onEvicted?.({ digest, sizeBytes, why });
      return true;
    } catch (error) {
      options.onProblem?.({
        place: placeOf(digest),
        problem: `the image was to be evicted (${why}), and its files could not be removed: ${messageOf(error)}`,
        mend: "Remove what is left of it in the image store's directory while the agent is stopped.",
      });
      return false;
    }
  }

  private isUsed(digest: string): boolean {
    return (this.context.options.usedBy?.(digest) ?? []).length > 0;
  }

  private unused(): readonly string[] {
    const { held } = this.context;
    return held.digests.filter((digest) => held.look(digest)?.isWhole && !this.isUsed(digest));
  }

  /** Who may go at all, the least wanted first. */
  private evictable(): readonly Kept[] {
    const { held, files } = this.context;
    const newest = held.digests
      .map((digest) => ({ digest, completedAt: held.look(digest)?.completedAt ?? 0 }))
      .sort((one, other) => other.completedAt - one.completedAt)
      .slice(0, NEWEST_KEPT)
      .map(({ digest }) => digest);
    return this.unused()
      .filter((digest) => !newest.includes(digest))
      .map((digest) => {
        const { sizeBytes = 0, completedAt = 0 } = held.look(digest) ?? {};
        const { image, manifest } = files.of(digest);
        const noted = statSync(manifest, { throwIfNoEntry: false })?.mtimeMs ?? 0;
        const wantedAt = Math.max(completedAt, noted, this.wantedAt.get(digest) ?? 0);
        const blocks = statSync(image, { throwIfNoEntry: false })?.blocks ?? 0;
        return { digest, sizeBytes, wantedAt, diskBytes: blocks * 512 };
      })
      .sort((one, other) => one.wantedAt - other.wantedAt);
  }

  /** Bases of transfers that are under way. */
  private guarded(bases: "offered" | "copied"): ReadonlySet<string> {
    const live = this.context.transfers.all.filter((transfer) => transfer.isLive(LIVE_MS));
    return new Set(live.flatMap((transfer) => [...transfer[bases]]));
  }
}
