import { siteOverviews } from "../../../lib/site/client";
import { a, defineDataSource } from "../plugin";
import { askNumber } from "../../../lib/observers";
import { isSiteName } from "./checks";
import type { Client } from "./client";
import { queriesAttribute } from "./prometheus";

const siteNow = {
  reachable: a.bool().computed().describe("Could its agent be asked? If not, every figure is 0."),
  members: a.integer().computed().describe("Members of all its pools."),
  members_up: a.integer().computed().describe("Those of them that are up."),
  sessions: a.integer().computed().describe("Users there now."),
  open_connections: a.integer().computed().describe("Connections that users hold open."),
  requests_per_second: a.number().computed().describe("Mean of the last 2 s."),
  p95_ms: a
    .number()
    .computed()
    .describe("95th percentile of the latency in the last 2 s, milliseconds; the highest of its pools."),
  queued: a.integer().computed().describe("Requests that wait for a member."),
  link_mbps: a
    .number()
    .computed()
    .describe("Rate of the link to it, measured last or assumed; megabits per second."),
};

/** What the observers see now. */
export const context = defineDataSource<Client>()({
  description: "What the sites' agents see now. A site that cannot be reached is no error: it is said.",
  schema: {
    sites: a
      .list(a.string().check(isSiteName))
      .optional()
      .describe("Names of sites. Default: all that the provider knows."),
    sites_now: a.nestedMap(siteNow).computed().describe("By site."),
    queries: queriesAttribute("PromQL by name, each giving one number. None, or several, is an error."),
    values: a.map(a.number()).computed().describe("What `queries` give, by name."),
    at: a.string().computed().describe("When it was read (RFC 3339)."),
  },
  async read({ config }, { client, signal }) {
    const names = config.sites ?? client.sites.names;
    names.forEach((name, at) => client.canAsk(name, ["sites", at]));
    const observer = client.queryObserver(config.queries, "queries");
    const [overviews, values] = await Promise.all([
      siteOverviews(client.sites, names, signal),
      Promise.all(
        Object.entries(config.queries ?? {}).map(async ([name, query]): Promise<[string, number]> => {
          if (!observer) return [name, NaN];
          return [name, await askNumber(observer, query, { signal })];
        }),
      ),
    ]);
    return {
      ...config,
      values: Object.fromEntries(values.filter(([, value]) => Number.isFinite(value))),
      at: new Date().toISOString(),
      sites_now: Object.fromEntries(
        Object.entries(overviews).map(([site, seen]) => [
          site,
          {
            reachable: seen.reachable,
            members: seen.members,
            members_up: seen.membersUp,
            sessions: seen.sessions,
            open_connections: seen.openConnections,
            requests_per_second: rounded(seen.requestsPerSecond),
            p95_ms: rounded(seen.p95Ms),
            queued: seen.queued,
            link_mbps: rounded(seen.linkBps / 1_000_000),
          },
        ]),
      ),
    };
  },
});

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
