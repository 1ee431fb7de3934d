import { basename } from "node:path";
import { formatBytes, formatDuration } from "../duration";
import { SpillwayError, messageOf } from "../errors";
import type { ImageStatus } from "../site/api";
import type { EstimateOptions, PushOptions, PushResult, TransferPreview } from "./contract";
import { requireDigest } from "./digest";
import { encodeIndex } from "./index-encoding";
import { indexFile, type IndexedFile } from "./index-file";
import { RateMeter, Reporter } from "./progress";
import { codeOf, Retry } from "./retry";
import { sendMissing } from "./send";

const PATIENCE_MS = 300_000;
/** Offers in one push: the first, and again when the site finds chunks damaged or has lost the image meanwhile. */
const MAX_ROUNDS = 4;
const WORTH_ANOTHER_ROUND = new Set(["image-corrupt", "image-incomplete", "not-found"]);

/**
 * Brings an image file to a site: indexes it (or takes the kept index), offers the index, sends what the site does not hold, and
 * has it put together and verified there. Idempotent, and any two pushes of one image get along. One that was cut off at any point
 * goes on where it was when it is called again. Takes under 150 MB of memory.
 * @throws SpillwayError naming path, offset or segment, value and mend
 * @throws DeadlineError when the site took nothing for `patienceMs`
 * @throws AbortedError when `context.signal` fires
 */
export async function pushImage(options: PushOptions): Promise<PushResult> {
  const { source, target, context } = options;
  const subject = options.subject ?? basename(source);
  const reporter = new Reporter(context, subject);
  const { index } = await indexSource(options, reporter, context.signal);
  const { digest, sizeBytes } = index;
  const retry = new Retry({
    place: subject,
    signal: context.signal,
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    onTrouble: (problem, pauseMs) =>
      reporter.say(() => `trying again in ${formatDuration(pauseMs)}: ${problem}`),
  });
  const encoded = encodeIndex(index);
  const call = { signal: context.signal, retryBudgetMs: 0 };
  let [sentBytes, segments] = [0, 0];
  let presentBytes: number | undefined;
  for (let round = 1; ; round++) {
    reporter.say(() => `offering the index (${formatBytes(encoded.length)})`);
    const offered = await retry.run(() => target.offer(digest, encoded, call), false);
    sentBytes += encoded.length;
    const missingBytes = index.bytesOf(checkedRuns(offered.missing, index.count, subject));
    presentBytes ??= sizeBytes - missingBytes;
    if (offered.status.complete) return { digest, sizeBytes, sentBytes, presentBytes, segments };
    const meter = new RateMeter();
    const before = { sentBytes, segments };
    try {
      await sendMissing({
        ...options,
        index,
        missing: offered.missing,
        signal: context.signal,
        retry,
        onSent: (sent) => {
          sentBytes = before.sentBytes + sent.bytes;
          segments = before.segments + sent.segments;
          meter.note(sent.rawBytes);
          const left = missingBytes - sent.rawBytes;
          reporter.say(
            () =>
              `sent ${formatBytes(sent.rawBytes)} of ${formatBytes(missingBytes)} over ${sent.streams} streams`,
            (sizeBytes - left) / sizeBytes,
            meter.etaMs(left),
          );
        },
      });
      reporter.say(() => "being put together and verified at the site", 1);
      const status = await retry.run(() => target.complete(digest, call), true);
      return {
        digest,
        sizeBytes: checkedComplete(status, digest, subject),
        sentBytes,
        presentBytes,
        segments,
      };
    } catch (error) {
      if (round === MAX_ROUNDS || !WORTH_ANOTHER_ROUND.has(codeOf(error) ?? "")) throw error;
      reporter.say(() => `sending again what is not right: ${messageOf(error)}`);
    }
  }
}

/**
 * What bringing an image file to a site would take. Changes nothing there. The answer stays the same while nothing of this image
 * arrives there, for up to a day.
 * @throws SpillwayError
 */
export async function estimateTransfer(options: EstimateOptions): Promise<TransferPreview> {
  const { source, target, context } = options;
  const reporter = new Reporter(context, options.subject ?? basename(source));
  const { index } = await indexSource(options, reporter, context?.signal);
  const estimate = await target.estimate(index.digest, encodeIndex(index), { signal: context?.signal });
  return { digest: index.digest, sizeBytes: index.sizeBytes, estimate };
}

async function indexSource(
  options: Pick<PushOptions, "source" | "digest" | "cacheDirectory">,
  reporter: Reporter,
  signal: AbortSignal | undefined,
): Promise<IndexedFile> {
  const { source, digest, cacheDirectory } = options;
  if (digest !== undefined) requireDigest(digest, source);
  const meter = new RateMeter();
  const indexed = await indexFile(source, {
    signal,
    cacheDirectory,
    progress: (done, total) => {
      meter.note(done);
      reporter.say(
        () => `indexing: ${formatBytes(done)} of ${formatBytes(total)}`,
        done / total,
        meter.etaMs(total - done),
      );
    },
  });
  if (digest === undefined || digest === indexed.index.digest) return indexed;
  throw new SpillwayError({
    place: source,
    problem: `the image file "${source}" has the digest ${indexed.index.digest}, but ${digest} was asked for`,
    mend: "Correct `digest` (or leave it out), or give the path of that image as `source`.",
    attribute: ["digest"],
  });
}

/** A site's answer is input like any other. */
function checkedRuns(
  runs: readonly (readonly [number, number])[],
  count: number,
  subject: string,
): readonly (readonly [number, number])[] {
  let next = 0;
  for (const run of runs) {
    const [first, length] = run;
    if (
      !Number.isInteger(first) ||
      !Number.isInteger(length) ||
      first < next ||
      length < 1 ||
      first + length > count
    ) {
      throw siteLies(
        subject,
        `it asks for the chunks ${JSON.stringify(run)} of an index with ${count} entries`,
      );
    }
    next = first + length;
  }
  return runs;
}

function checkedComplete(status: ImageStatus, digest: string, subject: string): number {
  if (status.complete && status.digest === digest) return status.sizeBytes;
  throw siteLies(
    subject,
    `it says that ${status.digest} is ${status.complete ? "complete" : "not complete"}, asked to complete ${digest}`,
  );
}

function siteLies(subject: string, problem: string): SpillwayError {
  return new SpillwayError({
    place: subject,
    problem: `the site's answer makes no sense: ${problem}`,
    mend: "Check that the site's agent is of the same version of Spillway.",
  });
}
