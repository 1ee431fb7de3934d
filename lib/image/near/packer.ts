import { availableParallelism } from "node:os";
import { encodeSegment } from "../wire/segment";
import { Spaces } from "../wire/spaces";
import type { BlockPlanner } from "./block-planner";
import type { Block } from "./blocks";
import { SegmentBuilder, type SegmentPlan } from "./segment-builder";

/** Segments that are packed at once. Node's pool has four threads, and the disk needs one. */
const PACKING_AT_ONCE = Math.min(3, availableParallelism());
/** Packed segments that wait for a stream: enough for a second and a half in which nothing new is found. */
const READY_BYTES = 20 * 1024 * 1024;
/** With less, the link may soon wait: about half a second at 100 Mbit/s. */
const HUNGRY_BYTES = 6 * 1024 * 1024;
/** One where the image is read in order, one where what is likely new is read first. */
const OPEN_AT_ONCE = 2;
/** Of brotli, the least effort first. Below them a tenth more is sent; beyond, twice the time gains a hundredth. */
const QUALITIES = [4, 5];
const FIRST_QUALITY = 1;
/** Bits: a segment's literals fit into it. */
const WINDOW = 22;

/** A segment that can be sent. */
export interface ReadySegment {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly firstBlock: number;
  readonly blockCount: number;
  /** Bytes of the image that it describes, without zeros. */
  readonly imageBytes: number;
  /** Bytes of the image that it carries. */
  readonly literalBytes: number;
  readonly hasCopies: boolean;
  /** Gives its memory back: nobody may use `bytes` any more. */
  readonly release: () => void;
}

/**
 * Makes segments of blocks, ahead of the streams that send them, and packs them as tightly as the time allows: the more wait to be
 * sent, the more effort goes into the next.
 */
export class Packer<T> {
  private readonly ready: ReadySegment[] = [];
  private readyBytes = 0;
  private readonly packing = new Set<Promise<void>>();
  /** The one that was used last is the last. */
  private readonly open: SegmentBuilder[] = [];
  private readonly spaces = new Spaces(PACKING_AT_ONCE * 3);
  private readonly waitingSpaces = new Spaces();
  private failure: { readonly error: unknown } | undefined;
  private isScanned = false;
  private effort = FIRST_QUALITY;
  private wake: (() => void)[] = [];
  private readonly producing: Promise<void>;
  private outcome: { readonly value: T } | undefined;
  private isStopped = false;

  constructor(
    private readonly options: {
      readonly blocks: AsyncGenerator<Block, T>;
      /** Blocks that need not be sent. */
      readonly skip: (block: Block) => boolean;
      readonly planner: BlockPlanner;
      /** Bytes of the image that a segment should carry; asked anew for each. */
      readonly literalBytes: () => number;
      readonly onScanned: (block: Block) => void;
      /** Did a stream wait for something to send since it was asked last? */
      readonly isLinkIdle: () => boolean;
    },
  ) {
    this.producing = this.produce()
      .catch((error) => {
        this.failure ??= { error };
      })
      .finally(() => {
        this.isScanned = true;
        this.changed();
      });
  }

  /** Would {@link next} answer at once? */
  get hasReady(): boolean {
    return this.ready.length > 0;
  }

  /** Will a stream soon wait for a segment? */
  get isHungry(): boolean {
    return this.readyBytes < HUNGRY_BYTES;
  }

  /** The next segment; undefined when there is none left. @throws what reading or packing threw */
  async next(): Promise<ReadySegment | undefined> {
    for (;;) {
      if (this.failure) throw this.failure.error;
      const segment = this.ready.shift();
      if (segment) {
        this.readyBytes -= segment.bytes.length;
        this.changed();
        return segment;
      }
      if (this.isStopped || (this.isScanned && this.packing.size === 0)) return undefined;
      await this.change();
    }
  }

  /** What the blocks ended with; known when {@link next} has answered that there is none left. */
  result(): T {
    if (!this.outcome) throw new Error("not all blocks were gone through");
    return this.outcome.value;
  }

  /** Whoever waits in {@link next} is told at once. The first failure counts. */
  fail(error: unknown): void {
    this.failure ??= { error };
    this.changed();
  }

  /** Ends it; waits for what is being read and packed. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.changed();
    await this.producing;
    await Promise.all(this.packing);
  }

  private async produce(): Promise<void> {
    const { blocks, skip, planner, onScanned } = this.options;
    try {
      for (;;) {
        const next = await blocks.next();
        if (this.isStopped || this.failure) return;
        if (next.done) {
          this.outcome = { value: next.value };
          break;
        }
        const block = next.value;
        onScanned(block);
        if (skip(block)) {
          await this.close(this.open.find(({ nextBlock }) => nextBlock === block.number));
          continue;
        }
        const builder = await this.builderFor(block.number);
        await planner.add(block, builder);
        if (builder.isFull) await this.close(builder);
      }
    } finally {
      await blocks.return(undefined as T);
    }
    for (const builder of [...this.open]) await this.close(builder);
  }

  /** The one that this block follows, else a new one; the one that was used least recently makes room for it. */
  private async builderFor(block: number): Promise<SegmentBuilder> {
    const { open, spaces, options } = this;
    const at = open.findIndex(({ nextBlock }) => nextBlock === block);
    if (at < 0 && open.length === OPEN_AT_ONCE) await this.close(open[0]);
    const builder =
      at < 0 ? new SegmentBuilder(block, options.literalBytes(), spaces) : open.splice(at, 1)[0];
    open.push(builder);
    return builder;
  }

  private async close(builder: SegmentBuilder | undefined): Promise<void> {
    if (!builder) return;
    this.open.splice(this.open.indexOf(builder), 1);
    await this.pack(builder);
  }

  /** Waits for its turn, then packs in the background. */
  private async pack(builder: SegmentBuilder): Promise<void> {
    const plan = builder.finish();
    while (this.mustWait()) await this.change();
    this.adapt();
    const packed = this.seal(plan)
      .catch((error) => {
        this.failure ??= { error };
      })
      .finally(() => {
        plan.release();
        this.packing.delete(packed);
        this.changed();
      });
    this.packing.add(packed);
  }

  private mustWait(): boolean {
    if (this.isStopped || this.failure) return false;
    return this.packing.size >= PACKING_AT_ONCE || this.readyBytes >= READY_BYTES;
  }

  private adapt(): void {
    if (this.readyBytes > READY_BYTES * 0.75) this.effort = Math.min(QUALITIES.length - 1, this.effort + 1);
    else if (this.readyBytes > READY_BYTES * 0.12) this.effort = Math.max(FIRST_QUALITY, this.effort);
    else if (this.options.isLinkIdle() && this.packing.size >= PACKING_AT_ONCE - 1) {
      this.effort = Math.max(0, this.effort - 1);
    }
  }

  private async seal(plan: SegmentPlan): Promise<void> {
    const packed = await encodeSegment(
      { ...plan, literals: [plan.literals] },
      { quality: QUALITIES[this.effort], window: WINDOW },
      this.spaces,
    );
    // While it waits to be sent it shall take no more memory than it has bytes.
    const { id } = packed;
    const space = this.waitingSpaces.take(packed.bytes.length);
    const bytes = space.subarray(0, packed.bytes.copy(space));
    packed.release();
    const release = () => this.waitingSpaces.give(space);
    const { firstBlock, blockCount, imageBytes } = plan;
    this.ready.push({
      ...{ id, bytes, release, firstBlock, blockCount, imageBytes },
      literalBytes: plan.literals.length,
      hasCopies: plan.ops.some(({ kind }) => kind === "copy" || kind === "self"),
    });
    this.readyBytes += bytes.length;
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.wake.push(resolve));
  }

  private changed(): void {
    const waiting = this.wake;
    this.wake = [];
    for (const resolve of waiting) resolve();
  }
}
