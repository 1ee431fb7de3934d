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
