export type {
  AgentConfig,
  AgentFlags,
  BalancerConfig,
  HostAndPort,
  NameServerConfig,
  PrometheusConfig,
} from "./config";
export { DEFAULT_LISTEN } from "./config";
export { checkParts } from "./check-parts";
export { loadAgentConfig } from "./load-config";
export { portsOf } from "./ports";
