import { blockCountOf, blockLengthOf, ImageDigest, LEAF_BYTES } from "../wire/digest";

const PAGE_BLOCKS = 4096;
/** Bytes of a leaf that tell the near side which one has arrived. */
const PREFIX_BYTES = 8;
/** Blocks that are told of, those of 4 TiB: what is answered fits into the client's limit for JSON. */
const MAX_TOLD_BLOCKS = 4 * 2 ** 20;

/** How sure it is that a block is in the file: `claimed` was written by a former process, which may have lost power. */
export type BlockState = "missing" | "claimed" | "verified";
const STATES: readonly BlockState[] = ["missing", "claimed", "verified"];

interface Page {
  readonly leaves: Buffer;
  readonly states: Uint8Array;
}

/** Which blocks of an arriving image are there, and what their leaves are. Takes memory only where something is. */
export class LeafTable {
  private readonly pages = new Map<number, Page>();
  private bytesPresent = 0;

  constructor(readonly sizeBytes: number) {}

  get blockCount(): number {
    return blockCountOf(this.sizeBytes);
  }

  /** Of the blocks that are there. */
  get presentBytes(): number {
    return this.bytesPresent;
  }

  stateOf(block: number): BlockState {
    return STATES[this.pages.get(Math.floor(block / PAGE_BLOCKS))?.states[block % PAGE_BLOCKS] ?? 0];
  }

  has(block: number): boolean {
    return this.stateOf(block) !== "missing";
  }

  /** A view of the block's leaf; undefined when the block is missing. */
  leafOf(block: number): Buffer | undefined {
    if (!this.has(block)) return undefined;
    const at = (block % PAGE_BLOCKS) * LEAF_BYTES;
    return this.pages.get(Math.floor(block / PAGE_BLOCKS))?.leaves.subarray(at, at + LEAF_BYTES);
  }

  set(block: number, leaf: Uint8Array, state: "claimed" | "verified"): void {
    if (!this.has(block)) this.bytesPresent += blockLengthOf(this.sizeBytes, block);
    const page = this.pageOf(block);
    page.leaves.set(leaf, (block % PAGE_BLOCKS) * LEAF_BYTES);
    page.states[block % PAGE_BLOCKS] = STATES.indexOf(state);
  }

  clear(block: number): void {
    if (!this.has(block)) return;
    this.bytesPresent -= blockLengthOf(this.sizeBytes, block);
    this.pageOf(block).states[block % PAGE_BLOCKS] = 0;
  }

  /** The blocks that are there. */
  *present(): Generator<number> {
    for (let block = 0; block < this.blockCount; block++) if (this.has(block)) yield block;
  }

  /** What was verified is only claimed from now on. */
  doubtAll(): void {
    for (const { states } of this.pages.values()) {
      states.forEach((state, i) => (states[i] = Math.min(state, STATES.indexOf("claimed"))));
    }
  }

  /** The missing blocks: how many bytes they have, and which is the first. */
  missing(): { readonly bytes: number; readonly first: number } | undefined {
    const bytes = this.sizeBytes - this.bytesPresent;
    if (bytes === 0) return undefined;
    let first = 0;
    while (this.has(first)) first++;
    return { bytes, first };
  }

  /** The image's digest. Of a table that misses nothing. */
  digest(): string {
    const digest = new ImageDigest(this.sizeBytes);
    for (const leaves of this.leaves()) digest.add(leaves);
    return digest.finish();
  }

  /** All leaves in order, many at a time. Of a table that misses nothing. */
  *leaves(): Generator<Buffer> {
    for (let first = 0; first < this.blockCount; first += PAGE_BLOCKS) {
      const count = Math.min(PAGE_BLOCKS, this.blockCount - first);
      yield this.pageOf(first).leaves.subarray(0, count * LEAF_BYTES);
    }
  }

  /**
   * Base64: for each block up to the last that is there the beginning of its leaf, zeros for a missing one; empty when all are missing.
   * Blocks beyond {@link MAX_TOLD_BLOCKS} are left out: they will be sent again.
   */
  prefixes(): string {
    const told = [...this.pages].filter(([number]) => number * PAGE_BLOCKS < MAX_TOLD_BLOCKS);
    let end = 0;
    for (const [number, { states }] of told) {
      const last = states.findLastIndex((state) => state !== 0);
      if (last >= 0) end = Math.max(end, number * PAGE_BLOCKS + last + 1);
    }
    const out = Buffer.alloc(end * PREFIX_BYTES);
    for (const [number, { leaves, states }] of told) {
      const from = number * PAGE_BLOCKS;
      states.forEach((state, i) => {
        if (state !== 0)
          leaves.copy(out, (from + i) * PREFIX_BYTES, i * LEAF_BYTES, i * LEAF_BYTES + PREFIX_BYTES);
      });
    }
    return out.toString("base64");
  }

  private pageOf(block: number): Page {
    const number = Math.floor(block / PAGE_BLOCKS);
    let page = this.pages.get(number);
    if (!page) {
      page = { leaves: Buffer.alloc(PAGE_BLOCKS * LEAF_BYTES), states: new Uint8Array(PAGE_BLOCKS) };
      this.pages.set(number, page);
    }
    return page;
  }
}
