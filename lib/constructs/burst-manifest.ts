import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import type { BurstManifest, SiteEndpoint } from "../hook/manifest";
import type { Site } from "./site";

/** Writes what the hook must know under the root comment key, which Terraform ignores, beside CDKTF's own notes. */
export function writeManifest(scope: Construct, manifest: BurstManifest): void {
  TerraformStack.of(scope).addOverride(`//.spillway.bursts.${manifest.name}`, manifest);
}

/** How each site's agent is reached, by name. */
export function endpointsOf(sites: readonly Site[]): Record<string, SiteEndpoint> {
  const byName = [...sites].sort((a, b) => (a.name < b.name ? -1 : 1));
  return Object.fromEntries(byName.map((site) => [site.name, given(site.access)]));
}

function given(access: SiteEndpoint): SiteEndpoint {
  const entries = Object.entries(access).filter(([, value]) => value !== undefined);
  return { endpoint: access.endpoint, ...Object.fromEntries(entries) };
}
