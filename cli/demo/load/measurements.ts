import {
  BUCKET_MS,
  FAILURES_TOLD,
  type FailureReason,
  type LoadBucket,
  type LoadFailure,
  type LoadTotals,
} from "./options";

/** What users hold at one moment. */
export interface Standing {
  readonly inFlight: number;
  readonly usersBySite: Readonly<Record<string, number>>;
  readonly connectionsBySite: Readonly<Record<string, number>>;
}

/** Counts what users see: a bucket at a time, and the whole run. */
export class Measurements {
  private bucket = new Tally();
  private readonly run = new Tally();
  private readonly histogram = new Histogram();
  private readonly failures = new Map<FailureReason, number>();
  private readonly firstFailures: LoadFailure[] = [];

  offered(): void {
    this.both((tally) => tally.offered++);
  }

  heldBack(count: number): void {
    this.both((tally) => (tally.heldBack += count));
  }

  retried(): void {
    this.both((tally) => tally.retried++);
  }

  answered(site: string, latencyMs: number): void {
    this.both((tally) => {
      tally.ok++;
      count(tally.bySite, site);
    });
    this.bucket.latencies.push(latencyMs);
    this.histogram.add(latencyMs);
  }

  /** @returns true if it is one of the first, which are told one by one */
  failed(failure: LoadFailure): boolean {
    this.both((tally) => tally.failed++);
    this.failures.set(failure.reason, (this.failures.get(failure.reason) ?? 0) + 1);
    if (this.firstFailures.length >= FAILURES_TOLD) return false;
    this.firstFailures.push(failure);
    return true;
  }

  named(site: string): void {
    this.both((tally) => count(tally.dnsBySite, site));
  }

  /** Closes the present bucket and begins the next. */
  take(atMs: number, standing: Standing, lengthMs = BUCKET_MS): LoadBucket {
    const { latencies, offered, ok, failed, retried, heldBack, bySite, dnsBySite } = this.bucket;
    this.bucket = new Tally();
    latencies.sort((a, b) => a - b);
    return {
      atMs,
      lengthMs,
      offered,
      ok,
      failed,
      retried,
      heldBack,
      inFlight: standing.inFlight,
      bySite: Object.fromEntries(bySite),
      p50Ms: percentile(latencies, 0.5),
      p95Ms: percentile(latencies, 0.95),
      usersBySite: standing.usersBySite,
      connectionsBySite: standing.connectionsBySite,
      dnsBySite: Object.fromEntries(dnsBySite),
    };
  }

  totals(startedAt: number, durationMs: number): LoadTotals {
    const { offered, ok, failed, retried, heldBack, bySite, dnsBySite } = this.run;
    return {
      startedAt,
      durationMs,
      requests: offered,
      ok,
      failed,
      retried,
      heldBack,
      bySite: Object.fromEntries(bySite),
      dnsBySite: Object.fromEntries(dnsBySite),
      failures: Object.fromEntries(this.failures),
      firstFailures: [...this.firstFailures],
      latencyMs: {
        p50: this.histogram.percentile(0.5),
        p95: this.histogram.percentile(0.95),
        p99: this.histogram.percentile(0.99),
        max: this.histogram.max,
      },
    };
  }

  private both(change: (tally: Tally) => void): void {
    change(this.bucket);
    change(this.run);
  }
}

class Tally {
  offered = 0;
  ok = 0;
  failed = 0;
  retried = 0;
  heldBack = 0;
  readonly bySite = new Map<string, number>();
  readonly dnsBySite = new Map<string, number>();
  readonly latencies: number[] = [];
}

/** The value below which `part` of the sorted values lie (nearest rank), to a tenth of a millisecond; 0 of none. */
export function percentile(sorted: readonly number[], part: number): number {
  if (sorted.length === 0) return 0;
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))];
  return Math.round(value * 10) / 10;
}

/** Latencies of a whole run in bounded memory: each class is 3 % wide. */
class Histogram {
  private readonly classes = new Map<number, number>();
  private total = 0;
  max = 0;

  add(ms: number): void {
    const index = Math.round(Math.log(Math.max(ms, 0.1)) / Math.log(1.03));
    this.classes.set(index, (this.classes.get(index) ?? 0) + 1);
    this.total++;
    this.max = Math.max(this.max, Math.round(ms * 10) / 10);
  }

  percentile(part: number): number {
    const rank = Math.ceil(part * this.total);
    let seen = 0;
    for (const index of [...this.classes.keys()].sort((a, b) => a - b)) {
      seen += this.classes.get(index)!;
      if (seen >= rank) return Math.min(this.max, Math.round(1.03 ** index * 10) / 10);
    }
    return 0;
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
