/** A member as somebody other than an agent sees it. */
export interface SeenMember {
  /** `i-0abc…:8080` */
  readonly id: string;
  readonly state: "up" | "coming" | "down" | "leaving";
  /** Why it is not up, in the words of whoever sees it. */
  readonly reason?: string;
}

/** Whether a pool can serve, as it was seen now. */
export interface SeenAvailability {
  /** Members that there are to be; undefined when nobody says so. */
  readonly wanted?: number;
  /** Members that take users. */
  readonly up: number;
  readonly members: readonly SeenMember[];
  /** What keeps members from coming, or why they cannot be seen: nothing is known of `up` then beyond what it says. */
  readonly problem?: string;
}

/** Who is at a pool, as far as it is known. What is missing is unknown, and never 0. Times are milliseconds since 1970. */
export interface SeenUsers {
  /** Users in the latest stretch of time that is known; undefined when none is. */
  readonly count?: number;
  /** The end of what is known. Figures that come late end before now. */
  readonly until?: number;
  /** Nobody was seen from here to `until`, without a gap; undefined unless `count` is 0. */
  readonly quietFrom?: number;
  /** Why it is not known, or not known up to now. */
  readonly problem?: string;
}

/** Someone who sees a pool that has no agent. `lib` knows only this; `providers/*` implement it. */
export interface PoolObserver {
  /** What is looked at, for a person: `target group shop in eu-central-1`. */
  readonly place: string;
  /**
   * Looks once. Undefined: the pool is not there (any more).
   * @throws QueryError of kind `silence` or `data` when it cannot be told now, of kind `refused` or `query` when asking again will not help
   * @throws AbortedError
   */
  available(signal: AbortSignal): Promise<SeenAvailability | undefined>;
  /** Looks once. Undefined: nothing is there that could have users. @throws as {@link available} */
  users(signal: AbortSignal): Promise<SeenUsers | undefined>;
}
