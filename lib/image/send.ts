import { setMaxListeners } from "node:events";
import { performance } from "node:perf_hooks";
import { AbortedError } from "../errors";
import type { PushOptions } from "./contract";
import type { ImageIndex, Run } from "./image-index";
import { Pace } from "./pace";
import type { Retry } from "./retry";
import { planSegments, SegmentSource } from "./segment-source";
import { firstStreams, nextStreams } from "./streams";
import { openSource } from "./index-file";

const START_STREAMS = 4;
const MAX_STREAMS = 16;
const SEGMENT_BYTES = 1024 * 1024;
const IN_FLIGHT_BYTES = 8 * 1024 * 1024;
const SMALLEST_SEGMENT_BYTES = 256 * 1024;
const SMALLEST_PACED_SEGMENT_BYTES = 64 * 1024;
/** Goodput is judged over at least so long, and so many segments a stream. */
const WINDOW_MS = 2_000;
const WINDOW_SEGMENTS = 2;

/** What was sent so far. */
export interface Sent {
  /** Bytes of the image that the site took. */
  readonly rawBytes: number;
  /** Bytes of the segments that carried them. */
  readonly bytes: number;
  readonly segments: number;
  readonly streams: number;
}

/** What is to be sent, and how. */
export interface SendOptions extends Pick<
  PushOptions,
  "source" | "target" | "streams" | "capBytesPerSecond"
> {
  readonly index: ImageIndex;
  readonly missing: readonly Run[];
  readonly signal: AbortSignal;
  readonly retry: Retry;
  /** Called after each segment. */
  readonly onSent: (sent: Sent) => void;
}

/** Sends what is missing, over as many streams as bring something. The first failure that no retry mends ends all of them. */
export async function sendMissing(options: SendOptions): Promise<Sent> {
  const file = await openSource(options.source);
  try {
    return await new Sending(options, file).run();
  } finally {
    await file.close();
  }
}

class Sending {
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;
  private readonly pace: Pace;
  private readonly source: SegmentSource;
  private readonly maxStreams: number;
  private count: ReturnType<typeof firstStreams>;
  private readonly running = new Set<Promise<void>>();
  private readonly numbers = new Set<number>();
  private sent: Sent = { rawBytes: 0, bytes: 0, segments: 0, streams: 0 };
  private window: { at: number; bytes: number; segments: number };
  private isExhausted = false;
  private failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly options: SendOptions,
    file: Awaited<ReturnType<typeof openSource>>,
  ) {
    const { index, missing, signal, source, streams, capBytesPerSecond } = options;
    this.signal = AbortSignal.any([signal, this.stop.signal]);
    // Each stream listens to it; Node would warn of a leak beyond ten.
    setMaxListeners(0, this.signal);
    this.pace = new Pace(capBytesPerSecond);
    this.maxStreams = Math.max(1, streams?.max ?? MAX_STREAMS);
    this.count = firstStreams(streams?.start ?? START_STREAMS, this.maxStreams);
    const totalBytes = index.bytesOf(missing);
    const segmentBytes = () => segmentSize(totalBytes, this.count.streams, capBytesPerSecond);
    this.source = new SegmentSource(source, file, index, planSegments(index, missing, segmentBytes));
    this.window = { at: performance.now(), bytes: 0, segments: 0 };
  }

  async run(): Promise<Sent> {
    this.startStreams();
    while (this.running.size > 0) await Promise.race(this.running);
    if (this.failure) throw this.failure.error;
    return this.sent;
  }

  private startStreams(): void {
    for (let number = 0; number < this.count.streams && !this.isExhausted; number++) {
      if (this.numbers.has(number)) continue;
      this.numbers.add(number);
      const stream = this.stream(number)
        .catch((error) => {
          this.failure ??= { error };
          this.stop.abort();
        })
        .finally(() => {
          this.numbers.delete(number);
          this.running.delete(stream);
        });
      this.running.add(stream);
    }
  }

  private async stream(number: number): Promise<void> {
    const { target, index, retry } = this.options;
    while (number < this.count.streams && !this.signal.aborted) {
      const next = this.source.next();
      if (!next) {
        this.isExhausted = true;
        return;
      }
      const { id, bytes, rawBytes, release } = await next;
      await this.pace.wait(bytes.length, this.signal);
      const call = { signal: this.signal, retryBudgetMs: 0 };
      await retry.run(() => target.putSegment(index.digest, id, bytes, call), false);
      this.note(bytes.length, rawBytes);
      release();
    }
    if (this.signal.aborted) throw new AbortedError("stopped while sending the image");
  }

  private note(bytes: number, rawBytes: number): void {
    this.sent = {
      rawBytes: this.sent.rawBytes + rawBytes,
      bytes: this.sent.bytes + bytes,
      segments: this.sent.segments + 1,
      streams: this.numbers.size,
    };
    this.options.onSent(this.sent);
    this.window.bytes += bytes;
    this.window.segments++;
    const elapsedMs = performance.now() - this.window.at;
    if (elapsedMs < WINDOW_MS || this.window.segments < WINDOW_SEGMENTS * this.count.streams) return;
    const goodput = (this.window.bytes * 1_000) / elapsedMs;
    this.window = { at: performance.now(), bytes: 0, segments: 0 };
    // Under a cap more streams can bring nothing.
    if (this.options.capBytesPerSecond !== undefined) return;
    this.count = nextStreams(this.count, goodput, this.maxStreams);
    this.startStreams();
  }
}

/**
 * Each stream should get several, and under a cap none should hold the link for long. Larger ones than these pack no better, and
 * all that are on their way together take memory at both ends.
 */
function segmentSize(totalBytes: number, streams: number, capBytesPerSecond: number | undefined): number {
  const share = Math.max(SMALLEST_SEGMENT_BYTES, Math.ceil(totalBytes / (streams * 2)));
  const forHalfASecond = Math.max(
    SMALLEST_PACED_SEGMENT_BYTES,
    Math.ceil((capBytesPerSecond ?? Infinity) / 2),
  );
  return Math.min(SEGMENT_BYTES, share, forHalfASecond, IN_FLIGHT_BYTES / streams);
}
