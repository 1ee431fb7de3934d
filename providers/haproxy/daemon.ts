import type { RuntimeClient } from "./runtime-client";
import type { SavedPool } from "./saved-pools";

/** A worker process of HAProxy that can be asked. */
export interface Worker {
  readonly client: RuntimeClient;
  /** Of before a reload: takes nobody new, serves who is with it. */
  readonly old: boolean;
}

/** The workers of a HAProxy, the present one first, and how many old ones run that cannot be asked. */
export interface Workers {
  readonly workers: readonly Worker[];
  readonly unseen: number;
}

/** A HAProxy that has the proxies of pools: one that Spillway runs, or one that its user does. */
export interface Daemon {
  /** Where it takes orders. */
  readonly client: RuntimeClient;
  /** Starts it with these pools, or adopts the one that runs. */
  start(pools: readonly SavedPool[]): Promise<void>;
  /**
   * Sees to it that it has the proxies of exactly these pools, each in its present form.
   * @throws SpillwayError with code `port-taken` or `invalid` in its cause
   */
  provide(pools: readonly SavedPool[]): Promise<void>;
  /** Notes which members are up, for a HAProxy that has to start without anybody's help. */
  note(pools: readonly SavedPool[]): void;
  workers(): Promise<Workers>;
  stop(): Promise<void>;
}
