export { runHook } from "./run-hook";
export type { Clock, HookOptions, TerraformSettings } from "./options";
export type {
  BurstManifest,
  BurstObservers,
  BurstPart,
  BurstPlatform,
  BurstPolicy,
  BurstSide,
  PrePosition,
  SideObservers,
  SeedPrices,
  SiteEndpoint,
} from "./manifest";
export {
  loadManifest,
  loadManifests,
  type HookDirectories,
  type LoadedManifest,
  type LoadOptions,
} from "./load-manifest";
export { querySide, type SideFigures, type SideObserver, type SideQueries } from "./side-observer";
export type { CloudPlatform, SeenCloud } from "./cloud-platform";
export { siteObserver, type Observer, type SiteObserverOptions } from "./observe";
export type { HookEvent, ProviderProgress } from "./events";
export type { TerraformEvent, TerraformDiagnostic } from "./terraform-events";
export { findTerraform, type TerraformTool } from "./find-terraform";
export { Terraform, TerraformError, type SavedPlan, type TerraformOptions } from "./terraform";
export { acquireLease, leaseHolder, type Lease, type LeaseHolder, type LeaseOptions } from "./lease";
export { HookMetrics } from "./metrics";
export { serveMetrics, type MetricsServer } from "./metrics-server";
export { Journal, readJournal, type JournalEntry, type JournalFact } from "./journal";
export { readStatus, type HookStatus } from "./status";
export { stateDirectory, type StateDirectory } from "./state-directory";
export { propose, type Proposal, type ProposalOptions } from "./propose";
export { ParametersFile } from "./flip";
export { PrePositioner, type PrePositionStatus, type SeenByLoop } from "./pre-positioner";
export { imageLink, type ImageLink } from "./image-link";
export { parsePriceTable, PriceBook, type PriceTable } from "../review/cost";
