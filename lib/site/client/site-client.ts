import type { SiteEndpoint } from "../../hook/manifest";
import type { ImageTarget, TakePiece, OnTheWay } from "../../image/wire/target";
import type {
  GateSpec,
  Health,
  ImageStatus,
  PoolSpec,
  PoolStatus,
  PoolTraffic,
  QuiesceSpec,
  RecordPlan,
  RecordSpec,
  RecordStatus,
  SegmentAnswer,
  ShiftPreparation,
  SiteContext,
  SiteEvents,
  SiteParts,
  SnapshotRequest,
  SnapshotStatus,
  TransferEstimate,
  TransferRequest,
  TransferState,
} from "../api";
import { notAnAgent, SiteError } from "./errors";
import { Transport, type Call, type CallOptions, type TransportOptions } from "./transport";

const SEGMENT_TIMEOUT_MS = 120_000;
/** A put may wait for caches, for health checks and for secondaries, one after the other. */
const RECORD_TIMEOUT_MS = 60_000;
/** Verifying a large image reads all of it, and so does making its index. */
const WHOLE_IMAGE_TIMEOUT_MS = 60 * 60_000;

/**
 * One site's agent, as typed methods: one for every row of the table in `lib/site/api.ts`. What is asked for and not there (404)
 * is `undefined`, everything else that is not an answer is thrown.
 * @throws SiteError with a code, from every method
 * @throws AbortedError when `options.signal` fires
 */
export class SiteClient implements ImageTarget {
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

  /** What the site runs on, looked at now, with all that keeps it from its work. */
  parts(options?: CallOptions): Promise<SiteParts> {
    return this.required({ method: "GET", path: "/v1/parts", ...options });
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

  /** Tells what the site holds, and what of this transfer has arrived. */
  openTransfer(id: string, request: TransferRequest, options?: CallOptions): Promise<TransferState> {
    return this.required({ method: "PUT", path: transfer(id), json: request, ...options });
  }

  onTheWay(): OnTheWay | undefined {
    return this.transport.onTheWay();
  }

  putSegment(
    id: string,
    segmentId: string,
    bytes: Uint8Array,
    options?: CallOptions,
  ): Promise<SegmentAnswer> {
    const path = transfer(id, `segments/${encodeURIComponent(segmentId)}`);
    return this.required({ method: "PUT", path, bytes, ...patient(options, SEGMENT_TIMEOUT_MS) });
  }

  /** Verifies the whole image at the site; from then on it is held there. */
  completeTransfer(id: string, digest: string, options?: CallOptions): Promise<ImageStatus> {
    const path = transfer(id, "complete");
    return this.required({
      method: "POST",
      path,
      json: { digest },
      ...patient(options, WHOLE_IMAGE_TIMEOUT_MS),
    });
  }

  /** What an image that is complete there consists of; false when it is not. Waits while the site makes it. */
  async fetchIndex(digest: string, take: TakePiece, options?: CallOptions): Promise<boolean> {
    const call = { ...patient(options, WHOLE_IMAGE_TIMEOUT_MS), path: image(digest, "index"), take };
    return (await this.transport.call<boolean>({ method: "GET", ...call })) === true;
  }

  /** Pins what a plan shall say, and returns it, or what was pinned before. */
  pinEstimate(digest: string, estimate: TransferEstimate, options?: CallOptions): Promise<TransferEstimate> {
    return this.required({ method: "POST", path: image(digest, "estimate"), json: estimate, ...options });
  }

  /** Has the whole of an image that is complete there read and verified again. @throws SiteError `image-corrupt` */
  verifyImage(digest: string, options?: CallOptions): Promise<ImageStatus | undefined> {
    const path = image(digest, "verify");
    return this.transport.call({ method: "POST", path, ...patient(options, WHOLE_IMAGE_TIMEOUT_MS) });
  }

  /** Idempotent. @throws SiteError `image-in-use` */
  async deleteImage(digest: string, options?: CallOptions): Promise<void> {
    await this.transport.call({ method: "DELETE", path: image(digest), ...options });
  }

  /** Has the agent make a snapshot of an image that is complete there; {@link snapshot} tells how far it is. Idempotent. */
  makeSnapshot(digest: string, request: SnapshotRequest, options?: CallOptions): Promise<SnapshotStatus> {
    return this.required({ method: "POST", path: image(digest, "snapshots"), json: request, ...options });
  }

  /** The snapshot of an image that is being made, or is complete. */
  snapshot(digest: string, options?: CallOptions): Promise<SnapshotStatus | undefined> {
    return this.transport.call({ method: "GET", path: image(digest, "snapshots"), ...options });
  }

  /** Idempotent. @throws SiteError `image-in-use` while a machine image uses it */
  async deleteSnapshot(digest: string, snapshotId: string, options?: CallOptions): Promise<void> {
    const path = image(digest, `snapshots/${encodeURIComponent(snapshotId)}`);
    await this.transport.call({ method: "DELETE", path, ...patient(options, RECORD_TIMEOUT_MS) });
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
    const call = patient(options, RECORD_TIMEOUT_MS);
    return this.required({ method: "PUT", path: record(name), json: spec, ...call });
  }

  record(name: string, options?: CallOptions): Promise<RecordStatus | undefined> {
    return this.transport.call({ method: "GET", path: record(name), ...options });
  }

  /** Idempotent. @throws SiteError `owned-by-another` */
  async deleteRecord(name: string, owner: string, options?: CallOptions): Promise<void> {
    const path = `${record(name)}?owner=${encodeURIComponent(owner)}`;
    await this.transport.call({ method: "DELETE", path, ...options });
  }

  /** What a put of this would be refused for now. Undefined: the agent is of an earlier version and cannot say. */
  planRecord(name: string, spec: RecordSpec, options?: CallOptions): Promise<RecordPlan | undefined> {
    return this.transport.call({ method: "POST", path: record(name, "plan"), json: spec, ...options });
  }

  /** Has the record's TTL lowered ahead of a shift. Undefined when there is no such record. */
  prepareShift(name: string, options?: CallOptions): Promise<ShiftPreparation | undefined> {
    return this.transport.call({ method: "POST", path: record(name, "prepare"), ...options });
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

function patient(options: CallOptions | undefined, timeoutMs: number): CallOptions {
  return { ...options, timeoutMs: options?.timeoutMs ?? timeoutMs };
}

function transfer(id: string, rest?: string): string {
  return `/v1/transfers/${encodeURIComponent(id)}${rest ? `/${rest}` : ""}`;
}

function image(digest: string, rest?: string): string {
  return `/v1/images/${encodeURIComponent(digest).replaceAll("%3A", ":")}${rest ? `/${rest}` : ""}`;
}

function pool(name: string, rest?: string): string {
  return `/v1/pools/${encodeURIComponent(name)}${rest ? `/${rest}` : ""}`;
}

function record(name: string, rest?: string): string {
  return `/v1/records/${encodeURIComponent(name)}${rest ? `/${rest}` : ""}`;
}
