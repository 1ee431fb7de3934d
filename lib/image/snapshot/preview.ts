import { CanonicalImage } from "../near/canonical-image";
import { SNAPSHOT_BLOCK_BYTES } from "./geometry";
import { SnapshotJournal } from "./journal";
import { journalPath } from "./push-snapshot";
import { completeOf, planSnapshot, snapshotsOf, workOn, type SnapshotOptions } from "./prepare";
import { nameOfChoice } from "./choose-blocks";

/** Told while none was measured, bits per second. */
const ASSUMED_RATE_BPS = 100_000_000;

/** What making a snapshot would take. */
export interface SnapshotEstimate {
  readonly totalBytes: number;
  readonly inUseBytes: number;
  /** In use, and there already. */
  readonly presentBytes: number;
  /** Whole blocks, as they are: nothing is packed. */
  readonly sendBytes: number;
  readonly etaMs: number;
  readonly rateBps: number;
  readonly rateIs: "measured" | "assumed";
}

export interface SnapshotPreview {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly inUseBytes: number;
  /** Of the snapshot that is there already. */
  readonly snapshotId?: string;
  readonly parentId?: string;
  readonly estimate: SnapshotEstimate;
}

export interface PreviewOptions extends SnapshotOptions {
  /** Whether the same is told again for a day, as a plan needs it. @default true */
  readonly pin?: boolean;
}

/**
 * What a snapshot of an image file would take. Changes nothing at the service.
 * @throws SpillwayError, AbortedError
 */
export async function previewSnapshot(options: PreviewOptions): Promise<SnapshotPreview> {
  const image = await CanonicalImage.open(options, options.context.signal);
  try {
    const work = await workOn(image, options);
    const { digest, sizeBytes, inUseBytes } = work.image;
    const complete = completeOf(await snapshotsOf(work));
    const plan = complete ? undefined : await planSnapshot(work);
    const arrived = plan ? await arrivedBlocks(work, plan) : 0;
    const sendBytes = plan ? (plan.chosen.write.length - arrived) * SNAPSHOT_BLOCK_BYTES : 0;
    const measured = await work.local.rate(work.key.region);
    const rateBps = measured ?? ASSUMED_RATE_BPS;
    const now: SnapshotEstimate = {
      ...{ totalBytes: sizeBytes, inUseBytes, sendBytes },
      presentBytes: Math.max(0, inUseBytes - sendBytes),
      ...{ etaMs: Math.ceil((sendBytes * 8_000) / rateBps), rateBps },
      rateIs: measured === undefined ? "assumed" : "measured",
    };
    const estimate =
      options.pin === false ? now : await work.local.pin(work.key, now, plan && `${plan.name} ${arrived}`);
    const parentId = plan?.parent?.id;
    return { digest, sizeBytes, inUseBytes, snapshotId: complete?.id, parentId, estimate };
  } finally {
    await image.close();
  }
}

async function arrivedBlocks(
  work: Awaited<ReturnType<typeof workOn>>,
  plan: Awaited<ReturnType<typeof planSnapshot>>,
): Promise<number> {
  const journal = await SnapshotJournal.read(journalPath(work.local.pendingPath(work.key)));
  const isSame = journal && nameOfChoice(work.image.blocks, plan.chosen).equals(journal.choice);
  return isSame ? new Set(journal.blocks).size : 0;
}
