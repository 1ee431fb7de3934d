import type { BalancerPool } from "../../lib/site/ports";
import type { TableEntry } from "./parse";
import { isAnyoneConnected, totalsOf, type SightMemory, type WorkerSight } from "./pool-view";

interface WorkerMemory {
  readonly requests: number;
  readonly failed: number;
  readonly users: readonly TableEntry[];
  readonly at: number;
}

/** What is remembered of a pool between two looks: what workers that have ended knew, and when a user was last connected. */
export class Memory {
  private readonly workers = new Map<number, WorkerMemory>();
  private lastOpenAt = -Infinity;

  /** `clock`: milliseconds, monotonic. */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  see(sights: readonly WorkerSight[], unseenWorkers: number, pool: BalancerPool): SightMemory {
    const at = this.clock();
    for (const sight of sights) {
      this.workers.set(sight.pid, { ...totalsOf(sight, pool), users: sight.users, at });
    }
    if (isAnyoneConnected(sights, pool)) this.lastOpenAt = at;
    const present = new Set(sights.map(({ pid }) => pid));
    const ended = [...this.workers].filter(([pid]) => !present.has(pid)).map(([, worker]) => worker);
    return {
      requestsBefore: ended.reduce((all, { requests }) => all + requests, 0),
      failedBefore: ended.reduce((all, { failed }) => all + failed, 0),
      users: ended.flatMap(({ users, at: then }) =>
        users.filter(({ expiresMs }) => expiresMs !== undefined && then + expiresMs > at),
      ),
      sinceOpenMs: Math.round(at - this.lastOpenAt),
      unseenWorkers,
    };
  }
}
