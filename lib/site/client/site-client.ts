import type { SiteEndpoint } from "../../hook/manifest";
import type {
  GateSpec,
  Health,
  ImageStatus,
  OfferAnswer,
  PoolSpec,
  PoolStatus,
  PoolTraffic,
  QuiesceSpec,
  RecordSpec,
  RecordStatus,
  SegmentAnswer,
  SiteContext,
  SiteEvents,
  TransferEstimate,
} from "../api";
import { notAnAgent, SiteError } from "./errors";
import { Transport, type Call, type CallOptions, type TransportOptions } from "./transport";

const SEGMENT_TIMEOUT_MS = 120_000;
/** Verifying a large image reads all of it. */
const COMPLETE_TIMEOUT_MS = 30 * 60_000;

/**
 * One site's agent, as typed methods: one for every row of the table in `lib/site/api.ts`. What is asked for and not there (404)
 * is `undefined`, everything else that is not an answer is thrown.
 * @throws SiteError with a code, from every method
 * @throws AbortedError when `options.signal` fires
 */
export class SiteClient {
  private readonly transport: Transport;

  /** @throws SiteError for an endpoint that is no address, or that would send the token in the clear */
  constructor(
    /** The site's name. */
    readonly site: string,
    private readonly target: SiteEndpoint,
    options?: TransportOptions,
  ) {
    this.transport = new Transport(site, target, options);
  }

  /** `http://127.0.0.1:7501` */
  get endpoint(): string {
    return this.target.endpoint;
  }

  /** Closes idle connections; the client can be used again. */
  close(): void {
    this.transport.close();
  }

  /** Is the agent there? Needs no token. */
  health(options?: CallOptions): Promise<Health> {
    return this.required({ method: "GET", path: "/v1/health", withToken: false, ...options });
  }

  context(options?: CallOptions): Promise<SiteContext> {
    return this.required({ method: "GET", path: "/v1/context", ...options });
  }

  /** What the site did after event number `after`, in order. */
  events(after = 0, options?: CallOptions): Promise<SiteEvents> {
    return this.required({ method: "GET", path: `/v1/events?after=${after}`, ...options });
  }

  // -------------------------------------------------------------- images

  async images(options?: CallOptions): Promise<readonly ImageStatus[]> {
    const answer = await this.required<{ images: ImageStatus[] }>({
      method: "GET",
      path: "/v1/images",
      ...options,
    });
    return answer.images;
  }

  image(digest: string, options?: CallOptions): Promise<ImageStatus | undefined> {
    return this.transport.call({ method: "GET", path: image(digest), ...options });
  }

  /** Hands over an image's index and learns which chunks are missing. */
  offer(digest: string, index: Uint8Array, options?: CallOptions): Promise<OfferAnswer> {
    return this.required({ method: "POST", path: image(digest, "offer"), bytes: index, ...segment(options) });
  }

  putSegment(digest: string, id: string, body: Uint8Array, options?: CallOptions): Promise<SegmentAnswer> {
    const path = image(digest, `segments/${encodeURIComponent(id)}`);
    return this.required({ method: "PUT", path, bytes: body, ...segment(options) });
  }

  /** Verifies the whole image at the site. */
  complete(digest: string, options?: CallOptions): Promise<ImageStatus> {
    return this.required({
      method: "POST",
      path: image(digest, "complete"),
      ...options,
      timeoutMs: options?.timeoutMs ?? COMPLETE_TIMEOUT_MS,
    });
  }

  estimate(digest: string, index: Uint8Array, options?: CallOptions): Promise<TransferEstimate> {
    return this.required({
      method: "POST",
      path: image(digest, "estimate"),
      bytes: index,
      ...segment(options),
    });
  }

  /** Idempotent. @throws SiteError `image-in-use` */
  async deleteImage(digest: string, options?: CallOptions): Promise<void> {
    await this.transport.call({ method: "DELETE", path: image(digest), ...options });
  }

  // -------------------------------------------------------------- pools

  putPool(name: string, spec: PoolSpec, options?: CallOptions): Promise<PoolStatus> {
    return this.required({ method: "PUT", path: pool(name), json: spec, ...options });
  }

  pool(name: string, options?: CallOptions): Promise<PoolStatus | undefined> {
    return this.transport.call({ method: "GET", path: pool(name), ...options });
  }

  /** Begins the take-down; undefined when there is no such pool (any more). @throws SiteError `owned-by-another` */
  deletePool(name: string, owner: string, options?: CallOptions): Promise<PoolStatus | undefined> {
    const path = `${pool(name)}?owner=${encodeURIComponent(owner)}`;
    return this.transport.call({ method: "DELETE", path, ...options });
  }

  retryPool(name: string, options?: CallOptions): Promise<PoolStatus | undefined> {
    return this.transport.call({ method: "POST", path: pool(name, "retry"), ...options });
  }

  failPool(name: string, reason: string, options?: CallOptions): Promise<PoolStatus | undefined> {
    return this.transport.call({ method: "POST", path: pool(name, "fail"), json: { reason }, ...options });
  }

  putGate(name: string, gate: GateSpec, options?: CallOptions): Promise<PoolStatus | undefined> {
    return this.transport.call({ method: "PUT", path: pool(name, "gate"), json: gate, ...options });
  }

  /** Undefined when there is no such pool. */
  quiesce(name: string, spec: QuiesceSpec, options?: CallOptions): Promise<PoolTraffic | undefined> {
    return this.transport.call({ method: "POST", path: pool(name, "quiesce"), json: spec, ...options });
  }

  /** Undefined when there is no such pool. */
  traffic(name: string, options?: CallOptions): Promise<PoolTraffic | undefined> {
    return this.transport.call({ method: "GET", path: pool(name, "traffic"), ...options });
  }

  // -------------------------------------------------------------- records

  /** None at a site without a name server. Asks neither pools nor images, so it is answered while a balancer is silent. */
  async records(options?: CallOptions): Promise<readonly RecordStatus[]> {
    const answer = await this.required<{ records: RecordStatus[] }>({
      method: "GET",
      path: "/v1/records",
      ...options,
    });
    return answer.records;
  }

  putRecord(name: string, spec: RecordSpec, options?: CallOptions): Promise<RecordStatus> {
    return this.required({ method: "PUT", path: record(name), json: spec, ...options });
  }

  record(name: string, options?: CallOptions): Promise<RecordStatus | undefined> {
    return this.transport.call({ method: "GET", path: record(name), ...options });
  }

  /** Idempotent. @throws SiteError `owned-by-another` */
  async deleteRecord(name: string, owner: string, options?: CallOptions): Promise<void> {
    const path = `${record(name)}?owner=${encodeURIComponent(owner)}`;
    await this.transport.call({ method: "DELETE", path, ...options });
  }

  private async required<T>(call: Call): Promise<T> {
    const value = await this.transport.call<T>(call);
    if (value !== undefined) return value;
    throw call.method === "GET"
      ? notAnAgent(this.site, this.endpoint, `it does not know ${call.path.split("?")[0]}`)
      : new SiteError("not-found", {
          place: `site ${this.site}, ${this.endpoint}`,
          problem: `the agent does not know ${call.path.split("?")[0]} (any more)`,
          mend: "Try again: what the site holds has changed since it was looked at.",
        });
  }
}

function segment(options: CallOptions | undefined): CallOptions {
  return { ...options, timeoutMs: options?.timeoutMs ?? SEGMENT_TIMEOUT_MS };
}

function image(digest: string, rest?: string): string {
  return `/v1/images/${encodeURIComponent(digest).replaceAll("%3A", ":")}${rest ? `/${rest}` : ""}`;
}

function pool(name: string, rest?: string): string {
  return `/v1/pools/${encodeURIComponent(name)}${rest ? `/${rest}` : ""}`;
}

function record(name: string): string {
  return `/v1/records/${encodeURIComponent(name)}`;
}
