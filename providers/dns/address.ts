import { isIP, isIPv6 } from "node:net";
import { SpillwayError } from "../../lib/errors";

/** An address on the network, to ask or to send to. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Reads `192.0.2.1:53`, `[2001:db8::1]:53`, or either without a port. @throws SpillwayError */
export function parseHostPort(text: string, defaultPort: number): HostPort {
  if (isIPv6(text)) return { host: text, port: defaultPort };
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const port = found?.[3] === undefined ? defaultPort : Number(found[3]);
  if (found && port > 0 && port < 65_536) return { host: found[1] ?? found[2], port };
  throw new SpillwayError({
    place: `address "${text}"`,
    problem: `"${text}" is not an address with a port`,
    mend: "Write it as 192.0.2.1:53 or [2001:db8::1]:53.",
  });
}

/** As it is written in URLs and shown to people. */
export function formatHostPort({ host, port }: HostPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** Is this host of a URL the machine itself? What is sent there crosses no network. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || (isIP(host) === 4 && host.startsWith("127."));
}
