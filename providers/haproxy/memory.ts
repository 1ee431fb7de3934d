import type { BalancerPool } from "../../lib/site/ports";
import { isAnyoneConnected, totalsOf, type SightMemory, type WorkerSight } from "./pool-view";

/** What is remembered of a pool between two looks: counts of workers that have ended, and when a user was last connected. */
export class Memory {
  private readonly counted = new Map<number, { readonly requests: number; readonly failed: number }>();
  private lastOpenAt = -Infinity;

  see(sights: readonly WorkerSight[], unseenWorkers: number, pool: BalancerPool): SightMemory {
    const present = new Set(sights.map(({ pid }) => pid));
    for (const sight of sights) this.counted.set(sight.pid, totalsOf(sight, pool));
    const now = performance.now();
    if (isAnyoneConnected(sights, pool)) this.lastOpenAt = now;
    let [requestsBefore, failedBefore] = [0, 0];
    for (const [pid, { requests, failed }] of this.counted) {
      if (present.has(pid)) continue;
      requestsBefore += requests;
      failedBefore += failed;
    }
    return { requestsBefore, failedBefore, sinceOpenMs: Math.round(now - this.lastOpenAt), unseenWorkers };
  }
}
