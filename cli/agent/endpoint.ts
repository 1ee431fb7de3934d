import { isIPv6 } from "node:net";
import type { SiteEndpoint } from "../../lib/hook/manifest";
import type { AgentConfig } from "./config";

/** How a command on the agent's machine reaches its API. An agent that listens everywhere is asked on loopback. */
export function agentEndpoint(config: AgentConfig, endpoint?: string): SiteEndpoint {
  const { listen, tls, tokenFile } = config;
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[listen.host] ?? listen.host;
  const own = `${tls ? "https" : "http"}://${isIPv6(host) ? `[${host}]` : host}:${listen.port}`;
  return { endpoint: endpoint ?? own, tokenFile, ...(tls && { caFile: tls.certFile }) };
}
