import { SpillwayError, type ProblemReport } from "../../lib/errors";
import { isRefusal } from "../../lib/site/agent/problems";

/** What a look found stays true for so long. */
const FRESH_MS = 1_000;

/** The report of a refusal. @throws what is none: silence, which says nothing of a record */
export function refusalOf(error: unknown): ProblemReport {
  if (error instanceof SpillwayError && isRefusal(error)) return error.report;
  throw error;
}

/** What is wrong with a server, looked at once for all who ask within a second. */
export class Findings {
  private last: { readonly at: number; readonly problems: Promise<readonly ProblemReport[]> } | undefined;

  constructor(private readonly look: () => Promise<readonly ProblemReport[]>) {}

  now(): Promise<readonly ProblemReport[]> {
    if (this.last && Date.now() - this.last.at < FRESH_MS) return this.last.problems;
    const problems = this.look();
    this.last = { at: Date.now(), problems };
    problems.catch(() => (this.last = undefined));
    return problems;
  }
}
