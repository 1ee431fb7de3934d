import { formatBytes } from "../../duration";
import { SpillwayError } from "../../errors";
import type { StepContext } from "../../wait";
import { RateMeter, Reporter } from "../progress";
import { BLOCK_BYTES, blockCountOf, blockLengthOf, imageDigest, leafOf, leafOfZeros } from "../wire/digest";
import { BLOCKS_PER_IMAGE_BLOCK, SNAPSHOT_BLOCK_BYTES } from "./geometry";
import { locateBlocks, type LocatedBlock } from "./parent-blocks";
import type { KnownSnapshot, SnapshotService } from "./service";
import { TAG } from "./tags";
import { forAll, Turns } from "./turns";

export interface VerifyOptions {
  readonly service: SnapshotService;
  readonly snapshot: KnownSnapshot;
  /** That the image in it is to have. */
  readonly digest: string;
  readonly context: StepContext;
  readonly patienceMs?: number;
}

/**
 * Reads a snapshot again, wholly, and compares it with the image's digest.
 * @throws SpillwayError naming what it is instead
 */
export async function verifySnapshot(options: VerifyOptions): Promise<{ readonly sizeBytes: number }> {
  const { service, snapshot, digest, context, patienceMs } = options;
  const { signal } = context;
  const sizeBytes = Number(snapshot.tags[TAG.size]);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) throw noSize(service, snapshot);
  const turns = new Turns({ place: service.place, signal, patienceMs });
  const reporter = new Reporter(context, snapshot.id);
  const meter = new RateMeter();
  const located = await locateBlocks(service, snapshot, turns, signal);
  const leaves = new Array<Buffer>(blockCountOf(sizeBytes));
  let read = 0;
  await forAll(leaves.keys(), async (number) => {
    const parts = Array.from({ length: BLOCKS_PER_IMAGE_BLOCK }, (_, half) =>
      located.get(number * BLOCKS_PER_IMAGE_BLOCK + half),
    );
    const length = blockLengthOf(sizeBytes, number);
    if (parts.every((part) => part === undefined)) {
      leaves[number] = leafOfZeros(length);
      return;
    }
    const bytes = Buffer.alloc(BLOCK_BYTES);
    for (const [half, part] of parts.entries()) {
      if (!part) continue;
      bytes.set(await readBlock(service, part, turns, signal), half * SNAPSHOT_BLOCK_BYTES);
      read += SNAPSHOT_BLOCK_BYTES;
    }
    leaves[number] = leafOf(bytes.subarray(0, length));
    meter.note(read);
    const total = located.size * SNAPSHOT_BLOCK_BYTES;
    reporter.say(
      () => `read ${formatBytes(read)} of ${formatBytes(total)}`,
      Math.min(1, read / total),
      meter.etaMs(Math.max(0, total - read)),
    );
  });
  const found = imageDigest(sizeBytes, leaves);
  if (found === digest) return { sizeBytes };
  throw new SpillwayError({
    place: `${service.place}, ${snapshot.id}`,
    problem: `the snapshot is not the image ${digest}; it is ${found}`,
    mend: "Delete it, and push the image again.",
  });
}

async function readBlock(service: SnapshotService, part: LocatedBlock, turns: Turns, signal: AbortSignal) {
  return turns.run(() => service.read(part.snapshotId, part.block, { signal }));
}

function noSize({ place }: SnapshotService, { id }: KnownSnapshot): SpillwayError {
  return new SpillwayError({
    place: `${place}, ${id}`,
    problem: `the snapshot has no tag ${TAG.size}: how long the image in it is cannot be told`,
    mend: "Verify a snapshot that Spillway made.",
  });
}
