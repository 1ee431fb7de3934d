import { formatBytes } from "../../duration";
import type { Reporter } from "../progress";
import { BlockDigests } from "./block-digests";
import { blocksOfVolume, SNAPSHOT_BLOCK_BYTES } from "./geometry";
import type { LocalSnapshots } from "./local-state";
import type { KnownSnapshot, SnapshotService, StoredBlock } from "./service";
import { TAG } from "./tags";
import { forAll, type Turns } from "./turns";

/** A chain of parents that comes back to itself, or is not ours, ends somewhere. */
const LONGEST_CHAIN = 1_000;

/** Where a block can be read. */
export interface LocatedBlock {
  readonly snapshotId: string;
  readonly block: StoredBlock;
}

/**
 * Every block that a snapshot has, and where it is read. EBS lists those of the parents as well; where they are not listed, the parents
 * that our tags name are laid under it.
 */
export async function locateBlocks(
  service: SnapshotService,
  snapshot: KnownSnapshot,
  turns: Turns,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, LocatedBlock>> {
  const found = new Map<number, LocatedBlock>();
  let next: KnownSnapshot | undefined = snapshot;
  const seen = new Set<string>();
  while (next && !seen.has(next.id) && seen.size < LONGEST_CHAIN) {
    const id: string = next.id;
    const parent: string | undefined = next.tags[TAG.parent];
    seen.add(id);
    for await (const page of pages(service, id, turns, signal)) {
      for (const block of page)
        if (!found.has(block.index)) found.set(block.index, { snapshotId: id, block });
    }
    next = parent ? await turns.run(() => service.get(parent, { signal })) : undefined;
  }
  return found;
}

async function* pages(service: SnapshotService, id: string, turns: Turns, signal: AbortSignal) {
  let page: string | undefined;
  do {
    const { blocks, next } = await turns.run(() => service.blocks(id, page, { signal }));
    yield blocks;
    page = next;
  } while (page !== undefined);
}

/** What a snapshot consists of: as it was noted when it was made here, else as its service tells, which is noted then. */
export async function blocksOf(
  service: SnapshotService,
  snapshot: KnownSnapshot,
  { local, turns, signal, reporter }: ReadingOptions,
): Promise<BlockDigests> {
  const kept = await local.blocksOfSnapshot(snapshot.id);
  if (kept) return kept;
  const blocks = BlockDigests.none(blocksOfVolume(snapshot.volumeGib));
  const located = await locateBlocks(service, snapshot, turns, signal);
  let done = 0;
  await forAll(located, async ([index, { snapshotId, block }]) => {
    const digest = await turns.run(() => service.digestOf(snapshotId, block, { signal }));
    if (index < blocks.count) blocks.set(index, digest);
    done++;
    reporter.say(
      () =>
        `asking what the snapshot ${snapshot.id} consists of: ${formatBytes(done * SNAPSHOT_BLOCK_BYTES)} of ${formatBytes(located.size * SNAPSHOT_BLOCK_BYTES)}`,
      done / located.size,
    );
  });
  await local.keepBlocksOfSnapshot(snapshot.id, blocks);
  return blocks;
}

export interface ReadingOptions {
  readonly local: LocalSnapshots;
  readonly turns: Turns;
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
}
