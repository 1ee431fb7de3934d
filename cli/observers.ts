import { SpillwayError } from "../lib/errors";
import {
  querySide,
  type BurstManifest,
  type BurstObservers,
  type CloudPlatform,
  type SideObserver,
  type SideObservers,
} from "../lib/hook";
import { observeHaproxy } from "../providers/haproxy";
import { PrometheusObserver } from "../providers/prometheus";

/** The hook's other eyes, as a manifest declares them. Asks nobody yet. @throws SpillwayError for options that make no sense */
export function sideObservers(declared: BurstObservers | undefined): {
  readonly onPrem: readonly SideObserver[];
  readonly cloud: readonly SideObserver[];
} {
  const prometheus = declared?.prometheus && new PrometheusObserver(declared.prometheus);
  return { onPrem: eyesOf(declared?.onPrem, prometheus), cloud: eyesOf(declared?.cloud, prometheus) };
}

/** Who sees the cloud side of a burst whose cloud has no agent; undefined when it has one. Asks nobody yet. */
export async function cloudPlatform(manifest: BurstManifest): Promise<CloudPlatform | undefined> {
  const { platform } = manifest;
  if (!platform) return undefined;
  // Its clients are large, and most bursts have no need of them.
  const { AwsCloud } = await import("../providers/aws/observers/index.js");
  return new AwsCloud({ ...manifest, platform });
}

function eyesOf(
  side: SideObservers | undefined,
  prometheus: PrometheusObserver | undefined,
): readonly SideObserver[] {
  if (!side) return [];
  const { haproxy, ...queries } = side;
  return [
    ...(haproxy ? [haproxySide(haproxy)] : []),
    ...(prometheus && Object.keys(queries).length > 0 ? [querySide(prometheus, queries)] : []),
  ];
}

/** A HAProxy that Spillway does not manage; it has no quantiles, so the latency stays the agent's. */
function haproxySide(at: NonNullable<SideObservers["haproxy"]>): SideObserver {
  return async (signal) => {
    const seen = await observeHaproxy({ socket: at.socket }, at, { signal, timeoutMs: 2_000 });
    if (!seen) {
      throw new SpillwayError({
        place: at.socket,
        problem: `HAProxy there has no backend "${at.backend}"`,
        mend: "Correct `haproxy.backend` of the burst's observers.",
      });
    }
    const { requestsPerSecond, members, membersUp, queued, failedTotal, inFlight } = seen;
    const openConnections = seen.openConnections ?? inFlight + queued;
    const sessions = openConnections;
    return {
      demandRps: requestsPerSecond,
      members,
      membersUp,
      queued,
      failedTotal,
      openConnections,
      sessions,
    };
  };
}
