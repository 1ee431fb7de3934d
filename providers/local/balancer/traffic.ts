/** The window that rates and latencies are taken over. */
export const WINDOW_MS = 2_000;

const SLOTS = 8;
const SLOT_MS = WINDOW_MS / SLOTS;

// Eight buckets to the octave from 0.05 ms on: a quantile is right within 5 %, and 200 buckets reach 28 minutes.
const BUCKETS = 200;
const PER_OCTAVE = 8;
const FIRST_MS = 0.05;

interface Slot {
  /** Which 250 ms since the clock's zero this slot holds. */
  tick: number;
  arrivals: number;
  readonly latencies: Uint32Array;
}

/** Request rate and latency of the last two seconds, at a constant small cost per request. */
export class TrafficWindow {
  private readonly slots: Slot[] = Array.from({ length: SLOTS }, () => ({
    tick: -1,
    arrivals: 0,
    latencies: new Uint32Array(BUCKETS),
  }));

  /** `clock`: milliseconds, monotonic. */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  arrived(): void {
    this.slot().arrivals += 1;
  }

  answered(latencyMs: number): void {
    const octaves = Math.log2(Math.max(latencyMs, FIRST_MS) / FIRST_MS);
    this.slot().latencies[Math.min(Math.floor(octaves * PER_OCTAVE), BUCKETS - 1)] += 1;
  }

  /** Mean of the last two seconds. */
  requestsPerSecond(): number {
    const now = this.clock();
    const tick = Math.floor(now / SLOT_MS);
    let arrivals = 0;
    for (const slot of this.slots) if (slot.tick > tick - SLOTS) arrivals += slot.arrivals;
    // The slot of this moment is not full yet, so the window is a little shorter than two seconds.
    const windowMs = WINDOW_MS - SLOT_MS + (now - tick * SLOT_MS);
    return (arrivals * 1_000) / windowMs;
  }

  /** Quantiles of the latencies of the last two seconds; 0 when there were none. */
  latencyMs(): { readonly p50: number; readonly p95: number } {
    const tick = Math.floor(this.clock() / SLOT_MS);
    const total = new Uint32Array(BUCKETS);
    let count = 0;
    for (const slot of this.slots) {
      if (slot.tick <= tick - SLOTS) continue;
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
        total[bucket] += slot.latencies[bucket];
        count += slot.latencies[bucket];
      }
    }
    return { p50: quantile(total, count, 0.5), p95: quantile(total, count, 0.95) };
  }

  private slot(): Slot {
    const tick = Math.floor(this.clock() / SLOT_MS);
    const slot = this.slots[tick % SLOTS];
    if (slot.tick !== tick) {
      slot.tick = tick;
      slot.arrivals = 0;
      slot.latencies.fill(0);
    }
    return slot;
  }
}

function quantile(buckets: Uint32Array, count: number, share: number): number {
  if (count === 0) return 0;
  let left = Math.ceil(count * share);
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    left -= buckets[bucket];
    if (left <= 0) return Number((FIRST_MS * 2 ** ((bucket + 0.5) / PER_OCTAVE)).toPrecision(3));
  }
  return 0;
}
