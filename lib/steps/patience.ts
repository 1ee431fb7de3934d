import type { CallOptions } from "../site/client";
import { SiteError } from "../site/client";
import type { Look } from "../wait";

/** Looks are repeated by the wait around them, so one look tries once and does not wait long. */
export const ONE_LOOK: CallOptions = { retryBudgetMs: 0, timeoutMs: 5_000 };

/**
 * A look that goes on through silence: an agent that cannot be asked says nothing about its site. `unreachable` is not `gone`, and
 * not `empty` either.
 */
export function throughSilence<T>(site: string, look: () => Promise<Look<T>>): () => Promise<Look<T>> {
  return async () => {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof SiteError) || !error.isSilence) throw error;
      return { done: false, message: `${unasked(site, error)} now; asking again` };
    }
  };
}

/** That a site cannot be asked; where a part of it is away, which and why. */
export function unasked(site: string, { code, report }: SiteError): string {
  const why = code === "part-unavailable" ? ` (${report.problem})` : "";
  return `the agent of site ${site} cannot be asked${why}`;
}

/**
 * Does what must still be done when the work itself was stopped: under a signal of its own, and not for long.
 * @returns what went wrong, if something did
 */
export async function lastAct(act: (options: CallOptions) => Promise<unknown>): Promise<unknown> {
  try {
    await act({ signal: AbortSignal.timeout(8_000), timeoutMs: 3_000, retryBudgetMs: 5_000 });
    return undefined;
  } catch (error) {
    return error;
  }
}
