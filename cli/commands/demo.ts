import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { formatBytes, formatDuration } from "../../lib/duration";
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
  const startedAt = Date.now();
  const dir = mkdtempSync(join(tmpdir(), "spillway-demo-"));
  const stream = options.json ? process.stderr : process.stdout;
  const timeline = createTimeline({ stream, startedAt });
  try {
    const record = await runDemo({
      dir,
      imageBytes: options.imageMb * 1e6,
      seconds: options.seconds,
      timeline,
      startedAt,
      signal: interruptSignal(),
    });
    const report = resolve(options.report);
    writeFileSync(report, renderReport(record));
    stream.write(`\n${summary(record)}\nreport: ${report}\n`);
    if (options.json) process.stdout.write(`${JSON.stringify(asJson(record))}\n`);
    const { failed, sessionsAtTakeDown } = record.totals;
    return failed === 0 && sessionsAtTakeDown === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    if (options.keep) stream.write(`kept: ${dir}\n`);
    else rmSync(dir, { recursive: true, force: true });
  }
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
