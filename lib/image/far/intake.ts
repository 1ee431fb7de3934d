import { performance } from "node:perf_hooks";
import { AbortedError, messageOf } from "../../errors";
import { unpackSegment, type SegmentHead } from "../wire/segment";
import { Spaces } from "../wire/spaces";
import { applySegment } from "./apply";
import { Semaphore } from "./concurrency";
import { BOUNCE_BYTES } from "./direct-file";
import { DirectSpaces } from "./direct-spaces";
import type { HeldImages } from "./held";
import { segmentCorrupt } from "./refusals";
import { requireRange } from "./segment-fit";
import type { Transfer } from "./transfer";

/** Segments unpacked at once: each takes up to 15 MiB beside its body. */
const UNPACKING_AT_ONCE = 3;
/** Images count as arriving for so long after the last segment. */
const BUSY_MS = 1_000;

/** What the intake needs of its store. */
export interface IntakeContext {
  readonly held: HeldImages;
  /** @throws ImageStoreError `disk-full` when the disk has no room for so many bytes more */
  readonly requireRoom: (place: string, bytes: number) => Promise<void>;
  /** Told of blocks of a held image that are not as they should be. */
  readonly onDamaged: (digest: string, blocks: readonly number[]) => Promise<void>;
}

/** Puts segments into the files of their transfers: a few at once, in memory that is used again and again. */
export class SegmentIntake {
  private readonly unpacking = new Semaphore(UNPACKING_AT_ONCE);
  private readonly spaces = new Spaces(UNPACKING_AT_ONCE * 4);
  private readonly directSpaces = new DirectSpaces(UNPACKING_AT_ONCE * 2, BOUNCE_BYTES);
  private arriving = 0;
  private arrivedAt = -Infinity;

  constructor(private readonly context: IntakeContext) {}

  /** Are images arriving just now? */
  get isBusy(): boolean {
    return this.arriving > 0 || performance.now() - this.arrivedAt < BUSY_MS;
  }

  /**
   * Nobody else changes its blocks meanwhile.
   * @returns whether it is stored; not so when the transfer is over, or was before its turn came
   */
  async put(place: string, transfer: Transfer, head: SegmentHead, signal?: AbortSignal): Promise<boolean> {
    const storing = transfer.use(() =>
      transfer.ranges.run(head.firstBlock, head.blockCount, () =>
        this.unpacking.run(() => this.store(place, transfer, head, signal)),
      ),
    );
    return (await storing) ?? false;
  }

  private async store(
    place: string,
    transfer: Transfer,
    head: SegmentHead,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (transfer.isOver) return false;
    if (signal?.aborted) throw new AbortedError("stopped");
    const { held, requireRoom, onDamaged } = this.context;
    await requireRoom(place, head.literalBytes);
    this.arriving++;
    try {
      const content = await unpackSegment(head, this.spaces).catch((error) => {
        throw segmentCorrupt(place, messageOf(error), error);
      });
      try {
        requireRange(place, transfer, head, content.rangeBytes);
        for (const base of content.bases) transfer.copied.add(base);
        const { spaces, directSpaces } = this;
        await applySegment({ place, transfer, held, spaces, directSpaces, onDamaged }, content);
        return true;
      } finally {
        content.release();
      }
    } finally {
      this.arriving--;
      this.arrivedAt = performance.now();
    }
  }
}
