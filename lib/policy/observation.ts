/** One site as it was seen. */
export interface SiteObservation {
  readonly site: string;
  /** False: nobody could ask it. Its figures then mean nothing, and nothing follows from them. */
  readonly reachable: boolean;
  /** Why it could not be asked. */
  readonly problem?: string;
  /** It is not the site that is silent but who sees it, so that silence says nothing of whether it serves. @default false */
  readonly unseen?: boolean;
  /** Requests per second that reach it. */
  readonly demandRps: number;
  /** Members of the pool, and those of them that are up. */
  readonly members: number;
  readonly membersUp: number;
  /** Requests per second that one member carries at a good latency. */
  readonly memberCapacityRps: number;
  readonly sessions: number;
  readonly openConnections: number;
  readonly queued: number;
  readonly p95Ms: number;
  /** Answers 5xx made by its balancer, ever. */
  readonly failedTotal: number;
  /** Rate of the link to it, bits per second; 0 if unknown. */
  readonly linkBps: number;
  /** Why its demand and users are not known yet, while its members are: their figures then mean nothing. */
  readonly usersUnknown?: string;
  /** For how long the demand and users told of were over, milliseconds. @default 0 */
  readonly lateByMs?: number;
}

/** What was seen at one moment. JSON. */
export interface Observation {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly onPrem: SiteObservation;
  readonly cloud: SiteObservation;
  /** Requests per second at all sites that could be asked. */
  readonly demandRps: number;
  /** Bytes of the image that the cloud does not hold yet. */
  readonly replicaBytesLeft: number;
  /** How long users may follow an old answer: the record's TTL. */
  readonly dnsTailMs: number;
  /** The weights that the name server answers with now; undefined when it could not be asked or knows no such record. */
  readonly recordWeights?: Readonly<Record<string, number>>;
}

/** Requests per second that the members that are up carry. */
export function capacityOf(site: SiteObservation): number {
  return site.reachable ? site.membersUp * site.memberCapacityRps : 0;
}
