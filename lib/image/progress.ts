import { performance } from "node:perf_hooks";
import type { StepContext } from "../wait";

const INTERVAL_MS = 500;
/** The rate for an ETA is that of the last so many milliseconds. */
const RATE_WINDOW_MS = 10_000;

/** Says how far a transfer is, at most twice a second. */
export class Reporter {
  private lastAt = -Infinity;

  constructor(
    private readonly context: StepContext | undefined,
    private readonly subject: string,
  ) {}

  say(message: () => string, fraction?: number, etaMs?: number): void {
    const now = performance.now();
    if (!this.context || now - this.lastAt < INTERVAL_MS) return;
    this.lastAt = now;
    this.context.progress({ step: "transfer", subject: this.subject, message: message(), fraction, etaMs });
  }
}

/** How fast something grows, over the last seconds. */
export class RateMeter {
  private readonly points: { readonly at: number; readonly value: number }[] = [
    { at: performance.now(), value: 0 },
  ];

  note(value: number): void {
    const at = performance.now();
    this.points.push({ at, value });
    while (this.points.length > 2 && at - this.points[0].at > RATE_WINDOW_MS) this.points.shift();
  }

  /** Units per second; 0 while unknown. */
  get rate(): number {
    const first = this.points[0];
    const last = this.points[this.points.length - 1];
    return last.at > first.at ? ((last.value - first.value) * 1_000) / (last.at - first.at) : 0;
  }

  /** Milliseconds for so many more; undefined while unknown. */
  etaMs(left: number): number | undefined {
    const { rate } = this;
    return rate > 0 ? Math.round((left * 1_000) / rate) : undefined;
  }
}
