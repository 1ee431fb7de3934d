import { takeCookie } from "./affinity";

/** What the balancer needs of a request's head, and the headers that go on to the member. */
export interface RequestHead {
  /** Names and values in turn, as `http.request` takes them. */
  readonly headers: string[];
  readonly hasBody: boolean;
  /** Asked by the site's own prober: nobody's user. */
  readonly isProbe: boolean;
  /** As the client wrote it. */
  readonly host: string | undefined;
  readonly affinityCookie: string | undefined;
  /** Why the request must be refused, if it must. */
  readonly refusal: string | undefined;
}

/** The header that marks probes. Users' clients could send it too, so it counts only with the pool's own key as its value. */
export const PROBE_HEADER = "x-spillway-probe";

// RFC 9110, 7.6.1: they belong to one connection. `transfer-encoding` too: each side's own parser frames its bodies.
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

// A client may name any header in `Connection`; these must reach the member all the same, or what it relies on is undone.
const NEVER_DROPPED = new Set([
  "authorization",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "host",
  "x-forwarded-for",
  "x-forwarded-proto",
]);

const WITHOUT_LENGTH = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);

/**
 * Reads a request's head in one pass. `cookie` is the affinity cookie's name, when there is affinity; `probeKey` what a probe must
 * carry to be believed, when anybody may probe.
 */
export function requestHead(
  method: string,
  raw: readonly string[],
  client: { readonly remoteAddress: string; readonly localHost: string },
  cookie: string | undefined,
  probeKey?: string,
): RequestHead {
  const headers: string[] = [];
  let forwardedFor = "";
  let forwardedProto = false;
  let chunked = false;
  let length: string | undefined;
  let isProbe = false;
  let hosts = 0;
  let host: string | undefined;
  let affinityCookie: string | undefined;
  let named: string | undefined;

  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index].toLowerCase();
    const value = raw[index + 1];
    switch (name) {
      case "connection":
        if (!isPlain(value)) named = named === undefined ? value : `${named},${value}`;
        continue;
      case "transfer-encoding":
        chunked = true;
        continue;
      case "content-length":
        length = value;
        continue;
      case "host":
        hosts += 1;
        host = value;
        break;
      case "x-forwarded-for":
        forwardedFor += `${value}, `;
        continue;
      case "x-forwarded-proto":
        forwardedProto = true;
        break;
      case PROBE_HEADER:
        // Members hear it from their monitor only.
        isProbe = probeKey !== undefined && value === probeKey;
        continue;
      case "cookie":
        if (cookie !== undefined) {
          const taken = takeCookie(value, cookie);
          affinityCookie ??= taken.value;
          if (taken.rest !== "") headers.push(raw[index], taken.rest);
          continue;
        }
        break;
      default:
        if (HOP_BY_HOP.has(name)) continue;
    }
    headers.push(raw[index], value);
  }
  // Only HTTP/1.0 clients may leave it out; the member is asked in HTTP/1.1.
  if (hosts === 0) headers.push("Host", client.localHost);
  headers.push("X-Forwarded-For", forwardedFor + client.remoteAddress);
  if (!forwardedProto) headers.push("X-Forwarded-Proto", "http");
  // One framing at most, and the one that the parser went by.
  if (chunked) headers.push("Transfer-Encoding", "chunked");
  else if (length !== undefined) headers.push("Content-Length", length);
  else if (!WITHOUT_LENGTH.has(method)) headers.push("Content-Length", "0");
  return {
    headers: named === undefined ? headers : withoutNamed(headers, named),
    hasBody: chunked || (length !== undefined && length !== "0"),
    isProbe,
    host,
    affinityCookie,
    refusal: hosts > 1 ? "more than one Host header" : undefined,
  };
}

/** An answer's headers for the client: what belongs to the member's own connection is left out. */
export function answerHeaders(raw: readonly string[]): string[] {
  const headers: string[] = [];
  let named: string | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index].toLowerCase();
    if (HOP_BY_HOP.has(name)) {
      if (name === "connection" && !isPlain(raw[index + 1])) named = raw[index + 1];
      continue;
    }
    headers.push(raw[index], raw[index + 1]);
  }
  return named === undefined ? headers : withoutNamed(headers, named);
}

/** Does this `Connection` header only say what nearly all say, and name no header? */
function isPlain(connection: string): boolean {
  return connection === "keep-alive" || connection === "close" || connection === "Keep-Alive";
}

/** Drops the headers that a `Connection` header of more than `keep-alive` or `close` names. */
function withoutNamed(headers: readonly string[], connection: string): string[] {
  const names = new Set(
    connection
      .toLowerCase()
      .split(",")
      .map((name) => name.trim())
      .filter((name) => !NEVER_DROPPED.has(name)),
  );
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    if (!names.has(headers[index].toLowerCase())) kept.push(headers[index], headers[index + 1]);
  }
  return kept;
}
