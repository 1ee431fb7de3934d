import { SiteError, type CallOptions } from "../../../lib/site/client";
import type { ResourceContext } from "../plugin";
import type { Client } from "./client";

/** A refresh asks for this long only: a plan must stay bearable while a site is dead. */
export const BRIEFLY: CallOptions = { timeoutMs: 3_000, retryBudgetMs: 3_000 };

/**
 * Looks at what a site holds of a resource. An agent that says nothing has not said that the resource is gone: the state is kept as it
 * is, with a warning that names the site, so that a dead site can be taken out of a record.
 * @param look undefined or null when the resource is gone
 * @throws SiteError of an agent that answers, and says no (a wrong token)
 */
export async function keptThroughSilence<S>(
  site: string,
  state: S,
  ctx: ResourceContext<Client>,
  look: (options: CallOptions) => Promise<S | null>,
): Promise<S | null> {
  let problem = ctx.client.silenceOf(site);
  if (problem === undefined) {
    try {
      return await look({ ...BRIEFLY, signal: ctx.signal });
    } catch (error) {
      if (!(error instanceof SiteError) || !error.isSilence) throw error;
      problem = error.report.problem;
      // An agent that lacks a part answers for everything else.
      if (error.code !== "part-unavailable") ctx.client.noteSilence(site, problem);
    }
  }
  ctx.warn(`Site "${site}" cannot be asked: what the state says of it is kept`, {
    detail: `${problem.charAt(0).toUpperCase()}${problem.slice(1)}. Silence is not absence, so nothing there is planned anew because of it. Records at other sites can be changed; what is to be changed or destroyed at this one needs its agent: a gate waits for it until its \`timeouts.delete\`.`,
    path: ["site"],
  });
  return state;
}
