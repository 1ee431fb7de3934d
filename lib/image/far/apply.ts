import { messageOf } from "../../errors";
import { ImageStoreError } from "../errors";
import { BLOCK_BYTES, blockLengthOf, leafOf, leafOfZeros } from "../wire/digest";
import type { SegmentContent } from "../wire/segment";
import type { Spaces } from "../wire/spaces";
import type { DirectFile } from "./direct-file";
import type { DirectSpaces } from "./direct-spaces";
import { BlockFiller, SELF, type FilledBlock } from "./block-filler";
import type { HeldImages } from "./held";
import { SegmentRefusedError, segmentCorrupt } from "./refusals";
import type { Transfer } from "./transfer";

/** What a segment is applied with. */
export interface ApplyContext {
  /** For errors. */
  readonly place: string;
  readonly transfer: Transfer;
  readonly held: HeldImages;
  readonly spaces: Spaces;
  /** Each of at least BOUNCE_BYTES. */
  readonly directSpaces: DirectSpaces;
  /** Told of blocks of a held image that are not as they should be. */
  readonly onDamaged: (digest: string, blocks: readonly number[]) => Promise<void>;
}

interface Base {
  readonly digest: string;
  readonly file: DirectFile;
  readonly sizeBytes: number;
}

/** A held image could not be read where it should have bytes. */
class UnreadableBase extends Error {
  constructor(
    readonly base: number,
    readonly block: number,
    options?: { cause?: unknown },
  ) {
    super("a held image cannot be read", options);
  }
}

/**
 * Makes the blocks of a segment, compares each with its leaf before it is written, and notes all of them when they are in the file.
 * Callers see to it that nobody else changes these blocks.
 * @throws SegmentRefusedError then nothing of it was kept
 * @throws ImageStoreError `disk-full`; the blocks that were written are kept
 */
export async function applySegment(context: ApplyContext, content: SegmentContent): Promise<void> {
  const { transfer, spaces, directSpaces } = context;
  const bases = await openBases(context, content.bases);
  const space = directSpaces.take();
  const bounce = directSpaces.take();
  const scratch = spaces.take(BLOCK_BYTES);
  const kept: { block: number; leaf: Uint8Array }[] = [];
  try {
    const filler = new BlockFiller(
      content,
      scratch,
      (base, offset, length, block) => requireCopyable(context, bases, base, offset, length, block),
      (base, offset, into) => readCopy(transfer, bases, base, offset, into, bounce),
    );
    for (let i = 0; i < content.blockCount; i++) {
      const block = content.firstBlock + i;
      const bytes = space.subarray(0, blockLengthOf(transfer.sizeBytes, block));
      const leaf = content.leaves[i] ?? leafOfZeros(bytes.length);
      const isThere = isVerified(transfer, block, leaf);
      const filled = await fillBlock(context, bases, filler, bytes, block, !isThere);
      if (isThere) continue;
      const found = filled.data.length === 0 ? leafOfZeros(bytes.length) : leafOf(bytes);
      if (!found.equals(leaf)) throw await wrongBytes(context, bases, block, filled.sources);
      const isZero = content.leaves[i] === undefined;
      await transfer.write(block, bytes, isZero ? [] : filled.data, leaf);
      kept.push({ block, leaf });
    }
    await transfer.keep(kept);
  } catch (error) {
    // What a full disk has taken it need not take again.
    const isFull = error instanceof ImageStoreError && error.code === "disk-full";
    if (isFull) await transfer.keep(kept).catch(() => undefined);
    throw error;
  } finally {
    directSpaces.give(space);
    directSpaces.give(bounce);
    spaces.give(scratch);
    for (const { file } of bases) await file.close().catch(() => undefined);
  }
}

/** Has this process seen that the block is there with that leaf? */
export function isVerified(transfer: Transfer, block: number, leaf: Uint8Array): boolean {
  const { blocks } = transfer;
  return blocks.stateOf(block) === "verified" && (blocks.leafOf(block)?.equals(leaf) ?? false);
}

async function openBases(context: ApplyContext, digests: readonly string[]): Promise<readonly Base[]> {
  const bases: Base[] = [];
  for (const digest of digests) {
    const opened = await context.held.openDirect(digest).catch(async (error: unknown) => {
      for (const { file } of bases) await file.close();
      throw error;
    });
    if (opened) {
      bases.push({ digest, ...opened });
      continue;
    }
    for (const { file } of bases) await file.close();
    throw new SegmentRefusedError("image-missing", {
      place: context.place,
      problem: `the segment copies from the image ${digest}, which is not held here (any more)`,
      mend: "Open the transfer again to learn which images are, and send these blocks anew.",
      base: digest,
    });
  }
  return bases;
}

function requireCopyable(
  { place, transfer }: ApplyContext,
  bases: readonly Base[],
  base: number,
  offset: number,
  length: number,
  block: number,
): void {
  const sizeBytes = base === SELF ? transfer.sizeBytes : bases[base].sizeBytes;
  if (offset + length > sizeBytes) {
    throw new SegmentRefusedError("image-corrupt", {
      place,
      problem: `the segment was refused: block ${block} copies ${length} bytes from offset ${offset} of an image of ${sizeBytes} bytes`,
      mend: "Send these blocks again without copies; nothing of them was kept.",
      withoutCopies: true,
      block,
      base: bases[base]?.digest,
    });
  }
  if (base !== SELF) return;
  for (let source = Math.floor(offset / BLOCK_BYTES); source * BLOCK_BYTES < offset + length; source++) {
    if (transfer.blocks.has(source)) continue;
    throw new SegmentRefusedError("image-incomplete", {
      place,
      problem: `the segment was refused: block ${block} copies from block ${source}, which has not arrived`,
      mend: `Send block ${source} first, or these blocks without copies.`,
      block: source,
    });
  }
}

async function readCopy(
  transfer: Transfer,
  bases: readonly Base[],
  base: number,
  offset: number,
  into: Uint8Array,
  bounce: Buffer,
): Promise<void> {
  if (base === SELF) return transfer.read(into, offset);
  const read = await bases[base].file.read(into, offset, bounce).catch((cause: unknown) => {
    throw new UnreadableBase(base, Math.floor(offset / BLOCK_BYTES), { cause });
  });
  // The file was cut: that shows at that place when it is looked at.
  if (read < into.length) throw new UnreadableBase(base, Math.floor((offset + read) / BLOCK_BYTES));
}

async function fillBlock(
  context: ApplyContext,
  bases: readonly Base[],
  filler: BlockFiller,
  bytes: Buffer,
  block: number,
  isNeeded: boolean,
): Promise<FilledBlock> {
  try {
    return await filler.fill(bytes, block, isNeeded);
  } catch (error) {
    if (!(error instanceof UnreadableBase)) throw error;
    if (error.cause !== undefined)
      throw unreadable(context.place, bases[error.base].digest, block, error.cause);
    throw await wrongBytes(context, bases, block, new Map([[error.base, new Set([error.block])]]));
  }
}

/** That an image cannot be read does not say that it is damaged: it stays as it is, and is only not copied from here. */
function unreadable(place: string, base: string, block: number, cause: unknown): SegmentRefusedError {
  const report = {
    place,
    problem: `the segment was refused: block ${block} copies from the image ${base}, which cannot be read at the image store: ${messageOf(cause)}`,
    mend: "Send these blocks again without copies; nothing of them was kept.",
    withoutCopies: true as const,
    block,
    base,
  };
  return new SegmentRefusedError("image-corrupt", report, { cause });
}

/** Finds out whose fault it is that a block is not what its leaf says. */
async function wrongBytes(
  context: ApplyContext,
  bases: readonly Base[],
  block: number,
  sources: FilledBlock["sources"],
): Promise<SegmentRefusedError> {
  const { place, transfer, held, onDamaged } = context;
  if (sources.size === 0) {
    return segmentCorrupt(place, `its bytes for block ${block} are not what its leaf says`);
  }
  const refused = (problem: string, base?: string) =>
    new SegmentRefusedError("image-corrupt", {
      place,
      problem: `the segment was refused: ${problem}`,
      mend: "Send these blocks again without copies; nothing of them was kept.",
      withoutCopies: true,
      block,
      base,
    });
  for (const [base, blocks] of sources) {
    if (base === SELF) continue;
    const { digest } = bases[base];
    const bad = await held.findBad(digest, blocks).catch((cause: unknown) => {
      throw unreadable(place, digest, block, cause);
    });
    if (bad.length === 0) continue;
    await onDamaged(digest, bad);
    return refused(
      `block ${block} copies from the image ${digest}, which is damaged on the disk of the image store in its block ${bad[0]}`,
      digest,
    );
  }
  const space = context.spaces.take(BLOCK_BYTES);
  const gone: number[] = [];
  for (const source of sources.get(SELF) ?? []) {
    // One that is being written just now proves nothing.
    if (transfer.ranges.isTaken(source, 1)) continue;
    if (!(await transfer.isSound(source, space))) gone.push(source);
  }
  context.spaces.give(space);
  await transfer.forget(gone);
  const others = [...sources.keys()].filter((base) => base !== SELF);
  const named = others.map((base) => bases[base].digest).join(", ");
  return gone.length > 0
    ? refused(`block ${block} copies from block ${gone[0]}, which is damaged on the disk of the image store`)
    : refused(
        `block ${block}, made of copies from ${named || "blocks that arrived before"}, is not what its leaf says`,
        others.length > 0 ? bases[others[0]].digest : undefined,
      );
}
