import type { SiteContext, SiteEvent } from "../../lib/site/api";
import type { SiteDirectory } from "../../lib/site/client";
import { sleep } from "../../lib/wait";

export interface SiteWatch {
  readonly contexts: SiteContext[];
  readonly events: { readonly site: string; readonly event: SiteEvent }[];
  /** The newest context of a site. */
  latest(site: string): SiteContext | undefined;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 250;
const LOOK = { timeoutMs: 2_000, retryBudgetMs: 0 };

/** Asks every site four times a second what it sees and what it did. A site that does not answer is asked again next time. */
export function watchSites(
  sites: SiteDirectory,
  onEvent: (site: string, event: SiteEvent) => void,
): SiteWatch {
  const contexts: SiteContext[] = [];
  const events: { site: string; event: SiteEvent }[] = [];
  const newest = new Map<string, SiteContext>();
  const ending = new AbortController();

  const follow = async (site: string) => {
    let last = 0;
    while (!ending.signal.aborted) {
      const began = Date.now();
      try {
        const client = sites.get(site);
        const [context, news] = await Promise.all([client.context(LOOK), client.events(last, LOOK)]);
        contexts.push(context);
        newest.set(site, context);
        last = news.last;
        for (const event of news.events) {
          events.push({ site, event });
          onEvent(site, event);
        }
      } catch {
        // Being restarted, or too busy: the next look tells.
      }
      await sleep(Math.max(10, LOOK_EVERY_MS - (Date.now() - began)), ending.signal).catch(() => undefined);
    }
  };
  const following = Promise.all(sites.names.map(follow));
  return {
    contexts,
    events,
    latest: (site) => newest.get(site),
    stop: async () => {
      ending.abort();
      await following;
    },
  };
}
