import { performance } from "node:perf_hooks";
import { readFileSync } from "node:fs";
import type { SiteEndpoint } from "../../hook/manifest";
import { messageOf } from "../../errors";
import { noToken } from "./errors";

/** A token, and where it came from (to be named in errors; the token itself never is). */
export interface FoundToken {
  readonly token: string;
  readonly source: string;
}

/** The environment variables looked into, in order, when a site names neither file nor variable. */
export function defaultTokenVariables(site: string): readonly string[] {
  return [`SPILLWAY_TOKEN_${site.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`, "SPILLWAY_TOKEN"];
}

/** Reading a file for each of a thousand requests in a row would cost more than the requests. */
const FRESH_MS = 1_000;

/** A site's token, read again and again, so that a changed one needs no restart. */
export class TokenSource {
  private found: FoundToken | undefined;
  private foundAt = 0;

  constructor(
    private readonly site: string,
    private readonly endpoint: SiteEndpoint,
  ) {}

  /** @throws SiteError `no-token` */
  get(): FoundToken {
    const isFile = this.endpoint.tokenFile !== undefined;
    if (isFile && this.found && performance.now() - this.foundAt < FRESH_MS) return this.found;
    return this.read();
  }

  /** The token as it is now, if it is another than that one. */
  newerThan(old: FoundToken): FoundToken | undefined {
    const present = this.read();
    return present.token === old.token ? undefined : present;
  }

  private read(): FoundToken {
    this.found = findToken(this.site, this.endpoint);
    this.foundAt = performance.now();
    return this.found;
  }
}

/** @throws SiteError `no-token` */
function findToken(site: string, endpoint: SiteEndpoint): FoundToken {
  if (endpoint.tokenFile !== undefined) {
    const source = `file ${endpoint.tokenFile}`;
    let text: string;
    try {
      text = readFileSync(endpoint.tokenFile, "utf8");
    } catch (error) {
      throw noToken(
        site,
        `the token file "${endpoint.tokenFile}" of site "${site}" cannot be read: ${messageOf(error)}`,
        "Put the agent's token into that file, or correct the site's `token_file`.",
      );
    }
    return checked(site, text, source);
  }
  const names = endpoint.tokenEnv !== undefined ? [endpoint.tokenEnv] : defaultTokenVariables(site);
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined && value.trim() !== "")
      return checked(site, value, `environment variable ${name}`);
  }
  throw noToken(
    site,
    `there is no token for site "${site}": ${names.join(" and ")} ${names.length > 1 ? "are" : "is"} not set`,
    "Set the variable, or name a file with `token_file` in the site's entry.",
  );
}

function checked(site: string, text: string, source: string): FoundToken {
  const token = text.trim();
  if (/^[\x21-\x7e]+$/.test(token)) return { token, source };
  throw noToken(
    site,
    `the token in ${source} is ${token === "" ? "empty" : "not one line of printable characters"}`,
    "Put the token the agent was started with there, and nothing else.",
  );
}
