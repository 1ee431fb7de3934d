import { isIP } from "node:net";
import type { SiteEndpoint } from "../hook/manifest";
import { nameRule, refuse, rule, textRule } from "./validate";
import type { Rule } from "./validate";

export interface SiteProps {
  /**
   * Where the site's agent answers: `https://agent.cloud.example:7501`, or plain `http` on a loopback address.
   */
  readonly endpoint: string;
  /**
   * Where users of this site are sent: an IPv4 address, an IPv6 address, or a host name. All sites of one record are of one kind.
   */
  readonly address: string;
  /**
   * A file that holds the agent's token. A relative path is taken from the directory that the program is run in.
   * @default - the environment variable of `tokenEnv`
   */
  readonly tokenFile?: string;
  /**
   * The environment variable that holds the agent's token. The token itself is never part of a program, a plan or a state.
   * @default - SPILLWAY_TOKEN_ and the site's name in capitals, then SPILLWAY_TOKEN
   */
  readonly tokenEnv?: string;
  /**
   * PEM file of the authority that signed the agent's certificate.
   * @default - the system's authorities
   */
  readonly caFile?: string;
}

/**
 * A place where members run: on premises, a rented rack, a cloud. A value, not a resource: what a stack uses of it goes into the
 * configuration of the stack's provider by itself.
 *
 * @example
 * const onprem = new Site("onprem", { endpoint: "https://agent.dc.example:7501", address: "192.0.2.10" });
 */
export class Site {
  readonly address: string;
  /** How its agent is reached, with the paths as given. */
  readonly access: SiteEndpoint;

  /** @throws SpillwayError, SpillwayErrors on a bad name or prop */
  constructor(
    /** How records, weights and parameters call it. */
    readonly name: string,
    props: SiteProps,
  ) {
    refuse(`Site ${name}`, [
      nameRule("name", name),
      endpointRule(props.endpoint),
      rule(
        addressKind(props.address) !== undefined,
        "address",
        `must be an IP address or a host name, got ${JSON.stringify(props.address)}`,
        "Give the address that users of this site connect to, without scheme and port.",
      ),
      textRule("tokenFile", props.tokenFile, "Give a path, or leave it out."),
      rule(
        props.tokenEnv === undefined || /^[A-Za-z_][A-Za-z0-9_]*$/.test(props.tokenEnv),
        "tokenEnv",
        `must be the name of an environment variable, got ${JSON.stringify(props.tokenEnv)}`,
        "Give the variable's name, not the token.",
      ),
      rule(
        props.tokenFile === undefined || props.tokenEnv === undefined,
        "tokenEnv",
        "is given beside `tokenFile`",
        "Keep one of the two.",
      ),
    ]);
    this.address = props.address;
    this.access = {
      endpoint: props.endpoint,
      tokenFile: props.tokenFile,
      tokenEnv: props.tokenEnv,
      caFile: props.caFile,
    };
  }
}

/**
 * The record type that answers with this address.
 * @returns undefined if it is neither an address nor a host name
 * @internal
 */
export function addressKind(address: string): "A" | "AAAA" | "CNAME" | undefined {
  const version = isIP(address);
  if (version !== 0) return version === 4 ? "A" : "AAAA";
  return isHostName(address) ? "CNAME" : undefined;
}

/**
 * A full host name (RFC 1123; underscores are taken too): at least two labels, the last of which is no number, lest a mistyped
 * address pass for one.
 * @internal
 */
export function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, "").split(".");
  return (
    text.length <= 254 &&
    labels.length >= 2 &&
    labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? "")
  );
}

function endpointRule(endpoint: string): Rule {
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    return badEndpoint(`must be a URL, got ${shown(endpoint)}`, "Write it as https://HOST:7501.");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return badEndpoint(`must be https or http, got ${shown(endpoint)}`, "Write it as https://HOST:7501.");
  }
  if (url.username || url.password || url.search || url.hash || url.pathname !== "/") {
    return badEndpoint(
      `must be scheme, host and port only, got ${shown(endpoint)}`,
      "The token goes into `tokenFile` or `tokenEnv`.",
    );
  }
  if (url.protocol === "https:") return undefined;
  const loopback = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(url.hostname);
  return loopback
    ? undefined
    : badEndpoint(
        `would send the token over the network in clear, got ${shown(endpoint)}`,
        "Use https; plain http is for loopback addresses.",
      );
}

/** Somebody may have written a password into it. */
function shown(endpoint: string): string {
  return JSON.stringify(endpoint.replace(/[^/]*@/, "...@"));
}

function badEndpoint(problem: string, mend: string): Rule {
  return rule(false, "endpoint", problem, mend);
}
