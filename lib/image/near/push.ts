import { basename } from "node:path";
import { formatBytes, formatDuration } from "../../duration";
import { messageOf, SpillwayError } from "../../errors";
import type { StepContext } from "../../wait";
import type { BandwidthPlan } from "../bandwidth";
import { requireDigest } from "../digest";
import type { PartReport } from "../extents";
import { RateMeter, Reporter } from "../progress";
import { IndexReader } from "../wire/index-reader";
import type { ImageTarget, TransferState } from "../wire/target";
import { Acknowledged } from "./acknowledged";
import { arrivedPrefixes } from "./arrived";
import { BlockPlanner } from "./block-planner";
import { BLOCKS_A_READ, indexedBlocks, type Block } from "./blocks";
import { CanonicalImage, type SourceOptions } from "./canonical-image";
import { ImageCache, type FoundImage, type Reading } from "./image-cache";
import { readAndKeep, scanAndKeep, wrongDigest } from "./index-image";
import { KnownImages } from "./known-images";
import { Packer } from "./packer";
import { codeOf, Retry } from "./retry";
import { ScanOrder } from "./scan-order";
import { segmentBytes, Sender, type SenderOptions } from "./sender";

const PATIENCE_MS = 300_000;
/** The first round, and again when the site finds blocks damaged or has lost the transfer meanwhile. */
const MAX_ROUNDS = 4;
const WORTH_ANOTHER_ROUND = new Set(["image-corrupt", "image-incomplete", "not-found"]);

/** What is to be sent where. */
export interface PushOptions extends SourceOptions {
  /** When given, the source must have it: one that is not known to is read before anything is sent. @default sent while it is read */
  readonly digest?: string;
  readonly target: ImageTarget;
  /** Tells targets apart, so that a transfer that was cut off is gone on with. @default "" */
  readonly targetName?: string;
  readonly context: StepContext;
  /** What progress lines and errors are about. @default the file's name */
  readonly subject?: string;
  /** Streams in parallel. @default as many as the link's loss asks for, 1 to 64 */
  readonly streams?: SenderOptions["streams"];
  /** What the transfer may take of the link; the lowest of them holds. @default no limit but that of the machine */
  readonly bandwidth?: readonly BandwidthPlan[];
  /** It gives up when no segment was taken for so long. @default 300000 */
  readonly patienceMs?: number;
  /** Where indexes are kept. @default $XDG_CACHE_HOME/spillway or ~/.cache/spillway */
  readonly cacheDirectory?: string;
}

/** What a push did. */
export interface PushResult {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Bytes of the image that are in use, or were not told to be free. */
  readonly inUseBytes: number;
  /** Bytes of segments that the site took: what crossed the link, without the protocols' own. */
  readonly sentBytes: number;
  /** Bytes in use that needed no sending: held by the site, repeated, or sent before. */
  readonly presentBytes: number;
  /** Segments sent. */
  readonly segments: number;
  /** What was found in the image, and how each part was treated. */
  readonly parts: readonly PartReport[];
}

/**
 * Brings an image file to a site: reads it, says for each block how the site can make it of what it holds already, sends what is
 * left, and has the whole verified there. It is sent while it is read, unless `digest` is given. Idempotent, and any two pushes of one image get along. One that was
 * cut off at any point goes on where it was when it is called again.
 * @throws SpillwayError naming path, offset or segment, value and mend
 * @throws DeadlineError when the site took nothing for `patienceMs`
 * @throws AbortedError when `context.signal` fires
 */
export async function pushImage(options: PushOptions): Promise<PushResult> {
  const { source, context, digest } = options;
  if (digest !== undefined) requireDigest(digest, source);
  const image = await CanonicalImage.open(options, context.signal);
  try {
    return await new Push(options, image).run();
  } finally {
    await image.close();
  }
}

class Push {
  private readonly cache: ImageCache;
  private readonly reading: Reading;
  private readonly reporter: Reporter;
  private readonly retry: Retry;
  private readonly signal: AbortSignal;
  private sentBytes = 0;
  private literalBytes = 0;
  private segments = 0;
  /** Of the round that is going on. */
  private packer: Packer<unknown> | undefined;

  constructor(
    private readonly options: PushOptions,
    private readonly image: CanonicalImage,
  ) {
    const { context, source, exact = false, patienceMs = PATIENCE_MS, cacheDirectory } = options;
    const subject = options.subject ?? basename(source);
    this.cache = new ImageCache(cacheDirectory);
    this.reading = { identity: image.source.identity, exact };
    this.reporter = new Reporter(context, subject);
    this.signal = context.signal;
    this.retry = new Retry({
      place: subject,
      signal: context.signal,
      patienceMs,
      onTrouble: (problem, pauseMs) =>
        this.reporter.say(() => `trying again in ${formatDuration(pauseMs)}: ${problem}`),
    });
  }

  async run(): Promise<PushResult> {
    const { target, targetName = "", digest: wanted } = this.options;
    let found = await this.cache.find(this.reading);
    if (wanted !== undefined) {
      // Read once more than else, so that another image than the one asked for is not sent first.
      found ??= await readAndKeep(this.options, this.image, this.cache);
      if (found.digest !== wanted) throw wrongDigest(this.image.source.path, found.digest, wanted);
    }
    const id = await this.cache.transferId(this.reading, targetName, found?.digest);
    for (let round = 1; ; round++) {
      const state = await this.open(id, found?.digest);
      if (found && state.complete) break;
      try {
        found = await this.send(id, state, found);
        if (wanted !== undefined && found.digest !== wanted) {
          throw wrongDigest(this.image.source.path, found.digest, wanted);
        }
        await this.image.source.requireUnchanged();
        this.reporter.say(() => "being verified at the far side", 1);
        const { digest } = found;
        const status = await this.retry.run(() => target.completeTransfer(id, digest, this.call), 1);
        if (!status.complete || status.digest !== digest) throw siteLies(this.image.source.path, status);
        break;
      } catch (error) {
        if (round === MAX_ROUNDS || !WORTH_ANOTHER_ROUND.has(codeOf(error) ?? "")) throw error;
        found ??= await this.cache.find(this.reading);
        this.reporter.say(() => `sending again what is not right: ${messageOf(error)}`);
      }
    }
    await this.cache.endTransfer(this.reading, targetName);
    const { image, sentBytes, segments } = this;
    return {
      ...{ digest: found.digest, sizeBytes: image.sizeBytes, inUseBytes: image.map.inUse.bytes },
      ...{ sentBytes, segments, parts: image.map.parts },
      presentBytes: Math.max(0, image.map.inUse.bytes - this.literalBytes),
    };
  }

  private get call() {
    return { signal: this.signal, retryBudgetMs: 0 };
  }

  private open(id: string, digest: string | undefined): Promise<TransferState> {
    const { sizeBytes } = this.image;
    return this.retry.run(() => this.options.target.openTransfer(id, { sizeBytes, digest }, this.call));
  }

  /** Sends all that has not arrived. @returns what the image is, which only its last block shows */
  private async send(id: string, state: TransferState, found: FoundImage | undefined): Promise<FoundImage> {
    const { image, cache, signal, options } = this;
    const { target, targetName } = options;
    const known = await KnownImages.load({
      ...{ images: state.images, image, cache, signal, target, targetName, withBytes: true },
      tell: (message) => this.reporter.say(message),
    });
    try {
      if (!found) {
        const { exact = false } = options;
        const parts = Math.ceil(image.blockCount / BLOCKS_A_READ);
        const order = new ScanOrder(parts, (part) =>
          blocksOf(part).some((block) => known.isLikelyNew(block)),
        );
        return await scanAndKeep(
          ...([image, cache, exact] as const),
          (blocks) => this.sendBlocks(id, state, known, blocks),
          { order, isLinkHungry: () => this.packer?.isHungry ?? true, signal },
        );
      }
      const index = await IndexReader.open(found.indexPath);
      try {
        await this.sendBlocks(id, state, known, indexedBlocks(image, index, signal));
        return found;
      } finally {
        await index.close();
      }
    } finally {
      await known.close();
    }
  }

  private async sendBlocks<T>(
    id: string,
    state: TransferState,
    known: KnownImages,
    blocks: AsyncGenerator<Block, T>,
  ): Promise<T> {
    const { image, signal, retry, options } = this;
    const acknowledged = new Acknowledged(image.blockCount);
    const hasArrived = arrivedPrefixes(state.arrived);
    const meter = new RateMeter();
    let [scanned, sent] = [0, 0];
    const sender: Sender = new Sender({
      ...{ id, image, known, acknowledged, retry, signal, target: options.target, streams: options.streams },
      ...{ bandwidth: options.bandwidth ?? [], linkBps: state.rateBps },
      reopen: () => this.open(id, undefined),
      onSent: (segment) => {
        this.sentBytes += segment.bytes.length;
        this.literalBytes += segment.literalBytes;
        this.segments++;
        sent += segment.imageBytes;
        meter.note(this.sentBytes);
        report();
      },
    });
    const total = Math.max(1, image.readableBytes);
    const wholeMeter = new RateMeter();
    const report = () => {
      wholeMeter.note(sent);
      const left = Math.max(0, total - sent);
      this.reporter.say(
        () => progressText(this.sentBytes, meter.rate, sender.streamCount, sent, total),
        Math.min(1, sent / total),
        wholeMeter.etaMs(left),
      );
    };
    const packer = new Packer({
      blocks,
      planner: new BlockPlanner(known, acknowledged),
      skip: (block) => {
        if (!hasArrived(block.number, block.leaf, block.length)) return false;
        acknowledged.add(block.number);
        if (block.leaf) sent += block.length;
        return true;
      },
      literalBytes: () => segmentBytes(sender.streamCount, sender.capBps),
      isLinkIdle: () => sender.takeIdle(),
      onScanned: (block) => {
        scanned += block.leaf ? block.length : 0;
        if (sent === 0) this.reporter.say(() => `reading: ${formatBytes(scanned)} of ${formatBytes(total)}`);
      },
    });
    this.packer = packer;
    try {
      await sender.run(packer);
      return packer.result();
    } finally {
      await packer.stop();
    }
  }
}

function blocksOf(part: number): readonly number[] {
  return Array.from({ length: BLOCKS_A_READ }, (_, i) => part * BLOCKS_A_READ + i);
}

function progressText(sentBytes: number, rate: number, streams: number, done: number, total: number): string {
  const mbps = Math.round((rate * 8) / 1e5) / 10;
  return `${formatBytes(done)} of ${formatBytes(total)} are there: sent ${formatBytes(sentBytes)} at ${mbps} Mbit/s over ${streams} streams`;
}

function siteLies(place: string, status: { readonly digest: string; readonly complete: boolean }) {
  return new SpillwayError({
    place,
    problem: `the far side's answer makes no sense: it says that ${status.digest} is ${status.complete ? "complete" : "not complete"}`,
    mend: "Check that the Spillway there is of the same version.",
  });
}
