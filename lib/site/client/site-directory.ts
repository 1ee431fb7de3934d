import type { SiteEndpoint } from "../../hook/manifest";
import { unknownSite } from "./errors";
import { SiteClient } from "./site-client";
import type { TransportOptions } from "./transport";

/** The sites by name. Clients are made when first asked for, and share their connections. */
export class SiteDirectory {
  private readonly clients = new Map<string, SiteClient>();

  constructor(
    private readonly endpoints: Readonly<Record<string, SiteEndpoint>>,
    private readonly options?: TransportOptions,
  ) {}

  /** Known names, sorted. */
  get names(): readonly string[] {
    return Object.keys(this.endpoints).sort();
  }

  has(site: string): boolean {
    return Object.hasOwn(this.endpoints, site);
  }

  /** @throws SpillwayError naming the known sites, for one that is not configured */
  get(site: string): SiteClient {
    let client = this.clients.get(site);
    if (client) return client;
    const endpoint = this.has(site) ? this.endpoints[site] : undefined;
    if (!endpoint) throw unknownSite(site, this.names);
    client = new SiteClient(site, endpoint, this.options);
    this.clients.set(site, client);
    return client;
  }

  /** Closes idle connections. */
  close(): void {
    for (const client of this.clients.values()) client.close();
  }
}
