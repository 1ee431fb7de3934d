export * from "./constructs";
export * from "./desired";
export * from "./errors";
export type { BurstManifest, BurstPolicy, BurstSide, SiteEndpoint } from "./hook/manifest";
