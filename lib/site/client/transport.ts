import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";
import type { SiteEndpoint } from "../../hook/manifest";
import { SpillwayError, messageOf } from "../../errors";
import { sleep } from "../../wait";
import type { OnTheWay } from "../../image/wire/target";
import type { ApiProblem } from "../api";
import {
  SiteError,
  agentDown,
  agentSlow,
  badEndpoint,
  notAnAgent,
  tokenInTheClear,
  wrongToken,
} from "./errors";
import { exchange, TryFailed, type Answer, type RequestPace } from "./exchange";
import { SendQueues } from "./send-queue";
import { TokenSource, type FoundToken } from "./token";

/** How one call behaves. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /**
   * One try gets so long; one of more than {@link TransportOptions.stallMs}: for an answer, once the request has arrived, and anew
   * with each byte that moves.
   * @default 10000; segments 120000
   */
  readonly timeoutMs?: number;
  /** Tries are repeated for so long while the agent is away (being restarted). 0: one try. @default 15000 */
  readonly retryBudgetMs?: number;
  /** Told when a body was handed over whole to the operating system. */
  readonly onHandedOver?: () => void;
  /** Asked for the turn of each slice of a body. @default as fast as the link takes it */
  readonly pace?: RequestPace;
}

/** How a client behaves by default. */
export interface TransportOptions {
  readonly timeoutMs?: number;
  readonly retryBudgetMs?: number;
  /** A connection gets so long to be made. @default 5000 */
  readonly connectMs?: number;
  /** A request of which no byte moves for so long is given up: the link is cut. @default 15000 */
  readonly stallMs?: number;
}

/** One request, as the transport takes it. */
export interface Call extends CallOptions {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  /** A good answer is bytes, which it is given piece by piece; then the call's value is true. @default a good answer is JSON */
  readonly take?: (piece: Uint8Array) => Promise<void>;
  /** False for what anyone may ask. @default true */
  readonly withToken?: boolean;
}

/** Answers above these are not an agent's. The larger: the index of an image of a terabyte. */
const MAX_ANSWER_BYTES = { json: 64 * 1024 * 1024, bytes: 1024 * 1024 * 1024 };
/** Of a server that waited too long for a request that the link held up, and of what stands before one that is being restarted. */
const PASSING_STATUSES = new Set([408, 502, 503, 504]);
const CONNECT_MS = 5_000;
const STALL_MS = 15_000;
/** As many as a push has streams at most. */
const IDLE_CONNECTIONS = 64;
/**
 * HTTP to one agent: bearer token, kept-alive connections, a timeout for each try, and tries repeated with back-off while the
 * agent is away. Every request of the site API is idempotent, so each may be repeated.
 */
export class Transport {
  private readonly url: URL;
  private readonly token: TokenSource;
  private readonly queues = new SendQueues();
  private agent: http.Agent | undefined;
  private roundTripMs: number | undefined;

  /** @throws SiteError for an endpoint that is no address, or that would send the token in the clear */
  constructor(
    readonly site: string,
    private readonly endpoint: SiteEndpoint,
    private readonly options: TransportOptions = {},
  ) {
    this.url = parseEndpoint(site, endpoint.endpoint);
    this.token = new TokenSource(site, endpoint);
  }

  /** @returns the parsed answer; undefined for 204, and for 404 with code `not-found` */
  async call<T>(call: Call): Promise<T | undefined> {
    const answer = await this.repeat(call);
    if (answer.status === 204) return undefined;
    if (answer.status === 200 && call.take) return true as T;
    const value = this.parse(answer);
    if (answer.status < 400) return value as T;
    const problem = asProblem(value);
    if (!problem) {
      throw notAnAgent(
        this.site,
        this.endpoint.endpoint,
        `${call.method} ${call.path} got status ${answer.status}`,
      );
    }
    if (answer.status === 404 && problem.code === "not-found") return undefined;
    throw this.refusal(problem);
  }

  private refusal({ code, place, problem, mend, attribute, withoutCopies }: ApiProblem): SiteError {
    const report = { place: `site ${this.site}, ${place}`, problem, mend, attribute };
    return new SiteError(code, report, { withoutCopies });
  }

  /** The agent is there, and lacks what it needs: that is the reason, not that it cannot be reached. */
  private lacking(answer: Answer): SiteError | undefined {
    try {
      const problem = asProblem(JSON.parse(answer.body.toString("utf8")));
      return problem?.code === "part-unavailable" ? this.refusal(problem) : undefined;
    } catch {
      // What stands before an agent answers as it likes.
      return undefined;
    }
  }

  /** Undefined elsewhere than on Linux. */
  onTheWay(): OnTheWay | undefined {
    const lists = [this.agent?.sockets, this.agent?.freeSockets].flatMap((each) => Object.values(each ?? {}));
    const unacknowledgedBytes = this.queues.sum(lists.flatMap((sockets) => [...(sockets ?? [])]));
    const { roundTripMs } = this;
    return unacknowledgedBytes === undefined ? undefined : { unacknowledgedBytes, roundTripMs };
  }

  /** Closes idle connections. */
  close(): void {
    this.agent?.destroy();
    this.agent = undefined;
  }

  private async repeat(call: Call): Promise<Answer> {
    const budgetMs = call.retryBudgetMs ?? this.options.retryBudgetMs ?? 15_000;
    const started = performance.now();
    let hasTaken = false;
    const take =
      call.take &&
      ((piece: Uint8Array) => {
        hasTaken = true;
        return call.take?.(piece) ?? Promise.resolve();
      });
    for (let attempt = 0; ; attempt++) {
      let failure: SpillwayError;
      try {
        const token = call.withToken === false ? undefined : this.token.get();
        const answer = await this.once({ ...call, take }, token);
        if (answer.status === 401 && token && attempt === 0 && this.token.newerThan(token)) continue;
        if (answer.status === 401)
          throw wrongToken(this.site, this.endpoint.endpoint, token?.source ?? "nowhere");
        if (!PASSING_STATUSES.has(answer.status)) return answer;
        failure = this.lacking(answer) ?? this.down(`it answers with status ${answer.status}`, started);
      } catch (error) {
        if (!(error instanceof TryFailed)) throw error;
        if (error.kind !== "away") this.dropIdle();
        failure = this.tell(call, error, started);
        // A try that timed out after the connection stood may be work in progress: more of it would make a slow agent slower.
        // And who was given a part cannot begin anew.
        if (error.kind !== "away" || hasTaken) throw failure;
      }
      const pauseMs = Math.min(100 * 1.6 ** attempt, 1_000) * (0.75 + Math.random() / 2);
      if (performance.now() - started + pauseMs > budgetMs) throw failure;
      await sleep(pauseMs, call.signal);
    }
  }

  private tell(call: Call, failed: TryFailed, started: number): SpillwayError {
    const { endpoint } = this.endpoint;
    const request = `${call.method} ${call.path.split("?")[0]}`;
    if (failed.kind === "timeout" && failed.connected) {
      return agentSlow(this.site, endpoint, request, this.timeoutOf(call));
    }
    if (failed.kind === "not-an-agent") return notAnAgent(this.site, endpoint, failed.message, failed);
    return this.down(failed.message, started, failed);
  }

  private down(why: string, started: number, cause?: unknown): SiteError {
    return agentDown(this.site, this.endpoint.endpoint, why, performance.now() - started, cause);
  }

  private timeoutOf(call: Call): number {
    return call.timeoutMs ?? this.options.timeoutMs ?? 10_000;
  }

  private once(call: Call, token: FoundToken | undefined): Promise<Answer> {
    const { bytes, json, pace, signal, take, onHandedOver } = call;
    const body = bytes ?? (json === undefined ? undefined : Buffer.from(JSON.stringify(json)));
    return exchange({
      ...{
        method: call.method,
        url: new URL(call.path, this.url),
        agent: this.connections(),
        body,
        pace,
        signal,
        take,
        onHandedOver,
        onConnected: (ms) => (this.roundTripMs = Math.min(ms, this.roundTripMs ?? Infinity)),
      },
      headers: {
        accept: take ? "application/octet-stream, application/json" : "application/json",
        ...(token ? { authorization: `Bearer ${token.token}` } : {}),
        ...(body ? { "content-type": bytes ? "application/octet-stream" : "application/json" } : {}),
      },
      timeoutMs: this.timeoutOf(call),
      connectMs: this.options.connectMs ?? CONNECT_MS,
      stallMs: this.options.stallMs ?? STALL_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES[take ? "bytes" : "json"],
      queues: this.queues,
    });
  }

  private connections(): http.Agent {
    if (this.agent) return this.agent;
    const keep = { keepAlive: true, keepAliveMsecs: 5_000, noDelay: true, maxFreeSockets: IDLE_CONNECTIONS };
    if (this.url.protocol === "http:") return (this.agent = new http.Agent(keep));
    return (this.agent = new https.Agent({ ...keep, ca: this.readCa(), minVersion: "TLSv1.2" }));
  }

  /** What was idle while the link was cut would hold up the next request that takes it. */
  private dropIdle(): void {
    const idle = Object.values(this.agent?.freeSockets ?? {});
    for (const socket of idle.flatMap((sockets) => [...(sockets ?? [])])) socket.destroy();
  }

  private readCa(): Buffer | undefined {
    const { caFile } = this.endpoint;
    if (caFile === undefined) return undefined;
    try {
      return readFileSync(caFile);
    } catch (error) {
      throw new SpillwayError({
        place: `site ${this.site}`,
        problem: `the authority file "${caFile}" of site "${this.site}" cannot be read: ${messageOf(error)}`,
        mend: "Correct the site's `ca_file`: a PEM file of the authority that signed the agent's certificate.",
      });
    }
  }

  private parse(answer: Answer): unknown {
    if (answer.body.length === 0) return undefined;
    try {
      return JSON.parse(answer.body.toString("utf8"));
    } catch (error) {
      throw notAnAgent(this.site, this.endpoint.endpoint, "its answer is not JSON", error);
    }
  }
}

function parseEndpoint(site: string, endpoint: string): URL {
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    throw badEndpoint(site, endpoint);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw badEndpoint(site, endpoint);
  if (url.protocol === "http:" && !isLoopback(url.hostname)) throw tokenInTheClear(site, endpoint);
  return url;
}

function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "[::1]") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

function asProblem(value: unknown): ApiProblem | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { code, place, problem, mend } = value as Partial<ApiProblem>;
  return [code, place, problem, mend].every((part) => typeof part === "string")
    ? (value as ApiProblem)
    : undefined;
}
