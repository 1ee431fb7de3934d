import { SpillwayError, type ProblemReport } from "../../lib/errors";
import { isRefusal } from "../../lib/site/agent/problems";
import type { ServerLook } from "./zones";

/** What a look found stays true for so long. */
const FRESH_MS = 1_000;

/** The report of a refusal. @throws what is none: silence, which says nothing of a record */
export function refusalOf(error: unknown): ProblemReport {
  if (error instanceof SpillwayError && isRefusal(error)) return error.report;
  throw error;
}

/** What is wrong with a server, looked at once for all who ask within a second. */
export class Findings {
  private last: { readonly at: number; readonly found: Promise<ServerLook> } | undefined;

  constructor(private readonly look: () => Promise<ServerLook>) {}

  now(): Promise<ServerLook> {
    if (this.last && Date.now() - this.last.at < FRESH_MS) return this.last.found;
    const found = this.look();
    this.last = { at: Date.now(), found };
    found.catch(() => (this.last = undefined));
    return found;
  }
}
