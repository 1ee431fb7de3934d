import { AbortedError, SpillwayError, messageOf } from "../lib/errors";

/** What a command ends with. Documented in `spillway --help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Prints an error as place, problem and mend, or as one JSON object, and returns the exit code that fits it. */
export function printError(error: unknown, json: boolean): number {
  if (error instanceof AbortedError) {
    if (!json) process.stderr.write("stopped\n");
    return EXIT.interrupted;
  }
  const reports = reportsOf(error);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ok: false, errors: reports })}\n`);
    return EXIT.failed;
  }
  for (const report of reports) {
    process.stderr.write(`error: ${report.problem}\n`);
    if (report.place) process.stderr.write(`  at:   ${report.place}\n`);
    if (report.mend) process.stderr.write(`  mend: ${report.mend}\n`);
  }
  return EXIT.failed;
}

function reportsOf(error: unknown): { place: string; problem: string; mend: string }[] {
  if (error instanceof AggregateError) return error.errors.flatMap(reportsOf);
  if (error instanceof SpillwayError) {
    const { place, problem, mend } = error.report;
    return [{ place, problem, mend }];
  }
  return [{ place: "", problem: messageOf(error), mend: "" }];
}

/** A plain table: columns as wide as their widest cell, two spaces between. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)),
    [],
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A signal that fires on Ctrl-C or SIGTERM. A second Ctrl-C ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort();
    });
  }
  return controller.signal;
}
