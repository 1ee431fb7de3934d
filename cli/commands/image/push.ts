import { resolve } from "node:path";
import { formatBytes, formatDuration, parseDurationMs } from "../../../lib/duration";
import { AbortedError, SpillwayError } from "../../../lib/errors";
import { formatCap, parseBandwidth, type BandwidthPlan } from "../../../lib/image/bandwidth";
import { estimateTransfer, indexImage, pushImage, type PushResult } from "../../../lib/image/near";
import { previewSnapshot, pushSnapshot, type SnapshotSettings } from "../../../lib/image/snapshot";
import { openImageSource } from "../../../lib/image/source";
import { sleep, type StepContext } from "../../../lib/wait";
import { EXIT, jsonLine, printError, reading } from "../../output";
import { commandContext } from "./context";
import { digestArgument } from "./digest-argument";
import { kindOf, openTarget, type OpenRegion, type OpenTarget, type TargetOptions } from "./target";

export interface PushOptions extends TargetOptions {
  readonly file: string;
  readonly target: string;
  readonly exact?: boolean;
  readonly format?: "raw" | "qcow2";
  readonly digest?: string;
  readonly cap?: string;
  readonly window?: readonly string[];
  readonly streams?: number;
  readonly dryRun?: boolean;
  readonly every?: string;
  readonly json?: boolean;
  readonly parent?: string;
  readonly encrypted?: boolean;
  readonly kmsKey?: string;
}

type Target = OpenTarget | OpenRegion;

/** What was done. `snapshotId` where the image became one. */
type Pushed = Omit<PushResult, "segments"> & { readonly elapsedMs: number; readonly snapshotId?: string };

const SHORTEST_INTERVAL_MS = 1_000;

/** Brings an image to a target; with `every`, again and again. */
export async function run(options: PushOptions): Promise<number> {
  const settings = reading(() => settingsOf(options));
  kindOf(options.target);
  const { context, display } = commandContext();
  const tell = (line: string) => display.tell(line);
  const once = async (use: (target: Target) => Promise<void>) => {
    const peek = options.dryRun === true;
    const target = await openTarget(options.target, { ...options, peek }, tell, context.signal);
    try {
      await use(target);
    } finally {
      display.end();
      await target.close();
    }
  };
  try {
    if (options.dryRun) await once((target) => estimate(options, settings, target, context));
    else if (settings.everyMs === undefined) await once((target) => push(options, settings, target, context));
    else await pushAgainAndAgain(options, settings, settings.everyMs, once, context);
    return EXIT.ok;
  } catch (error) {
    display.end();
    if (!(error instanceof AbortedError) || options.dryRun) throw error;
    display.tell("what has arrived is kept: the same command goes on with it");
    throw error;
  }
}

interface Settings {
  readonly digest?: string;
  readonly bandwidth: readonly BandwidthPlan[];
  readonly streams?: { readonly start: number; readonly max: number };
  readonly everyMs?: number;
}

/** @throws SpillwayError, SpillwayErrors */
function settingsOf({ digest, cap, window, streams, every, dryRun }: PushOptions): Settings {
  const text = {
    ...(cap === undefined ? {} : { cap }),
    ...(window === undefined ? {} : { windows: window }),
  };
  const everyMs = every === undefined ? undefined : parseDurationMs(every);
  if (every !== undefined && (everyMs === undefined || everyMs < SHORTEST_INTERVAL_MS || dryRun)) {
    throw new SpillwayError({
      place: "--every",
      problem: dryRun
        ? "`--every` with `--dry-run`"
        : `\`--every\` must be a duration of at least 1 s, got "${every}"`,
      mend: dryRun ? "Leave one of them out." : "For example: --every 6h",
    });
  }
  return {
    digest: digest === undefined ? undefined : digestArgument(digest),
    bandwidth: cap === undefined && window === undefined ? [] : [parseBandwidth(text, "--cap, --window")],
    streams: streams === undefined ? undefined : { start: streams, max: streams },
    everyMs,
  };
}

async function pushTo(
  options: PushOptions,
  { digest, bandwidth, streams }: Settings,
  target: Target,
  context: StepContext,
): Promise<Pushed> {
  const startedAt = Date.now();
  const { file, exact, format } = options;
  const source = resolve(file);
  const what = { source, exact, format };
  if ("snapshots" in target) {
    const made = await pushSnapshot({
      ...{ ...what, digest, context, bandwidth, service: target.snapshots, streams: streams?.max },
      settings: snapshotSettings(options),
    });
    return { ...made, elapsedMs: Date.now() - startedAt };
  }
  const { name, keepIndex } = target;
  const into = { target: target.target, targetName: name };
  const result = await pushImage({ ...what, ...into, digest, context, streams, bandwidth });
  if (keepIndex) {
    const { digest: pushed, indexPath } = await indexImage({ ...what, context });
    if (pushed === result.digest) await keepIndex(pushed, indexPath, context.signal);
  }
  return { ...result, elapsedMs: Date.now() - startedAt };
}

function snapshotSettings({ parent, encrypted, kmsKey }: PushOptions): SnapshotSettings {
  return { parentId: parent, encrypted, kmsKeyId: kmsKey };
}

async function push(options: PushOptions, settings: Settings, target: Target, context: StepContext) {
  const result = await pushTo(options, settings, target, context);
  // What is on the terminal is the bar: it goes before the last word.
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  process.stdout.write(
    options.json
      ? jsonLine({ ok: true, file: options.file, target: target.name, ...result })
      : `${result.snapshotId ? `${result.snapshotId} ` : ""}${result.digest}\n${sentText(result)}\n`,
  );
}

async function pushAgainAndAgain(
  options: PushOptions,
  settings: Settings,
  everyMs: number,
  once: (use: (target: Target) => Promise<void>) => Promise<void>,
  context: StepContext,
): Promise<void> {
  // Later on a file may be away for a moment, while it is replaced; one that is not there at first is a wrong name.
  await openImageSource(resolve(options.file), { format: options.format }).then((source) => source.close());
  for (;;) {
    const startedAt = Date.now();
    const at = new Date(startedAt).toISOString();
    try {
      await once(async (target) => {
        const { parts: _, ...result } = await pushTo(options, settings, target, context);
        const text = `${at} ${result.digest}: ${sentText(result)}`;
        process.stdout.write(
          options.json ? jsonLine({ ok: true, at, target: target.name, ...result }) : `${text}\n`,
        );
      });
    } catch (error) {
      if (context.signal.aborted) throw new AbortedError("stopped");
      // A link that is down, or a file that is being written, may be well again the next time.
      printError(error, options.json === true);
    }
    await sleep(Math.max(1_000, startedAt + everyMs - Date.now()), context.signal);
  }
}

function sentText(
  result: Pick<PushResult, "sizeBytes" | "inUseBytes" | "sentBytes" | "presentBytes"> & {
    readonly elapsedMs: number;
  },
): string {
  const { sizeBytes, inUseBytes, sentBytes, presentBytes, elapsedMs } = result;
  const rate = elapsedMs > 0 ? ` (${((sentBytes * 8) / 1_000 / elapsedMs).toFixed(1)} Mbit/s)` : "";
  const there = presentBytes > 0 ? `, ${formatBytes(presentBytes)} were there already` : "";
  return `${formatBytes(sizeBytes)}, ${formatBytes(inUseBytes)} in use: sent ${formatBytes(sentBytes)} in ${formatDuration(elapsedMs)}${rate}${there}`;
}

async function estimate(options: PushOptions, { digest }: Settings, target: Target, context: StepContext) {
  const { file, exact, format, json } = options;
  const what = { source: resolve(file), exact, format, digest, context, pin: false };
  const isRegion = "snapshots" in target;
  const preview = isRegion
    ? await previewSnapshot({
        ...{ ...what, service: target.snapshots, settings: snapshotSettings(options) },
      })
    : await estimateTransfer({ ...what, target: target.target, targetName: target.name });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const { totalBytes, presentBytes, sendBytes, etaMs, rateBps, rateIs } = preview.estimate;
  process.stdout.write(
    json
      ? jsonLine({
          ok: true,
          dryRun: true,
          file,
          target: target.name,
          digest: preview.digest,
          sizeBytes: preview.sizeBytes,
          inUseBytes: preview.inUseBytes,
          estimate: preview.estimate,
        })
      : `${preview.digest}\n${formatBytes(totalBytes)}, ${formatBytes(preview.inUseBytes)} in use: would send ${formatBytes(sendBytes)} (${isRegion ? "whole blocks" : "before packing"}), ${formatBytes(presentBytes)} are there; about ${formatDuration(etaMs)} at ${formatCap(Math.round(rateBps))} (${rateIs})\n`,
  );
}
