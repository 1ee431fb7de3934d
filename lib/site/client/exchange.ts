import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { AbortedError, SpillwayError, messageOf } from "../../errors";
import type { SendQueues } from "./send-queue";

/** A pace that several requests share. */
export interface RequestPace {
  /** How much to ask for at once. */
  readonly sliceBytes: number;
  /** Waits for the turn of so many bytes. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

/** One request, and how patient it is. */
export interface ExchangeOptions {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: Uint8Array;
  readonly agent: http.Agent;
  readonly signal?: AbortSignal;
  readonly pace?: RequestPace;
  /** Told when the whole body was handed over to the operating system. */
  readonly onHandedOver?: () => void;
  /** Told how long a new connection took to be answered, milliseconds: one round trip. */
  readonly onConnected?: (ms: number) => void;
  /** The answer gets so long once the request has arrived: one that is longer than `stallMs` counts anew with each byte that moves. */
  readonly timeoutMs: number;
  /** A connection gets so long to be made. */
  readonly connectMs: number;
  /** A link on which no byte moves for so long is given up. */
  readonly stallMs: number;
  readonly maxAnswerBytes: number;
  /** Is given a good answer piece by piece, instead of its being put together. */
  readonly take?: (piece: Uint8Array) => Promise<void>;
  readonly queues: Pick<SendQueues, "of">;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** Failures of one try, before they are told as errors. */
export class TryFailed extends Error {
  constructor(
    readonly kind: "away" | "timeout" | "stalled" | "not-an-agent" | "unreachable",
    message: string,
    readonly connected: boolean,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

const SLICE_BYTES = 128 * 1024;
/** Looks at a link that nothing was heard of, in the time it gets. */
const LOOKS = 5;
/** The operating system asks a silent end whether it is there, first after so long. */
const KEEP_ALIVE_MS = 5_000;

const AWAY = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "EAI_AGAIN", "ECONNABORTED"]);
const UNREACHABLE = new Set([
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EADDRNOTAVAIL",
  "EHOSTDOWN",
]);

/** Sends one request and reads its answer. @throws TryFailed, AbortedError */
export async function exchange(options: ExchangeOptions): Promise<Answer> {
  if (options.signal?.aborted) throw new AbortedError("stopped");
  const { body, pace, signal } = options;
  // Nobody waits for a turn with a connection in hand: a pause may last for hours.
  const first = body && pace ? Math.min(pace.sliceBytes, body.length) : 0;
  if (first > 0) await pace?.take(first, signal);
  return new Exchange(options, first).run();
}

class Exchange {
  private readonly over = new AbortController();
  private socket: Socket | undefined;
  private connected = false;
  private isPaced = false;
  private isTaking = false;
  private isSent = false;
  private hasAnswer = false;
  private movedAt = performance.now();
  private queued: number | undefined;
  private timers: NodeJS.Timeout[] = [];

  /** @param granted bytes of the body that had their turn already */
  constructor(
    private readonly options: ExchangeOptions,
    private granted: number,
  ) {}

  run(): Promise<Answer> {
    const { url, method, agent, signal, body } = this.options;
    const headers = body
      ? { ...this.options.headers, "content-length": body.byteLength }
      : this.options.headers;
    return new Promise<Answer>((resolve, reject) => {
      const request = (url.protocol === "https:" ? https : http).request(url, { method, agent, headers });
      const onAbort = () => request.destroy(new AbortedError("stopped"));
      signal?.addEventListener("abort", onAbort, { once: true });
      const settle = (settled: () => void) => {
        for (const timer of this.timers) clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.over.abort();
        settled();
      };
      const fail = (error: unknown) => settle(() => reject(asTryFailed(error, this.connected)));
      this.watch(request);
      request.on("error", fail);
      request.on("socket", (socket) => this.follow(socket, request));
      request.on("response", (response) => {
        this.hasAnswer = true;
        this.read(response, request).then((answer) => {
          settle(() => resolve(answer));
          // A body that was refused unread would otherwise keep its connection for ever.
          if (!this.isSent) request.destroy();
        }, fail);
      });
      this.send(request).catch((error: unknown) => {
        if (!this.hasAnswer) request.destroy(error as Error);
      });
    });
  }

  private follow(socket: Socket, request: http.ClientRequest): void {
    this.socket = socket;
    this.moved();
    if (request.reusedSocket || !socket.connecting) {
      this.connected = true;
      return;
    }
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const { connectMs, timeoutMs } = this.options;
    const limitMs = Math.min(connectMs, timeoutMs);
    const give = () =>
      request.destroy(new TryFailed("unreachable", `no connection within ${limitMs} ms`, false));
    let timer = setTimeout(give, limitMs);
    this.timers.push(timer);
    const isTls = "encrypted" in socket;
    let began = performance.now();
    socket.once("lookup", () => (began = performance.now()));
    socket.once("connect", () => {
      this.options.onConnected?.(performance.now() - began);
      this.moved();
      clearTimeout(timer);
      if (!isTls) this.connected = true;
      else this.timers.push((timer = setTimeout(give, limitMs)));
    });
    socket.once("secureConnect", () => {
      this.moved();
      clearTimeout(timer);
      this.connected = true;
    });
  }

  private async send(request: http.ClientRequest): Promise<void> {
    const { body, pace } = this.options;
    for (let at = 0; body && at < body.length;) {
      let bytes = Math.min(this.granted, body.length - at);
      if (bytes === 0) {
        bytes = Math.min(pace?.sliceBytes ?? SLICE_BYTES, body.length - at);
        if (pace) {
          this.isPaced = true;
          await pace.take(bytes, this.over.signal).finally(() => (this.isPaced = false));
        }
      }
      this.granted = 0;
      if (this.hasAnswer) return;
      await written(request, body.subarray(at, (at += bytes)));
      this.moved();
    }
    this.isSent = true;
    request.end();
    if (body) this.options.onHandedOver?.();
  }

  private read(response: http.IncomingMessage, request: http.ClientRequest): Promise<Answer> {
    const { maxAnswerBytes, take } = this.options;
    if (take && response.statusCode === 200) return this.giveTo(take, response);
    return new Promise((resolve, reject) => {
      const endless = () => request.destroy(new TryFailed("not-an-agent", "its answer does not end", true));
      const announced = Number(response.headers["content-length"] ?? NaN);
      if (announced > maxAnswerBytes) return endless();
      const whole = announced >= 0 ? Buffer.allocUnsafeSlow(announced) : undefined;
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        this.moved();
        size += chunk.length;
        if (size > maxAnswerBytes) endless();
        else if (whole) chunk.copy(whole, size - chunk.length);
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: whole ?? Buffer.concat(chunks) }),
      );
    });
  }

  private async giveTo(
    take: (piece: Uint8Array) => Promise<void>,
    response: http.IncomingMessage,
  ): Promise<Answer> {
    let size = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > this.options.maxAnswerBytes) {
        throw new TryFailed("not-an-agent", "its answer does not end", true);
      }
      this.isTaking = true;
      await take(piece).finally(() => (this.isTaking = false));
      this.moved();
    }
    return { status: response.statusCode ?? 0, body: Buffer.alloc(0) };
  }

  private watch(request: http.ClientRequest): void {
    const { timeoutMs, stallMs } = this.options;
    const late = () => request.destroy(new TryFailed("timeout", `no answer within ${timeoutMs} ms`, true));
    if (timeoutMs <= stallMs) {
      const unconnected = () =>
        request.destroy(new TryFailed("unreachable", `no connection within ${timeoutMs} ms`, false));
      this.timers.push(setTimeout(() => (this.connected ? late() : unconnected()), timeoutMs));
      return;
    }
    const timer = setInterval(() => {
      const isThere = this.look();
      const silentMs = performance.now() - this.movedAt;
      if (isThere && silentMs >= timeoutMs) late();
      else if (!isThere && silentMs >= stallMs) {
        request.destroy(new TryFailed("stalled", `nothing moved for ${Math.round(silentMs)} ms`, true));
      }
    }, stallMs / LOOKS);
    this.timers.push(timer);
  }

  /** Notes what moves where no event tells it. @returns is it the site that takes its time, and not the link? */
  private look(): boolean {
    if (this.isPaced || this.isTaking || !this.connected || !this.socket) {
      // Connecting has a limit of its own, and whoever waits for a turn or a socket is waiting for this side.
      this.moved();
      return false;
    }
    const queue = this.options.queues.of(this.socket);
    if (queue && this.queued !== undefined && queue.bytes !== this.queued) this.moved();
    this.queued = queue?.bytes;
    return queue?.isHeldBack || (this.isSent && !this.hasAnswer && (queue?.bytes ?? 0) === 0);
  }

  private moved(): void {
    this.movedAt = performance.now();
  }
}

function written(request: http.ClientRequest, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new TryFailed("away", "the connection broke", true));
    request.once("close", onClose);
    request.write(bytes, (error) => {
      request.removeListener("close", onClose);
      if (error) reject(error);
      else resolve();
    });
  });
}

function asTryFailed(error: unknown, connected: boolean): Error {
  if (error instanceof TryFailed || error instanceof AbortedError || error instanceof SpillwayError)
    return error;
  const code = String((error as NodeJS.ErrnoException).code ?? "");
  const text = messageOf(error) || code;
  if (AWAY.has(code)) {
    const why = code === "ECONNREFUSED" ? "nothing listens there" : `the connection broke (${code})`;
    return new TryFailed("away", why, connected, { cause: error });
  }
  if (UNREACHABLE.has(code)) return new TryFailed("unreachable", text, connected, { cause: error });
  if (
    code.startsWith("ERR_TLS") ||
    code === "EPROTO" ||
    code.startsWith("HPE_") ||
    /CERT|SIGNED|ISSUER/.test(code)
  ) {
    return new TryFailed("not-an-agent", text, connected, { cause: error });
  }
  return new TryFailed("unreachable", text, connected, { cause: error });
}
