export { agentProcess, startAgent, type AgentOptions, type RunningAgent } from "./agent";
export { declaredPools } from "./declared-pools";
export { endSite } from "./end-site";
export { partStatuses } from "./parts";
export type { ListenOptions, TlsFiles } from "./server";
