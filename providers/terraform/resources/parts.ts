import { SpillwayError, type ProblemReport } from "../../../lib/errors";
import { SiteError } from "../../../lib/site/client";
import { Diagnostics, type ResourceContext } from "../plugin";
import type { Client } from "./client";
import { BRIEFLY } from "./patience";

/**
 * Refuses to plan a pool at a site whose balancer cannot do its work (a socket without admin level, a port that is taken). Of an agent
 * that says nothing, is too old to know, or may not be asked for want of a token, nothing is said.
 * @throws Diagnostics with all that is wrong
 */
export async function refuseBrokenBalancer(site: string, ctx: ResourceContext<Client>): Promise<void> {
  const problems = await ctx.client.balancerProblems(site, () => look(site, ctx));
  if (problems.length === 0) return;
  throw new Diagnostics(problems.map((report) => new SpillwayError({ ...report, attribute: ["site"] })));
}

async function look(
  site: string,
  { client, signal }: ResourceContext<Client>,
): Promise<readonly ProblemReport[]> {
  if (client.silenceOf(site) !== undefined) return [];
  try {
    const { parts } = await client.sites.get(site).parts({ ...BRIEFLY, signal });
    return parts.filter(({ part }) => part === "balancer").flatMap((one) => one.problems);
  } catch (error) {
    if (!(error instanceof SiteError)) throw error;
    if (error.isSilence) client.noteSilence(site, error.report.problem);
    else if (error.code !== "not-an-agent" && error.code !== "no-token") throw error;
    return [];
  }
}
