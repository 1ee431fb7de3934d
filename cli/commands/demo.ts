import { accessSync, constants, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { formatBytes, formatDuration } from "../../lib/duration";
import { AbortedError, messageOf, SpillwayError } from "../../lib/errors";
import { renderReport, type RunRecord } from "../../lib/report";
import { runDemo } from "../demo/run-demo";
import { createTimeline } from "../demo/timeline";
import { EXIT, interruptSignal } from "../output";

export interface DemoCommandOptions {
  readonly seconds?: number;
  readonly report: string;
  readonly imageMb: number;
  readonly keep?: boolean;
  readonly json?: boolean;
}

/** Runs the demo, writes its report, and fails if anybody was failed. */
export async function run(options: DemoCommandOptions): Promise<number> {
  const report = writable(options.report);
  const startedAt = Date.now();
  const dir = mkdtempSync(join(tmpdir(), "spillway-demo-"));
  // What is remembered of the demo's image is of no use to anybody afterwards.
  process.env.XDG_CACHE_HOME = join(dir, "cache");
  const stream = options.json ? process.stderr : process.stdout;
  const timeline = createTimeline({ stream, startedAt });
  const signal = interruptSignal();
  try {
    const record = await runDemo({
      dir,
      imageBytes: options.imageMb * 1e6,
      seconds: options.seconds,
      timeline,
      startedAt,
      signal,
    });
    writeFileSync(report, renderReport(record));
    stream.write(`\n${summary(record)}\nreport: ${report}\n`);
    if (options.json) process.stdout.write(`${JSON.stringify(asJson(record))}\n`);
    const { failed, sessionsAtTakeDown } = record.totals;
    return failed === 0 && sessionsAtTakeDown === 0 ? EXIT.ok : EXIT.failed;
  } catch (error) {
    // Ctrl-C reaches Terraform as well, which then fails in its own words.
    throw signal.aborted ? new AbortedError("stopped") : error;
  } finally {
    if (options.keep) stream.write(`kept: ${dir}\n`);
    else rmSync(dir, { recursive: true, force: true });
  }
}

/** Two minutes are too long to learn that the report cannot be written. */
function writable(path: string): string {
  const report = resolve(path);
  const refuse = (problem: string, cause?: unknown) =>
    new SpillwayError(
      { place: report, problem, mend: "Give --report the path of a file in a folder that you may write to." },
      { cause },
    );
  try {
    accessSync(dirname(report), constants.W_OK);
  } catch (error) {
    throw refuse(`the report cannot be written there: ${messageOf(error)}`, error);
  }
  if (statSync(report, { throwIfNoEntry: false })?.isDirectory())
    throw refuse("the report would replace a folder");
  return report;
}

function summary({ totals, phases, applies }: RunRecord): string {
  const lasted = phases
    .map(({ name, startMs, endMs }) => `${name} ${formatDuration(endMs - startMs)}`)
    .join(", ");
  return [
    `${totals.requests} requests, ${totals.failed} failed, ${totals.sessionsAtTakeDown} users at the cloud when it was taken down`,
    `image of ${formatBytes(totals.imageBytes)}, ${formatBytes(totals.imageBytesSent)} on the wire; ${applies.length} terraform applies`,
    lasted,
  ].join("\n");
}

function asJson({ totals, phases, applies, decisions }: RunRecord) {
  const { requests, failed, retried, sessionsAtTakeDown, imageBytes, imageBytesSent } = totals;
  return {
    requests,
    failed,
    retried,
    sessionsAtTakeDown,
    imageBytes,
    imageBytesSent,
    phases,
    applies: applies.length,
    decisions,
  };
}
