import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NameServer } from "../../../../../lib/site/ports";
import { startSite, type TestSite } from "../../../../support/site";
import { Workspace, type Lab } from "./lab";

/** Sites with name servers of their own, and folders for Terraform. */
export class NamedSites {
  private readonly root = mkdtempSync(join(tmpdir(), "spillway-named-"));
  private readonly sites: TestSite[] = [];

  /** A site whose agent runs in this process. */
  async add(site: string, namedBy: NameServer): Promise<TestSite> {
    const added = await startSite({ site, namedBy });
    this.sites.push(added);
    return added;
  }

  folder(name: string): Promise<Workspace> {
    return Workspace.of({ root: this.root } as Lab, name);
  }

  /** A configuration with these records, and all sites. */
  config(records: Readonly<Record<string, object>>): object {
    const sites = Object.fromEntries(
      this.sites.map(({ site, endpoint, tokenFile }) => [site, { endpoint, token_file: tokenFile }]),
    );
    return {
      terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
      provider: { spillway: { sites } },
      ...(Object.keys(records).length > 0 ? { resource: { spillway_global_record: records } } : {}),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.sites.map((site) => site.close()));
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** What Terraform says, in one line: its frames and line breaks taken out. */
export function plain(text: string): string {
  return text.replace(/[│╷╵]/g, " ").replace(/\s+/g, " ");
}
