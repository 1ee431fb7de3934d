import { SpillwayError, type ProblemReport } from "../../errors";
import type { ApiProblem } from "../../site/api";

/** What a target may say: a site's codes, and those of a target that nobody can ask. */
export type TargetErrorCode = ApiProblem["code"] | "unreachable" | "slow";

/** A place that images are pushed to said no, or said nothing. `code` tells whether another try is worth it. */
export class TargetError extends SpillwayError {
  override readonly name = "TargetError";

  constructor(
    readonly code: TargetErrorCode,
    report: ProblemReport,
    options?: { cause?: unknown },
  ) {
    super(report, options);
  }
}
