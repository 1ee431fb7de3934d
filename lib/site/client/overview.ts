import type { SiteContext } from "../api";
import { SiteError } from "./errors";
import type { SiteDirectory } from "./site-directory";

/** A site in a few figures: its pools added up. All 0 when it could not be asked. */
export interface SiteOverview {
  readonly reachable: boolean;
  /** Why it could not be asked. */
  readonly problem?: string;
  readonly members: number;
  readonly membersUp: number;
  readonly sessions: number;
  readonly openConnections: number;
  readonly requestsPerSecond: number;
  /** The highest of its pools. */
  readonly p95Ms: number;
  readonly queued: number;
  /** Bits per second; 0 if unknown. */
  readonly linkBps: number;
}

/**
 * Looks at sites, each once and all at the same time. A site whose agent cannot be asked is no error; a wrong token is.
 * @throws SpillwayError for a site that is not configured
 * @throws AbortedError
 */
export async function siteOverviews(
  sites: SiteDirectory,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<Readonly<Record<string, SiteOverview>>> {
  const clients = names.map((name) => sites.get(name));
  const seen = await Promise.all(
    clients.map(async (client): Promise<[string, SiteOverview]> => {
      try {
        const context = await client.context({ signal, timeoutMs: 5_000, retryBudgetMs: 1_000 });
        return [client.site, overviewOf(context)];
      } catch (error) {
        if (!(error instanceof SiteError) || !(error.isSilence || error.code === "not-an-agent")) throw error;
        return [client.site, { ...NOTHING, problem: error.report.problem }];
      }
    }),
  );
  return Object.fromEntries(seen);
}

const NOTHING: SiteOverview = {
  reachable: false,
  members: 0,
  membersUp: 0,
  sessions: 0,
  openConnections: 0,
  requestsPerSecond: 0,
  p95Ms: 0,
  queued: 0,
  linkBps: 0,
};

function overviewOf({ pools, link }: SiteContext): SiteOverview {
  const all = pools.map(({ traffic }) => traffic);
  const sum = (figure: (traffic: (typeof all)[number]) => number) =>
    all.reduce((total, traffic) => total + figure(traffic), 0);
  return {
    reachable: true,
    members: sum(({ members }) => members),
    membersUp: sum(({ membersUp }) => membersUp),
    sessions: sum(({ sessions }) => sessions),
    openConnections: sum(({ openConnections }) => openConnections),
    requestsPerSecond: sum(({ requestsPerSecond }) => requestsPerSecond),
    p95Ms: Math.max(0, ...all.map(({ latencyMs }) => latencyMs.p95)),
    queued: sum(({ queued }) => queued),
    linkBps: link.rateBps,
  };
}
