import { SpillwayError, messageOf } from "../errors";
import type { Observation, SiteObservation } from "../policy";
import type { ImageStatus, SiteContext } from "../site/api";
import { SiteDirectory } from "../site/client";
import { observeCloud, platformWeights, type CloudPlatform } from "./cloud-platform";
import type { BurstManifest, BurstSide } from "./manifest";
import { withOtherEyes, type SideObserver } from "./side-observer";

/** Looks at the world once. */
export type Observer = (signal: AbortSignal) => Promise<Observation>;

export interface SiteObserverOptions {
  readonly manifest: BurstManifest;
  /** @default - clients for the manifest's sites */
  readonly sites?: Pick<SiteDirectory, "get">;
  /** A site that does not answer within that is not reachable. @default 2000 */
  readonly timeoutMs?: number;
  /** Who sees a cloud without an agent. Needed when the manifest names a platform. */
  readonly platform?: CloudPlatform;
  /** Other eyes on the sides; later ones win. @default - none */
  readonly sides?: { readonly onPrem?: readonly SideObserver[]; readonly cloud?: readonly SideObserver[] };
  /** The image that the cloud is to run; undefined (or an undefined answer): the one that the on-premises pool runs. */
  readonly imageDigest?: () => string | undefined;
}

/** An observer that asks the burst's site agents, and a cloud without one through its platform, all at once. It never throws for a
 * silent site. */
export function siteObserver(options: SiteObserverOptions): Observer {
  const { manifest } = options;
  const sites = options.sites ?? new SiteDirectory(manifest.sites);
  return async (signal) => {
    const { nameServerSite } = manifest.record;
    const hasAgent = manifest.platform === undefined;
    const names = new Set([
      manifest.onPrem.site,
      ...(hasAgent ? [manifest.cloud.site] : []),
      ...(nameServerSite === undefined ? [] : [nameServerSite]),
    ]);
    // It asks at the same time as the agents are asked.
    const ofPlatform = hasAgent ? undefined : observeCloud(manifest.cloud, options.platform, signal);
    const weightsOfPlatform =
      nameServerSite === undefined ? platformWeights(options.platform, signal) : undefined;
    // What fails while the agents are still being asked is thrown where it is waited for.
    for (const each of [ofPlatform, weightsOfPlatform]) each?.catch(() => undefined);
    const looks = new Map<string, Look>();
    await Promise.all(
      [...names].map(async (site) =>
        looks.set(site, await lookAt(sites, site, options.timeoutMs ?? 2_000, signal)),
      ),
    );
    const onPremLook = looks.get(manifest.onPrem.site) as Look;
    const cloudLook = looks.get(manifest.cloud.site) ?? {};
    const nameServer = nameServerSite === undefined ? undefined : looks.get(nameServerSite)?.context;
    const seenCloud = (await ofPlatform) ?? siteObservation(manifest.cloud, cloudLook, 0);
    const isThere = hasAgent
      ? (cloudLook.context?.pools.some(({ name }) => name === manifest.cloud.pool) ?? true)
      : !seenCloud.reachable || seenCloud.members > 0;
    const { sides = {} } = options;
    const [onPrem, cloud] = await Promise.all([
      withOtherEyes(
        siteObservation(manifest.onPrem, onPremLook, manifest.onPrem.members),
        sides.onPrem ?? [],
        signal,
      ),
      withOtherEyes(seenCloud, (isThere && sides.cloud) || [], signal),
    ]);
    const isKnown = nameServer !== undefined && nameServer.recordsProblem === undefined;
    const weights =
      nameServerSite === undefined
        ? await weightsOfPlatform
        : isKnown
          ? weightsOf(nameServer, manifest.record.name)
          : undefined;
    return {
      at: Date.now(),
      onPrem,
      cloud,
      demandRps: onPrem.demandRps + cloud.demandRps,
      // What a platform holds of the image, and how fast it comes there, nobody says: its way is part of the launch estimate.
      replicaBytesLeft: hasAgent
        ? bytesLeft(manifest, onPremLook.context, cloudLook.context, options.imageDigest?.())
        : 0,
      dnsTailMs: manifest.record.ttlSeconds * 1_000,
      ...(weights === undefined ? {} : { recordWeights: weights }),
    };
  };
}

interface Look {
  readonly context?: SiteContext;
  readonly problem?: string;
}

async function lookAt(
  sites: Pick<SiteDirectory, "get">,
  site: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Look> {
  try {
    return { context: await sites.get(site).context({ signal, timeoutMs, retryBudgetMs: 0 }) };
  } catch (error) {
    if (signal.aborted) throw error;
    return { problem: error instanceof SpillwayError ? error.report.problem : messageOf(error) };
  }
}

/** @param absent members that count as declared, and down, while the site does not know the pool */
function siteObservation(side: BurstSide, look: Look, absent: number): SiteObservation {
  const traffic = look.context?.pools.find((pool) => pool.name === side.pool)?.traffic;
  return {
    site: side.site,
    reachable: look.context !== undefined,
    ...(look.problem === undefined ? {} : { problem: look.problem }),
    demandRps: traffic?.requestsPerSecond ?? 0,
    members: traffic?.members ?? absent,
    membersUp: traffic?.membersUp ?? 0,
    memberCapacityRps: side.memberCapacityRps,
    sessions: traffic?.sessions ?? 0,
    openConnections: traffic?.openConnections ?? 0,
    queued: traffic?.queued ?? 0,
    p95Ms: traffic?.latencyMs.p95 ?? 0,
    failedTotal: traffic?.failedTotal ?? 0,
    linkBps: look.context?.link.rateBps ?? 0,
  };
}

/** Empty when the name server is there and does not know the record: someone removed it. */
function weightsOf(context: SiteContext, name: string): Readonly<Record<string, number>> {
  const record = context.records.find((candidate) => sameName(candidate.name, name));
  return Object.fromEntries((record?.spec.answers ?? []).map(({ site, weight }) => [site, weight]));
}

function sameName(a: string, b: string): boolean {
  const plain = (name: string) => name.toLowerCase().replace(/\.$/, "");
  return plain(a) === plain(b);
}

/** An upper bound: what the cloud could take over from other images is known to the plan only. */
function bytesLeft(
  manifest: BurstManifest,
  onPrem: SiteContext | undefined,
  cloud: SiteContext | undefined,
  digest: string | undefined,
): number {
  const inUse = (image: ImageStatus) =>
    digest === undefined ? image.usedBy.includes(manifest.onPrem.pool) : image.digest === digest;
  const wanted = onPrem?.images.find(inUse) ?? cloud?.images.find(inUse);
  if (!wanted) return 0;
  const there = cloud?.images.find((image) => image.digest === wanted.digest);
  return there?.complete === true ? 0 : wanted.sizeBytes - (there?.presentBytes ?? 0);
}
