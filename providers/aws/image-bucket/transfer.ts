import { blockCountOf, blockLengthOf, imageDigest, leafOfZeros } from "../../../lib/image/wire/digest";
import type { Arrived, SegmentEntry } from "./layout";

const PREFIX_BYTES = 8;

/** What has arrived of one image, as far as this process knows. */
export class BucketTransfer {
  private readonly segments = new Map<string, Arrived & { readonly number: number }>();
  private readonly here: Uint8Array;
  private next = 1;
  private present = 0;

  constructor(
    readonly sizeBytes: number,
    /** What the bucket held when the transfer was opened last. */
    public images: ReadonlySet<string>,
  ) {
    this.here = new Uint8Array(blockCountOf(sizeBytes));
  }

  /** Bytes of the image that have arrived. */
  get presentBytes(): number {
    return this.present;
  }

  get blockCount(): number {
    return blockCountOf(this.sizeBytes);
  }

  has(segment: string): boolean {
    return this.segments.has(segment);
  }

  /** A number for a segment that is about to be written: larger than those of all it may refer to. */
  takeNumber(): number {
    return this.next++;
  }

  add(number: number, arrived: Arrived): void {
    this.next = Math.max(this.next, number + 1);
    if (this.segments.has(arrived.id)) return;
    this.segments.set(arrived.id, { ...arrived, number });
    this.note(arrived);
  }

  /** Forgets those of this number and above. */
  dropFrom(number: number): void {
    for (const { id, number: own } of this.entries) if (own >= number) this.segments.delete(id);
    this.here.fill(0);
    this.present = 0;
    for (const arrived of this.segments.values()) this.note(arrived);
  }

  /** In the order in which they can be applied. */
  get entries(): readonly (Arrived & { readonly number: number })[] {
    return [...this.segments.values()].sort((a, b) => a.number - b.number);
  }

  /** The leaf of each block; undefined where none has arrived. Of a block that arrived twice, the later. */
  leaves(): (Buffer | undefined)[] {
    const leaves = new Array<Buffer | undefined>(this.blockCount).fill(undefined);
    for (const { firstBlock, leaves: own } of this.entries) {
      own.forEach((leaf, i) => {
        const block = firstBlock + i;
        leaves[block] = leaf ?? leafOfZeros(blockLengthOf(this.sizeBytes, block));
      });
    }
    return leaves;
  }

  /** As a near side takes it: the beginning of each leaf. */
  arrivedPrefixes(): string {
    if (this.segments.size === 0) return "";
    const prefixes = Buffer.alloc(this.blockCount * PREFIX_BYTES);
    this.leaves().forEach((leaf, block) => leaf?.copy(prefixes, block * PREFIX_BYTES, 0, PREFIX_BYTES));
    return prefixes.toString("base64");
  }

  get bases(): readonly string[] {
    return [...new Set([...this.segments.values()].flatMap(({ bases }) => bases))];
  }

  private note({ firstBlock, blockCount }: Arrived): void {
    for (let block = firstBlock; block < firstBlock + blockCount; block++) {
      if (this.here[block] === 0) this.present += blockLengthOf(this.sizeBytes, block);
      this.here[block] = 1;
    }
  }
}

/** The image's digest, once each of its blocks has a leaf. */
export function digestOfLeaves(
  sizeBytes: number,
  leaves: readonly (Buffer | undefined)[],
): string | undefined {
  return leaves.every((leaf) => leaf !== undefined) ? imageDigest(sizeBytes, leaves as Buffer[]) : undefined;
}

export function entryOf({ id, firstBlock, blockCount, bytes }: Arrived): SegmentEntry {
  return { id, firstBlock, blockCount, bytes };
}
