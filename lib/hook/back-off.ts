import type { SpillwayError } from "../errors";

/** Failures in a row, and when it is worth trying again. */
export interface BackOff {
  readonly failures: number;
  readonly nextTryAt: number;
  readonly lastProblem?: string;
}

export interface BackOffOptions {
  /** After the first failure. Doubles with each. @default 2000 */
  readonly firstMs?: number;
  /** @default 60000 */
  readonly longestMs?: number;
  /** From that many failures on, tries are `slowMs` apart. @default 6 */
  readonly giveUpAfter?: number;
  /** @default 300000 */
  readonly slowMs?: number;
}

export const NO_FAILURE: BackOff = { failures: 0, nextTryAt: 0 };

/** One more failure. */
export function afterFailure(
  before: BackOff,
  problem: string,
  now: number,
  options: BackOffOptions = {},
): BackOff {
  const failures = before.failures + 1;
  const doubled = (options.firstMs ?? 2_000) * 2 ** Math.min(failures - 1, 30);
  const waitMs = hasGivenUp(failures, options)
    ? (options.slowMs ?? 300_000)
    : Math.min(doubled, options.longestMs ?? 60_000);
  return { failures, nextTryAt: now + waitMs, lastProblem: problem };
}

/** Has it failed so often that it is only tried now and then? */
export function hasGivenUp(failures: number, options: BackOffOptions = {}): boolean {
  return failures >= (options.giveUpAfter ?? 6);
}

/** One line: what is wrong, and what to do. */
export function withMend({ report }: SpillwayError): string {
  return `${report.problem}. ${report.mend.replace(/\.$/, "")}`;
}
