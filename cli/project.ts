import { join } from "node:path";
import { loadManifests, type SiteEndpoint } from "../lib/hook";
import { readLabInfo } from "./lab/info";

/**
 * The sites that this folder knows: those of the bursts declared here and, where none is declared yet, those of a lab that runs here.
 * @throws SpillwayError when it knows none
 */
export function endpointsOf(dir: string): Readonly<Record<string, SiteEndpoint>> {
  const lab = readLabInfo(join(dir, ".spillway")) ?? readLabInfo(dir);
  if (lab) return { ...lab.sites };
  return Object.assign({}, ...loadManifests(dir).map(({ manifest }) => manifest.sites));
}
