export { agentProcess, startAgent, type AgentOptions, type RunningAgent } from "./agent";
export { endSite } from "./end-site";
export { partStatuses } from "./parts";
export type { ListenOptions, TlsFiles } from "./server";
