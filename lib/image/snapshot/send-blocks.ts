import { setMaxListeners } from "node:events";
import { formatBytes } from "../../duration";
import { messageOf } from "../../errors";
import { keepPace, Pace, watchBandwidth, type BandwidthPlan } from "../bandwidth";
import { sha256 } from "../digest";
import type { CanonicalImage } from "../near/canonical-image";
import { RateMeter } from "../progress";
import { sourceChanged } from "../source";
import { readSnapshotBlock } from "./describe-image";
import { SNAPSHOT_BLOCK_BYTES } from "./geometry";
import type { SnapshotJournal } from "./journal";
import type { Work } from "./prepare";
import { forAll, MOST_AT_ONCE } from "./turns";

/** Under a cap no block should be on its way for longer. */
const LONGEST_BLOCK_MS = 5_000;
/** A rate is worth remembering when it was measured for so long. */
const MEASURED_MS = 2_000;

export interface SendOptions {
  readonly work: Work;
  readonly image: CanonicalImage;
  readonly snapshotId: string;
  /** Those to send: blocks that arrived before are not among them. */
  readonly blocks: readonly number[];
  /** How many others arrived before. */
  readonly arrived: number;
  readonly journal: SnapshotJournal | undefined;
  readonly bandwidth: readonly BandwidthPlan[];
}

/**
 * Writes blocks of an image to a pending snapshot, many at once.
 * @returns bytes sent
 * @throws SnapshotError `not-found` when the snapshot is no more, `conflict` when it is not pending any more
 */
export async function sendBlocks(options: SendOptions): Promise<number> {
  const { work, image, snapshotId, blocks, arrived, bandwidth } = options;
  const { service, turns, reporter, local } = work;
  const stop = new AbortController();
  const signal = AbortSignal.any([work.signal, stop.signal]);
  setMaxListeners(0, signal);
  const pace = new Pace();
  const watched = watchBandwidth(signal);
  keepPace(
    pace,
    () => [...bandwidth, watched.current()],
    signal,
    (bps) => {
      turns.setPaused(bps === 0);
      turns.setMost(mostAt(bps));
    },
  );
  const noted = new Notes(options.journal);
  const spare: Buffer[] = [];
  const meter = new RateMeter();
  const startedAt = Date.now();
  const total = arrived + blocks.length;
  let sent = 0;
  let wasCapped = false;
  const report = () => {
    const left = blocks.length - sent;
    reporter.say(
      () => {
        const done = formatBytes((arrived + sent) * SNAPSHOT_BLOCK_BYTES);
        const mbps = Math.round((meter.rate * 8) / 1e5) / 10;
        return `${done} of ${formatBytes(total * SNAPSHOT_BLOCK_BYTES)} are there: ${mbps} Mbit/s, ${turns.atOnce} blocks at once${noted.trouble}`;
      },
      (arrived + sent) / Math.max(1, total),
      meter.etaMs(left * SNAPSHOT_BLOCK_BYTES),
    );
  };
  try {
    await forAll(blocks, async (block) => {
      const bytes = spare.pop() ?? Buffer.allocUnsafeSlow(SNAPSHOT_BLOCK_BYTES);
      const digest = work.image.blocks.at(block) as Buffer;
      await readSnapshotBlock(image, block, bytes);
      if (!sha256(bytes).equals(digest)) throw changed(image, block);
      const put = () => {
        const isCapped = pace.bps !== undefined;
        wasCapped ||= isCapped;
        return service.put(snapshotId, block, bytes, digest, { signal, pace: isCapped ? pace : undefined });
      };
      await turns.run(put, { mayBeUnknown: true });
      // Only now nobody reads it any more.
      spare.push(bytes);
      await noted.add(block);
      sent++;
      meter.note(sent * SNAPSHOT_BLOCK_BYTES);
      report();
    });
    const tookMs = Date.now() - startedAt;
    if (!wasCapped && tookMs >= MEASURED_MS) {
      await local.keepRate(service.region, (sent * SNAPSHOT_BLOCK_BYTES * 8_000) / tookMs);
    }
    return sent * SNAPSHOT_BLOCK_BYTES;
  } finally {
    stop.abort();
    turns.setPaused(false);
    turns.setMost(MOST_AT_ONCE);
  }
}

/** Requests at once under a cap of so many bits per second. */
export function mostAt(bps: number | undefined): number {
  if (!bps) return MOST_AT_ONCE;
  const blocks = Math.floor((bps * LONGEST_BLOCK_MS) / 8_000 / SNAPSHOT_BLOCK_BYTES);
  return Math.min(MOST_AT_ONCE, Math.max(1, blocks));
}

/** A disk that is full does not stop what crosses the link: a kill would only send more again. */
class Notes {
  trouble = "";

  constructor(private journal: SnapshotJournal | undefined) {}

  async add(block: number): Promise<void> {
    try {
      await this.journal?.append(block);
    } catch (error) {
      this.journal = undefined;
      this.trouble = `; it cannot be gone on with if it is cut off: ${messageOf(error)}`;
    }
  }
}

function changed(image: CanonicalImage, block: number) {
  const offset = block * SNAPSHOT_BLOCK_BYTES;
  return sourceChanged(
    image.source.path,
    `since it was read, at offset ${offset} or within 512 KiB after it`,
  );
}
