import { messageOf } from "../../lib/errors";
import { readSecret } from "../dns";
import { normalName } from "../local/nameserver/names";
import { apiUnreachable, NoSuchZone, refusedBy, refusedChange, wrongKey } from "./errors";
import type { Settings } from "./options";

/** One set of records as the API has it. Names end with a dot. */
export interface RrSet {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly records: readonly { readonly content: string; readonly disabled: boolean }[];
}

/** What a zone is to become, all of it or nothing. */
export type RrSetChange =
  | {
      readonly name: string;
      readonly type: string;
      readonly ttl: number;
      readonly contents: readonly string[];
    }
  | { readonly name: string; readonly type: string; readonly contents: undefined };

export interface ZoneView {
  readonly kind: string;
  /** As it is in the database. */
  readonly serial: number;
  /** As it is answered. */
  readonly edited_serial: number;
  readonly soa_edit_api: string;
  readonly rrsets: readonly RrSet[];
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** PowerDNS's HTTP API, as far as it is needed. Names are without the dot at the end. */
export class PowerDnsApi {
  /** @param signal ends each request, besides its own deadline */
  constructor(
    private readonly settings: Settings,
    private readonly signal?: AbortSignal,
  ) {}

  /** Its version, such as `4.7.3`. @throws SpillwayError */
  async version(): Promise<string> {
    const { status, text } = await this.ask("GET", "");
    if (status !== 200) throw this.unexpected(status, text);
    return (JSON.parse(text) as { version: string }).version;
  }

  /** Its configuration. @throws SpillwayError */
  async configuration(): Promise<ReadonlyMap<string, string>> {
    const { status, text } = await this.ask("GET", "/config");
    if (status !== 200) throw this.unexpected(status, text);
    const settings = JSON.parse(text) as readonly { readonly name: string; readonly value: string }[];
    return new Map(settings.map(({ name, value }) => [name, value]));
  }

  /** A zone, with all its sets, with those of one name, or with none. @throws SpillwayError */
  async zone(zone: string, sets: { readonly name: string } | "all" | "none"): Promise<ZoneView> {
    const query =
      sets === "all"
        ? ""
        : sets === "none"
          ? "?rrsets=false"
          : `?rrset_name=${encodeURIComponent(sets.name)}.`;
    const { status, text } = await this.ask("GET", `/zones/${encodeURIComponent(zone)}.${query}`);
    if (status === 404 || status === 422) throw new NoSuchZone(this.settings.api, zone);
    if (status !== 200) throw this.unexpected(status, text);
    const view = JSON.parse(text) as ZoneView;
    const rrsets = view.rrsets ?? [];
    // Some backends (LMDB in 4.7) do not know `rrset_name`, and tell all.
    const own =
      typeof sets === "string" ? rrsets : rrsets.filter(({ name }) => normalName(name) === sets.name);
    return { ...view, rrsets: own };
  }

  /** Changes several sets in one transaction. @throws SpillwayError */
  async change(zone: string, subject: string, changes: readonly RrSetChange[]): Promise<void> {
    const rrsets = changes.map(({ name, type, contents, ...rest }) => ({
      name: `${name}.`,
      type,
      ...(contents === undefined
        ? { changetype: "DELETE" }
        : {
            ...rest,
            changetype: "REPLACE",
            records: contents.map((content) => ({ content, disabled: false })),
          }),
    }));
    const { status, text } = await this.ask("PATCH", `/zones/${encodeURIComponent(zone)}.`, { rrsets });
    if (status === 204 || status === 200) return;
    if (status === 404) throw new NoSuchZone(this.settings.api, zone);
    if (status === 422 || status === 400) throw refusedChange(this.settings.api, subject, reasonOf(text));
    throw this.unexpected(status, text);
  }

  /** Tells the secondaries now, not with the next round. A zone without any is told of as such, which is no trouble. */
  async notify(zone: string): Promise<void> {
    await this.ask("PUT", `/zones/${encodeURIComponent(zone)}./notify`);
  }

  private async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const { api, serverId, apiKey, requestMs } = this.settings;
    const key = readSecret(apiKey, "PowerDNS's API key");
    const timeout = AbortSignal.timeout(requestMs);
    let answer: Answer;
    try {
      const response = await fetch(`${api}/api/v1/servers/${encodeURIComponent(serverId)}${path}`, {
        method,
        // The key goes where it was meant to go, and nowhere else.
        redirect: "manual",
        headers: { "x-api-key": key, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        signal: this.signal ? AbortSignal.any([this.signal, timeout]) : timeout,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      answer = { status: response.status, text: await response.text() };
    } catch (error) {
      throw apiUnreachable(api, whyOf(error), error);
    }
    if (answer.status === 401 || answer.status === 403) throw wrongKey(api);
    return answer;
  }

  private unexpected(status: number, text: string): Error {
    const { api, serverId } = this.settings;
    if (status === 404) {
      return refusedBy({
        place: `PowerDNS at ${api}`,
        problem: `it has no API for server "${serverId}" there (404)`,
        mend: "Set api=yes in its pdns.conf, and give `api` without a path.",
      });
    }
    return apiUnreachable(api, `status ${status}: ${reasonOf(text)}`, undefined);
  }
}

function reasonOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: string };
    if (error !== undefined) return error;
  } catch {
    // Some answers are plain text.
  }
  return text.slice(0, 200);
}

/** fetch hides the reason one level down. */
function whyOf(error: unknown): string {
  const { cause } = error as { readonly cause?: { readonly code?: string; readonly message?: string } };
  return cause?.code ?? cause?.message ?? messageOf(error);
}
