import { messageOf, SpillwayError } from "../errors";
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

/** The hook looks at on-premises meanwhile: a platform that hangs must not keep it from that for long. */
const LOOK_MS = 5_000;

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
  const unseen = (problem: string) => ({ ...nothing, reachable: false, unseen: true, problem });
  if (!platform) return unseen("nobody was given that sees its platform");
  const inTime = AbortSignal.timeout(LOOK_MS);
  try {
    return { ...nothing, reachable: true, ...(await platform.look(AbortSignal.any([signal, inTime]))) };
  } catch (error) {
    if (signal.aborted) throw error;
    if (inTime.aborted) return unseen(`its platform did not answer within ${LOOK_MS / 1_000} s`);
    return unseen(error instanceof SpillwayError ? error.report.problem : messageOf(error));
  }
}

/** The weights that a platform answers with; undefined when that is not known. @throws AbortedError */
export async function platformWeights(
  platform: CloudPlatform | undefined,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>> | undefined> {
  try {
    return await platform?.weights(AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]));
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}
