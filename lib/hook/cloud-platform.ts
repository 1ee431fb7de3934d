import { AbortedError, messageOf, SpillwayError } from "../errors";
import type { SiteObservation } from "../policy";
import type { BurstManifest } from "./manifest";

/** A cloud without an agent, as its platform's own figures show it. */
export interface SeenCloud extends Pick<
  SiteObservation,
  "members" | "membersUp" | "demandRps" | "sessions" | "openConnections" | "p95Ms" | "failedTotal"
> {
  /** Why demand and users are not known, when they are not: the figures for them are 0 then, and mean nothing. */
  readonly usersUnknown?: string;
  /** For how long they were over when they were looked at, milliseconds. */
  readonly lateByMs?: number;
}

/** Looks at the cloud side through its platform. `lib` knows only this; `providers/*` implement it. */
export interface CloudPlatform {
  /** What there is. A cloud in which nothing was made yet is an answer: nothing is there. @throws SpillwayError, AbortedError */
  look(signal: AbortSignal): Promise<SeenCloud>;
  /** The record's weights by site; undefined when that is not known. @throws SpillwayError, AbortedError */
  weights(signal: AbortSignal): Promise<Readonly<Record<string, number>> | undefined>;
  close(): void;
}

/** The cloud's side of an observation. Throws for nobody but who stops it: what cannot be asked is not reachable. */
export async function observeCloud(
  cloud: BurstManifest["cloud"],
  platform: CloudPlatform | undefined,
  signal: AbortSignal,
): Promise<SiteObservation> {
  const { site, memberCapacityRps } = cloud;
  const nothing = {
    ...{ site, memberCapacityRps, demandRps: 0, members: 0, membersUp: 0, sessions: 0 },
    ...{ openConnections: 0, queued: 0, p95Ms: 0, failedTotal: 0, linkBps: 0 },
  };
  if (!platform) return { ...nothing, reachable: false, problem: "nobody was given that sees its platform" };
  try {
    return { ...nothing, reachable: true, ...(await platform.look(signal)) };
  } catch (error) {
    if (error instanceof AbortedError || signal.aborted) throw error;
    const problem = error instanceof SpillwayError ? error.report.problem : messageOf(error);
    return { ...nothing, reachable: false, problem };
  }
}

/** The weights that a platform answers with; undefined when that is not known. @throws AbortedError */
export async function platformWeights(
  platform: CloudPlatform | undefined,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>> | undefined> {
  try {
    return await platform?.weights(signal);
  } catch (error) {
    if (error instanceof AbortedError || signal.aborted) throw error;
    return undefined;
  }
}
