import type { HaproxyOptions } from "../../providers/haproxy";
import type { PowerDnsOptions } from "../../providers/powerdns";
import type { Rfc2136Options } from "../../providers/rfc2136";

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** The local balancer of a site. */
export type BalancerConfig =
  { readonly kind: "embedded" } | ({ readonly kind: "haproxy" } & Omit<HaproxyOptions, "stateDir">);

/** The authoritative server of the global name. */
export type NameServerConfig =
  | { readonly kind: "embedded"; readonly listen: HostAndPort }
  | { readonly kind: "powerdns"; readonly options: PowerDnsOptions }
  | { readonly kind: "rfc2136"; readonly options: Rfc2136Options };

/** Where the site's own PromQL is asked. */
export interface PrometheusConfig {
  readonly endpoint: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly allowPlainHttp?: boolean;
}

/** How a site's agent runs, and on what. Paths are absolute. */
export interface AgentConfig {
  readonly site: string;
  readonly stateDir: string;
  readonly listen: HostAndPort;
  readonly tokenFile: string;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly retainImages?: number | "all";
  readonly balancer: BalancerConfig;
  readonly nameServer?: NameServerConfig;
  readonly prometheus?: PrometheusConfig;
  /** Images become EBS snapshots, with the credentials of the agent's environment. */
  readonly ebs?: { readonly region?: string };
}

/** What the command line said: it wins over the file. Paths are absolute. */
export type AgentFlags = Partial<
  Pick<AgentConfig, "site" | "stateDir" | "listen" | "tokenFile" | "tls" | "retainImages">
> & { readonly nameServer?: HostAndPort };

/** Where an agent's API is when nobody says where. */
export const DEFAULT_LISTEN: HostAndPort = { host: "127.0.0.1", port: 7501 };
