/** Where, what and how to mend: the three parts every Spillway error has. */
export interface ProblemReport {
  /** Where: a construct path, a resource address, a file, an address on the network. */
  readonly place: string;
  /** What is wrong, with the value received. One sentence. */
  readonly problem: string;
  /** What to do about it. One sentence. */
  readonly mend: string;
  /** The attribute the problem belongs to, outermost first, when there is one (`["monitor", "path"]`). */
  readonly attribute?: readonly (string | number)[];
}

/** An error meant for the person at the terminal: it names the place, the value and the mend. */
export class SpillwayError extends Error {
  override readonly name: string = "SpillwayError";

  constructor(
    readonly report: ProblemReport,
    options?: { cause?: unknown },
  ) {
    super(`${report.problem} (at ${report.place}). ${report.mend}`, options);
  }
}

/** Several problems known at once: a props object, a hand-edited file. Each of `errors` stands for itself. */
export class SpillwayErrors extends AggregateError {
  override readonly name = "SpillwayErrors";
  declare readonly errors: SpillwayError[];

  constructor(reports: readonly ProblemReport[]) {
    const errors = reports.map((report) => new SpillwayError(report));
    // They were found where this was: Node would print the same stack once more for each.
    for (const error of errors) error.stack = `${error.name}: ${error.message}`;
    super(errors, [`${errors.length} problems`, ...errors.map((error) => `  * ${error.message}`)].join("\n"));
  }
}

/**
 * Throws nothing when there is nothing to report.
 * @throws SpillwayError for one problem
 * @throws SpillwayErrors for several
 */
export function throwProblems(reports: readonly ProblemReport[]): void {
  const [first, second] = reports;
  const error = second ? new SpillwayErrors(reports) : first && new SpillwayError(first);
  if (!error) return;
  Error.captureStackTrace(error, throwProblems);
  throw error;
}

/** A wait or a transfer was given up because its signal was aborted (Ctrl-C, the hook, a stopping Terraform). */
export class AbortedError extends Error {
  override readonly name = "AbortedError";
}

/** A wait reached its deadline. `report` says what it waited for and what it saw last. */
export class DeadlineError extends SpillwayError {
  override readonly name = "DeadlineError";
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
