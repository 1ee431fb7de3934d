/** Arrivals further apart than this belong to different transfers. */
const PAUSE_MS = 5_000;
/** Below these a transfer says nothing about the link. */
const ENOUGH_MS = 500;
const ENOUGH_BYTES = 2 * 1024 * 1024;
/** A measurement looks back so far, so that it follows a link that changes. */
const WINDOW_MS = 30_000;

/** What a transfer showed of the link. */
export interface LinkMeasurement {
  /** Bits per second that crossed it. */
  readonly rateBps: number;
  /** Bytes on the link for one byte of an image. */
  readonly packedShare: number;
}

interface Arrival {
  readonly at: number;
  readonly bytes: number;
  readonly rawBytes: number;
}

/** Measures the link by what arrives over it, whatever the number of streams. */
export class LinkMeter {
  private arrivals: Arrival[] = [];

  /** @param at milliseconds, of a clock that never goes back */
  note(at: number, bytes: number, rawBytes: number): void {
    const last = this.arrivals.at(-1);
    if (last && at - last.at > PAUSE_MS) this.arrivals = [];
    this.arrivals.push({ at, bytes, rawBytes });
    while (at - this.arrivals[0].at > WINDOW_MS) this.arrivals.shift();
  }

  /** Undefined while too little arrived to say. */
  measure(): LinkMeasurement | undefined {
    const first = this.arrivals.at(0);
    const last = this.arrivals.at(-1);
    if (!first || !last || last.at - first.at < ENOUGH_MS) return undefined;
    // The first arrival began before the clock was started.
    const counted = this.arrivals.slice(1);
    const bytes = counted.reduce((sum, arrival) => sum + arrival.bytes, 0);
    const rawBytes = counted.reduce((sum, arrival) => sum + arrival.rawBytes, 0);
    if (bytes < ENOUGH_BYTES) return undefined;
    return { rateBps: Math.round((bytes * 8_000) / (last.at - first.at)), packedShare: bytes / rawBytes };
  }
}
