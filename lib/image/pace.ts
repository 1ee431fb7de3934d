import { performance } from "node:perf_hooks";
import { sleep } from "../wait";

/** One pace for all streams: what is sent is spread so that it stays under a rate. */
export class Pace {
  private freeAt = 0;

  /** @param bytesPerSecond undefined: no limit */
  constructor(private readonly bytesPerSecond: number | undefined) {}

  /** Waits for the turn of so many bytes. @throws AbortedError */
  async wait(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.bytesPerSecond === undefined) return;
    const now = performance.now();
    const turn = Math.max(now, this.freeAt);
    this.freeAt = turn + (bytes * 1_000) / this.bytesPerSecond;
    if (turn > now) await sleep(turn - now, signal);
  }
}
