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
  /** Of workers that have ended and whose users are all gone. */
  private past = { requests: 0, failed: 0 };
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
    const users: TableEntry[] = [];
    const before = { ...this.past };
    for (const [pid, worker] of this.workers) {
      if (present.has(pid)) continue;
      before.requests += worker.requests;
      before.failed += worker.failed;
      const left = worker.users.filter(
        ({ expiresMs }) => expiresMs !== undefined && worker.at + expiresMs > at,
      );
      users.push(...left);
      if (left.length === 0) this.forget(pid, worker);
    }
    return {
      requestsBefore: before.requests,
      failedBefore: before.failed,
      users,
      sinceOpenMs: Math.round(at - this.lastOpenAt),
      unseenWorkers,
    };
  }

  private forget(pid: number, { requests, failed }: WorkerMemory): void {
    this.workers.delete(pid);
    this.past = { requests: this.past.requests + requests, failed: this.past.failed + failed };
  }
}
