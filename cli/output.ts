import { AbortedError, SpillwayError, messageOf } from "../lib/errors";

/** What a command ends with. Documented in `spillway --help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** What was typed cannot be meant: the command ends with {@link EXIT}.usage. The cause says what, and how to mend it. */
export class UsageError extends Error {
  constructor(override readonly cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

/** Reads arguments: what is thrown is wrong usage. @throws UsageError */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error);
  }
}

/** Control characters but newline and tab would tell a terminal to do things: what comes from elsewhere must not. */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, "\ufffd");
}

/** Prints an error as place, problem and mend, or as one JSON object, and returns the exit code that fits it. */
export function printError(error: unknown, json: boolean): number {
  if (error instanceof AbortedError) {
    if (json) tellAsJson([{ place: "", problem: "stopped", mend: "" }]);
    else process.stderr.write("stopped\n");
    return EXIT.interrupted;
  }
  const code = error instanceof UsageError ? EXIT.usage : EXIT.failed;
  const reports = reportsOf(error);
  if (json) {
    tellAsJson(reports);
    return code;
  }
  for (const report of reports) {
    process.stderr.write(`error: ${printable(report.problem)}\n`);
    if (report.place) process.stderr.write(`  at:   ${printable(report.place)}\n`);
    if (report.mend) process.stderr.write(`  mend: ${printable(report.mend)}\n`);
  }
  return code;
}

/** What commander found wrong with the command line, which it has said on stderr. */
export function printUsageError(message: string, json: boolean): number {
  const problem = message.replace(/^error: /, "");
  if (json)
    tellAsJson([{ place: "command line", problem, mend: "Run it with --help to see what it takes." }]);
  return EXIT.usage;
}

interface Report {
  readonly place: string;
  readonly problem: string;
  readonly mend: string;
}

function tellAsJson(errors: readonly Report[]): void {
  process.stdout.write(jsonLine({ ok: false, errors }));
}

/** One line of JSON that may be shown on a terminal: JSON.stringify leaves DEL and the C1 control characters as they are. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value).replace(/\p{Cc}/gu, escaped)}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Anything thrown as place, problem and mend; several problems found together one by one. */
export function reportsOf(error: unknown): Report[] {
  if (error instanceof UsageError) return reportsOf(error.cause);
  if (error instanceof AggregateError) return error.errors.flatMap(reportsOf);
  if (error instanceof SpillwayError) {
    const { place, problem, mend } = error.report;
    return [{ place, problem, mend }];
  }
  return [{ place: "", problem: messageOf(error), mend: "" }];
}

/** A plain table: columns as wide as their widest cell, two spaces between. */
export function table(cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map(printable));
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

/**
 * A signal that fires on Ctrl-C, SIGTERM, or when the terminal is closed. A second one ends the process at once, but for the closing of
 * the terminal, which often comes twice.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && name !== "SIGHUP") process.exit(EXIT.interrupted);
      controller.abort();
    });
  }
  return controller.signal;
}

/** Waits for it; returns at once when it has fired already. */
export async function interrupted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((stopped) => signal.addEventListener("abort", () => stopped(), { once: true }));
}

/**
 * Who reads our output may go (`| head`, a closed terminal): what was started must be ended all the same, so that writing on is no
 * reason to die.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}

/** A signal that fires when nobody reads our standard output any more, for what should not go on unseen. */
export function readerGone(): AbortSignal {
  const controller = new AbortController();
  process.stdout.once("error", () => controller.abort());
  return controller.signal;
}
