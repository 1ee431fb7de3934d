export type {
  AgentConfig,
  AgentFlags,
  BalancerConfig,
  HostAndPort,
  NameServerConfig,
  PrometheusConfig,
} from "./config";
export { DEFAULT_LISTEN } from "./config";
export { checkParts, findingsOf } from "./check-parts";
export { agentEndpoint } from "./endpoint";
export { loadAgentConfig } from "./load-config";
export { portsOf } from "./ports";
