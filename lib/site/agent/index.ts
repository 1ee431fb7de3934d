export { agentProcess, startAgent, type AgentOptions, type RunningAgent } from "./agent";
export { endSite } from "./end-site";
export type { ListenOptions, TlsFiles } from "./server";
